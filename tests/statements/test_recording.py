"""What recording one file after the other comes to, in a whole service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from adapters.statements.reader import read
from application import statements
from application.refusals import Unavailable
from application.statements import Effect
from domain.consumer_account import CHECKING, SAVINGS, UNKNOWN_KIND
from projections.pending import PENDING
from projections.shown import TRANSACTIONS
from projections.stalled import STALLED, Stalled
from tests.application.world import TENANT, World, in_memory
from tests.statements.files import IBAN, Row, camt, mt940, ofx

BAKERY, HOTEL = Row("2026-02-02", "-1.00", "BAKERY"), Row("2026-02-02", "-7.00", "HOTEL")
REPORT = camt(BAKERY._replace(status="PDNG"), HOTEL._replace(status="PDNG"), version="052")
#: The bakery was booked, and the hotel has let go.
STATEMENT = camt(BAKERY, opening="10.00", closing="9.00", closing_day="2026-02-02")


class Told:
    """A service with a consumer whose files it is told."""

    def __init__(self, world: World, consumer_id: str) -> None:
        self.world = world
        self.consumer_id = consumer_id

    async def __call__(self, content: bytes) -> tuple[int, int, int]:
        """Of all its statements together: rows that are new, changed and known."""
        _, effects = await statements.record(
            self.world.services, self.world.asks(), self.consumer_id, read(content)
        )
        return _counts(effects)

    async def preview(self, content: bytes) -> tuple[int, int, int]:
        effects = await statements.preview(self.world.services, TENANT, self.consumer_id, read(content))
        return _counts([each for each in effects if each is not None])

    def rows(self) -> tuple[list[int | None], list[int | None]]:
        """Amounts of what is booked, and of what is pending."""
        held = self.world.read_models.rows
        booked = [row.amount for row in held.scan(TRANSACTIONS)]
        return sorted(booked), sorted(row.amount for row in held.scan(PENDING))

    async def kind(self) -> str:
        (account,) = (await self.world.accounts(self.consumer_id)).values()
        return account.details.kind


def _counts(effects: Sequence[Effect]) -> tuple[int, int, int]:
    new, changed, known = (
        sum(getattr(each, name) for each in effects) for name in ("new", "changed", "known")
    )
    return new, changed, known


@pytest.fixture
async def told() -> Told:
    world = World(in_memory())
    return Told(world, await world.consumer())


# A report again, after the statement of its day


async def test_an_older_report_makes_nothing_pending_that_was_booked_or_is_gone(told: Told) -> None:
    assert await told(REPORT) == (2, 0, 0)
    assert told.rows() == ([], [-700, -100])
    assert await told(STATEMENT) == (0, 1, 0)
    assert told.rows() == ([-100], [])
    before = len(told.world.log.appends)
    assert await told.preview(REPORT) == (0, 0, 2)
    assert await told(REPORT) == (0, 0, 2)
    assert told.rows() == ([-100], [])
    assert len(told.world.log.appends) == before


async def test_a_report_says_again_what_is_pending_still_and_what_is_new(told: Told) -> None:
    await told(REPORT)
    later = Row("2026-02-03", "-5.00", "FUEL", status="PDNG")
    again = camt(HOTEL._replace(status="PDNG"), later, version="052")
    assert await told(again) == (1, 0, 1)
    named = BAKERY._replace(reference="R", status="PDNG")
    assert await told(camt(named, version="052")) == (1, 0, 0)
    # What is pending still may be worded anew.
    assert await told(camt(named._replace(wording="BAKERY PARIS"), version="052")) == (0, 1, 0)
    assert told.rows() == ([], [-700, -500, -100, -100])


async def test_what_was_gone_is_booked_when_a_statement_books_it_after_all(told: Told) -> None:
    await told(REPORT)
    await told(STATEMENT)
    late = camt(HOTEL, opening="9.00", closing="2.00", closing_day="2026-02-03")
    assert await told(late) == (1, 0, 0)
    assert told.rows() == ([-700, -100], [])
    assert await told(REPORT) == (0, 0, 2)
    assert told.rows() == ([-700, -100], [])


async def test_only_the_messages_of_days_that_are_over_say_what_is_gone(told: Told) -> None:
    """An MT942 behind the MT940 of the day before: what it expects today stays."""
    expected = (
        f":20:X\n:25:{IBAN}\n:34F:EUR0,\n:13D:2604011200+0100\n:61:2603310331D5,00NTRFNONREF//R\n:86:EXPECTED\n"
        ":62F:C260401EUR5,00\n-\n"
    )
    await told(expected.encode())
    assert told.rows() == ([], [-500])
    await told(expected.encode())
    assert told.rows() == ([], [-500])
    both = (
        mt940(Row("2026-03-30", "-1.00"), closing="-1.00")
        .replace(b"C260331", b"C260330")
        .replace(b"D260331", b"D260330")
    )
    await told(both + expected.encode())
    assert told.rows() == ([-100], [-500])


# What is held is looked at when the index shows it


async def test_what_is_gone_is_found_by_an_index_that_was_behind(told: Told) -> None:
    told.world.read_models.behind_until = told.world.clock.now() + timedelta(seconds=3)
    await told(camt(HOTEL._replace(status="PDNG"), version="052"))
    await told(STATEMENT)
    assert told.rows() == ([-100], [])


#: Its day is over, and nothing is on it any more.
EMPTY = camt(opening="9.00", closing="9.00", closing_day="2026-02-02")


@pytest.mark.parametrize("statement", [STATEMENT, EMPTY])
async def test_what_is_gone_is_not_told_by_an_index_that_stays_behind(told: Told, statement: bytes) -> None:
    told.world.read_models.behind_until = told.world.clock.now() + timedelta(minutes=2)
    await told(camt(HOTEL._replace(status="PDNG"), version="052"))
    before = len(told.world.log.appends)
    with pytest.raises(Unavailable, match="read_models_behind"):
        await told(statement)
    with pytest.raises(Unavailable, match="read_models_behind"):
        await told.preview(statement)
    assert len(told.world.log.appends) == before


@pytest.mark.parametrize("statement", [STATEMENT, EMPTY])
async def test_what_is_gone_is_not_told_by_an_index_that_left_the_consumer_behind(
    told: Told, statement: bytes
) -> None:
    """It went on past what could not be read of them, and lacks a pending row that the log holds."""
    await told(camt(HOTEL._replace(status="PDNG"), version="052"))
    before = len(told.world.log.appends)
    held = told.world.read_models.generation.rows
    (row,) = held.scan(PENDING)
    held.delete(PENDING, row.source, row.reference)
    held.put(STALLED, Stalled(TENANT, told.consumer_id, 1, "seal_broken"))
    with pytest.raises(Unavailable, match="read_models_stalled"):
        await told(statement)
    assert len(told.world.log.appends) == before


# The kind of an account


def _of_kind(code: str | None, closing_day: str) -> bytes:
    content = camt(opening="10.00", closing="9.00", closing_day=closing_day)
    said = b"" if code is None else b"<Tp><Cd>%b</Cd></Tp>" % code.encode()
    return content.replace(b"<Ccy>EUR</Ccy></Acct>", said + b"<Ccy>EUR</Ccy></Acct>")


PLAIN_MT940 = mt940(opening="9.00", closing="8.00")
PLAIN_OFX = ofx(account=IBAN, closing="7.00").replace(b"<ACCTTYPE>CHECKING", b"")
MONDAY_SAVINGS, TUESDAY_SAVINGS = _of_kind("SVGS", "2026-02-02"), _of_kind("SVGS", "2026-02-03")
MONDAY_PLAIN, TUESDAY_PLAIN = _of_kind(None, "2026-02-02"), _of_kind(None, "2026-02-03")


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        # What nobody says is a current account, but of OFX, which names kinds.
        ((MONDAY_PLAIN,), CHECKING),
        ((PLAIN_MT940,), CHECKING),
        ((PLAIN_OFX,), UNKNOWN_KIND),
        ((PLAIN_OFX, PLAIN_MT940), CHECKING),
        # What was said once stays, whatever says nothing of it, and in whatever order they come.
        ((MONDAY_SAVINGS, TUESDAY_PLAIN), SAVINGS),
        ((TUESDAY_PLAIN, MONDAY_SAVINGS), SAVINGS),
        ((TUESDAY_SAVINGS, MONDAY_PLAIN), SAVINGS),
        ((MONDAY_SAVINGS, PLAIN_MT940, PLAIN_OFX), SAVINGS),
        ((PLAIN_MT940, PLAIN_OFX), CHECKING),
        # The newer of two that say it is right.
        ((MONDAY_SAVINGS, _of_kind("LOAN", "2026-02-03")), "LOAN"),
        ((TUESDAY_SAVINGS, _of_kind("LOAN", "2026-02-02")), SAVINGS),
        ((MONDAY_SAVINGS, _of_kind("CACC", "2026-02-03")), CHECKING),
    ],
)
async def test_the_kind_is_what_was_said_last_and_supposed_where_nobody_says_it(
    told: Told, files: Sequence[bytes], kind: str
) -> None:
    for content in files:
        await told(content)
    assert await told.kind() == kind


def test_files_of_no_kind_say_none() -> None:
    """Else the law above would hold of files that all say one."""
    said: list[Any] = [
        each.account
        for content in (MONDAY_PLAIN, PLAIN_MT940, PLAIN_OFX)
        for each in read(content).statements
    ]
    assert [account.kind for account in said] == [UNKNOWN_KIND] * 3
