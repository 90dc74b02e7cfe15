"""Data quality: coverage is what its definition says day by day, and a bank that is consistent shows no drift."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryRows
from domain import registry
from domain.consumer import AccountLinked, ConsumerErased, Evidence
from domain.consumer_account import CONNECTION_DELETED, AccountClosed, BalanceRefreshed
from domain.data_connection import ConnectionDeleted, SyncSucceeded
from domain.fact import Erased, Recorded
from projections import models, quality
from projections.accounts import ACCOUNTS
from projections.quality import (
    AMOUNT_MISSING,
    BALANCE_MISSING,
    BANK_HISTORY_DAYS,
    BEFORE_HISTORY,
    GAP,
    LATE_DAYS,
    NEVER_READ,
    NOT_READ_YET,
    OK,
    TOO_FEW_READINGS,
    Range,
    Uncovered,
)
from projections.times import micros
from tests.projections.examples import (
    ADA,
    CHECKING,
    CONNECTION,
    DAY,
    MARCH_1,
    NOON,
    SAVINGS,
    TENANT,
    a_row,
    discovered,
    fetched,
    modified,
    of_account,
    of_connection,
    of_consumer,
    registered,
    removed,
    uuid,
)

KEY = (TENANT, ADA, CHECKING)


class Told:
    """Runs, each of them one append, folded into rows as they are told."""

    def __init__(self) -> None:
        self.rows = MemoryRows()
        self.recorded: list[Recorded] = []
        self.run((of_consumer(), registered()), (of_account(), discovered()))

    def run(self, *facts: tuple[str, Any], day: int = MARCH_1) -> Told:
        for stream, fact in facts:
            recorded = Recorded(
                stream=stream,
                version=1 + sum(told.stream == stream for told in self.recorded),
                position=len(self.recorded) + 1,
                name=registry.NAMES[type(fact)],
                recorded_at=at(day) + timedelta(hours=1),
                actor="sync",
                fact=fact,
            )
            self.recorded.append(recorded)
            models.project(recorded, self.rows)
        return self

    def read(self, day: int, balance: int | None, *facts: Any) -> Told:
        """A run that finds another balance than before, and whatever else."""
        reading = BalanceRefreshed(as_of=at(day), balance=balance)
        return self.run(*((of_account(), fact) for fact in (reading, *facts)), day=day)

    def confirmed(self, day: int, *facts: Any) -> Told:
        """A run that finds the balance as it was."""
        ended = SyncSucceeded(sync_id=uuid(4, 1), confirmed={CHECKING: at(day)})
        return self.run(*((of_account(), fact) for fact in facts), (of_connection(), ended), day=day)

    def drift(self, window: Range = Range(MARCH_1 - 3_000, MARCH_1 + 3_000)) -> quality.Drift:
        return quality.drift(quality.balances_between(self.rows, KEY, window))

    def coverage(self, window: Range) -> tuple[list[Range], list[Uncovered]]:
        ranges, span = quality.coverage_of(self.rows, self.rows.get(ACCOUNTS, *KEY), window)
        return ranges, quality.uncovered(ranges, window, span)


def at(day: int) -> datetime:
    return NOON + (day - MARCH_1) * DAY


# Drift


def test_balances_that_move_as_the_rows_say_do_not_drift() -> None:
    told = Told().read(MARCH_1, 100_00, fetched(a_row(1, MARCH_1 - 300, 60_00), a_row(2, MARCH_1, 40_00)))
    told.read(MARCH_1 + 1, 75_00, fetched(a_row(3, MARCH_1, -20_00), a_row(4, MARCH_1 + 1, -5_00)))
    told.read(MARCH_1 + 9, 80_00, fetched(a_row(5, MARCH_1 + 2, 5_00)))
    assert told.drift() == (OK, 3, 0, 0, MARCH_1 + 1)


def test_what_no_row_explains_is_told_with_its_day() -> None:
    told = Told().read(MARCH_1, 100_00).read(MARCH_1 + 1, 90_00).read(MARCH_1 + 2, 93_00)
    # Observed minus reconstructed: 100 where the 90 that follow, and no row, say 90.
    assert told.drift() == (OK, 3, 7_00, 10_00, MARCH_1)
    # What explains it comes late.
    told.read(MARCH_1 + 3, 93_00, fetched(a_row(1, MARCH_1 - 50, 1), a_row(2, MARCH_1 + 3, 4_00)))
    assert told.drift() == (OK, 4, 11_00, 10_00, MARCH_1)


def test_a_row_shown_twice_by_the_bank_is_a_drift_until_it_is_taken_back() -> None:
    told = Told().read(MARCH_1, 100_00)
    told.read(MARCH_1 + 2, 90_00, fetched(a_row(1, MARCH_1 + 1, -10_00), a_row(2, MARCH_1 + 1, -10_00)))
    assert told.drift().net == -10_00
    told.confirmed(MARCH_1 + 3, removed(2))
    assert told.drift() == (OK, 3, 0, 0, MARCH_1 + 2)


def test_a_confirmed_balance_is_a_reading_with_the_rows_of_its_own_run() -> None:
    told = Told().read(MARCH_1, 100_00)
    told.confirmed(MARCH_1 + 1, fetched(a_row(1, MARCH_1 + 1, 7), a_row(2, MARCH_1 + 1, -7)))
    assert told.drift() == (OK, 2, 0, 0, MARCH_1)
    told.confirmed(MARCH_1 + 2, fetched(a_row(3, MARCH_1 + 2, -3_00)))
    assert told.drift() == (OK, 3, -3_00, -3_00, MARCH_1 + 1)
    # The bank's balance was late.
    told.read(MARCH_1 + 3, 97_00)
    assert told.drift().net == 0


def test_history_that_comes_later_moves_no_balance() -> None:
    told = Told().read(MARCH_1, 100_00, fetched(a_row(1, MARCH_1 - 3, -1)))
    told.read(MARCH_1 + 1, 99_00, fetched(a_row(2, MARCH_1 + 1, -1_00)))
    older = [a_row(100 + number, MARCH_1 - LATE_DAYS - number, -50_00) for number in range(50)]
    told.confirmed(MARCH_1 + 2, fetched(*older))
    assert told.drift() == (OK, 3, 0, 0, MARCH_1 + 1)


def test_an_edit_of_an_old_row_moves_the_readings_that_came_after_it() -> None:
    told = Told().read(MARCH_1, 100_00).read(MARCH_1 + 5, 90_00, fetched(a_row(1, MARCH_1 + 4, -12_00)))
    told.confirmed(MARCH_1 + 30)
    assert told.drift().net == -2_00
    told.confirmed(MARCH_1 + 60, modified(a_row(1, MARCH_1 + 4, -10_00)))
    assert told.drift() == (OK, 4, 0, 0, MARCH_1 + 30)


def test_a_pending_row_that_is_booked_is_new() -> None:
    told = Told().read(MARCH_1, 100_00, fetched(a_row(1, MARCH_1, -30_00, pending=True)))
    told.confirmed(MARCH_1 + 1)
    told.read(MARCH_1 + 2, 70_00, modified(a_row(1, MARCH_1 + 2, -30_00)))
    assert told.drift().net == 0


def test_a_day_has_one_reading_its_last() -> None:
    told = Told().read(MARCH_1, 100_00)
    for balance in (90_00, 80_00):
        told.read(MARCH_1 + 1, balance, fetched(a_row(balance, MARCH_1 + 1, -10_00)))
    assert told.drift() == (OK, 2, 0, 0, MARCH_1)


@pytest.mark.parametrize(
    ("balances", "status", "readings"),
    [
        ([], TOO_FEW_READINGS, 0),
        ([1], TOO_FEW_READINGS, 1),
        ([None], TOO_FEW_READINGS, 0),
        ([1, None], BALANCE_MISSING, 1),
        ([None, None, None], BALANCE_MISSING, 0),
        ([None, 1, None, 1, None], OK, 2),
    ],
)
def test_too_little_is_said_so(balances: Sequence[int | None], status: str, readings: int) -> None:
    told = Told()
    for number, balance in enumerate(balances):
        told.read(MARCH_1 + number, balance)
    found = told.drift()
    assert (found.status, found.readings) == (status, readings)
    assert (found.net is None) == (found.day is None) == (status != OK)


def test_rows_of_a_reading_without_a_balance_count_with_the_next() -> None:
    told = Told().read(MARCH_1, 10).read(MARCH_1 + 1, None, fetched(a_row(1, MARCH_1 + 1, -4)))
    told.read(MARCH_1 + 2, 5, fetched(a_row(2, MARCH_1 + 2, -1)))
    assert told.drift() == (OK, 2, 0, 0, MARCH_1)


def test_a_row_without_an_amount_leaves_it_open() -> None:
    told = Told().read(MARCH_1, 10).read(MARCH_1 + 1, 5, fetched(a_row(1, MARCH_1 + 1, None)))
    assert told.drift() == (AMOUNT_MISSING, 2, None, None, None)
    told.read(MARCH_1 + 2, 4, modified(a_row(1, MARCH_1 + 1, -5)), fetched(a_row(2, MARCH_1 + 2, -1)))
    assert told.drift().net == 0


def test_a_sum_may_need_more_than_63_bits() -> None:
    huge = 2**62
    rows = fetched(*(a_row(number, MARCH_1 + 1, huge) for number in range(5)))
    told = Told().read(MARCH_1, 0).read(MARCH_1 + 1, 7, rows)
    assert told.drift().net == 5 * huge - 7


def test_nothing_is_left_of_what_was_forgotten() -> None:
    for stream, fact in (
        (of_consumer(), ConsumerErased()),
        (of_account(), AccountClosed(reason=CONNECTION_DELETED)),
    ):
        told = Told().read(MARCH_1, 1).read(MARCH_1 + 1, 1, fetched(a_row(1, MARCH_1, 1)))
        told.confirmed(MARCH_1 + 2).run((stream, fact))
        assert not any(list(told.rows.scan(table)) for table in quality.TABLES)


def test_what_a_deleted_connection_said_is_gone_and_what_the_source_said_stays() -> None:
    told = Told().read(MARCH_1, 100_00).confirmed(MARCH_1 + 3).read(MARCH_1 + 5, 90_00)
    told.confirmed(MARCH_1 + 200)
    assert quality.last_read_at(told.rows, KEY) == micros(at(MARCH_1 + 200))
    assert told.drift() == (OK, 4, 10_00, 10_00, MARCH_1 + 3)
    told.run((of_connection(), ConnectionDeleted()))
    assert quality.last_read_at(told.rows, KEY) == micros(at(MARCH_1 + 5))
    assert told.drift() == (OK, 2, 10_00, 10_00, MARCH_1)
    # A log without the connection's facts says the same.
    again = Told()
    for recorded in told.recorded[2:]:
        erased = Erased(recorded.name) if recorded.stream == of_connection() else recorded.fact
        models.project(msgspec.structs.replace(recorded, fact=erased), again.rows)
    for table in quality.TABLES:
        assert list(again.rows.scan(table)) == list(told.rows.scan(table))


def test_a_window_begins_with_what_was_confirmed_in_it() -> None:
    told = Told().read(MARCH_1, 100_00).read(MARCH_1 + 10, 90_00).confirmed(MARCH_1 + 20)
    told.read(MARCH_1 + 30, 70_00, fetched(a_row(1, MARCH_1 + 29, -15_00)))
    assert told.drift(Range(MARCH_1 + 15, MARCH_1 + 40)) == (OK, 2, 5_00, 5_00, MARCH_1 + 20)
    assert told.drift(Range(MARCH_1 + 21, MARCH_1 + 40)).status == TOO_FEW_READINGS


class Bank:
    """An account at a bank: what it has booked, and what it shows of that."""

    def __init__(self) -> None:
        self.opening = 1_000_00
        self.rows: dict[int, tuple[int, int]] = {}
        """Day and amount of what moved the balance, by number."""

    @property
    def balance(self) -> int:
        return self.opening + sum(amount for _, amount in self.rows.values())


_booked = st.lists(st.tuples(st.integers(0, LATE_DAYS - 1), st.integers(-9_00, 9_00)), max_size=4)
_steps = st.lists(
    st.tuples(st.integers(0, 200), _booked, st.integers(0, 3), st.booleans()), min_size=1, max_size=12
)


@given(_steps, st.none() | st.integers(1, 11))
def test_a_consistent_bank_never_drifts_and_a_hidden_row_always_shows(steps: Any, hides: int | None) -> None:
    bank, told, day, held, hidden = Bank(), Told(), MARCH_1, None, 0
    for step, (later, booked, old, in_many) in enumerate(steps):
        day += later
        came = []
        for late, amount in booked:
            number = len(bank.rows)
            bank.rows[number] = (day - late, amount)
            came.append(a_row(number, day - late, amount))
        # What was booked on the first day is before everything that is compared.
        if came and step == hides and day > MARCH_1 + steps[0][0]:
            hidden = came.pop()[1].amount
        # History that nobody asked for before: it is in the balance since ever.
        came += [a_row(1_000 + 10 * step + number, MARCH_1 - 500 - step, 3) for number in range(old)]
        facts = [fetched(row) for row in came] if in_many or not came else [fetched(*came)]
        if bank.balance == held:
            told.confirmed(day, *facts)
        else:
            told.read(day, bank.balance, *facts)
        held = bank.balance
    found = told.drift()
    if found.status == OK:
        assert (found.net, abs(found.largest)) == (-hidden, abs(hidden))


# Coverage


def test_the_first_reading_covers_from_the_oldest_row_and_each_other_since_the_one_before() -> None:
    told = Told().read(MARCH_1, 1, fetched(a_row(1, MARCH_1 - 20, 5), a_row(2, MARCH_1 - 3, 5)))
    told.confirmed(MARCH_1 + 60)
    window = Range(MARCH_1 - 30, MARCH_1 + 70)
    assert told.coverage(window) == (
        [Range(MARCH_1 - 20, MARCH_1 + 60)],
        [
            Uncovered(MARCH_1 - 30, MARCH_1 - 21, BEFORE_HISTORY),
            Uncovered(MARCH_1 + 61, MARCH_1 + 70, NOT_READ_YET),
        ],
    )
    # Older history is covered once it is there.
    told.confirmed(MARCH_1 + 61, fetched(a_row(3, MARCH_1 - 25, 5)))
    ranges, _ = told.coverage(window)
    assert ranges == [Range(MARCH_1 - 25, MARCH_1 + 61)]


def test_a_silence_longer_than_the_banks_history_leaves_a_gap() -> None:
    told = Told().read(MARCH_1, 1).read(MARCH_1 + BANK_HISTORY_DAYS + 1, 2).read(MARCH_1 + 400, 3)
    window = Range(MARCH_1, MARCH_1 + 400)
    gap = Range(MARCH_1 + BANK_HISTORY_DAYS + 2, MARCH_1 + 400 - BANK_HISTORY_DAYS - 1)
    assert told.coverage(window) == (
        [Range(MARCH_1, gap.first - 1), Range(gap.last + 1, MARCH_1 + 400)],
        [Uncovered(*gap, GAP)],
    )


def test_an_account_that_was_never_read_is_covered_on_no_day() -> None:
    told = Told().run((of_account(), fetched(a_row(1, MARCH_1, 5))))
    window = Range(MARCH_1 - 1, MARCH_1)
    assert told.coverage(window) == ([], [Uncovered(*window, NEVER_READ)])
    told.read(MARCH_1 + 5, 5)
    assert told.coverage(Range(MARCH_1 - 9, MARCH_1 - 1)) == (
        [],
        [Uncovered(MARCH_1 - 9, MARCH_1 - 1, BEFORE_HISTORY)],
    )


def test_each_source_covers_the_days_that_it_is_shown_for() -> None:
    told = Told().read(MARCH_1, 1, fetched(a_row(1, MARCH_1 - 40, 5), a_row(2, MARCH_1, 5)))
    link = AccountLinked(
        account_id=CHECKING,
        connection_id=CONNECTION,
        reference="9",
        evidence=Evidence(kind="iban", digest=b"d"),
        source_id=SAVINGS,
    )
    first = msgspec.structs.replace(link, reference="1", source_id=CHECKING)
    told.run((of_consumer(), first), (of_consumer(), link), (of_account(SAVINGS), discovered()))
    # The second one goes on a year later, and shows what it has since ten days.
    later = MARCH_1 + 365
    reading = BalanceRefreshed(as_of=at(later), balance=9)
    told.run(
        (of_account(SAVINGS), reading), (of_account(SAVINGS), fetched(a_row(3, later - 10, 5))), day=later
    )
    ranges, missing = told.coverage(Range(MARCH_1 - 40, later))
    assert ranges == [Range(MARCH_1 - 40, MARCH_1), Range(later - 10, later)]
    assert [days.reason for days in missing] == [GAP]


_days = st.lists(st.integers(0, 700), max_size=8)


@given(_days, st.none() | st.integers(-400, 700), st.integers(-500, 800), st.integers(0, 500))
def test_coverage_is_what_its_definition_says_day_by_day(
    days: list[int], oldest: int | None, start: int, size: int
) -> None:
    told = Told()
    if oldest is not None:
        told.run((of_account(), fetched(a_row(1, MARCH_1 + oldest, 5))))
    readings = sorted({MARCH_1 + day for day in days})
    for number, day in enumerate(readings):
        told.read(day, number)
    window = Range(MARCH_1 + start, MARCH_1 + start + size)

    def is_covered(day: int) -> bool:
        after = [reading for reading in readings if reading >= day]
        if not after:
            return False
        if after[0] == readings[0]:
            return day >= (readings[0] if oldest is None else min(readings[0], MARCH_1 + oldest))
        return day >= after[0] - BANK_HISTORY_DAYS

    ranges, missing = told.coverage(window)
    covered = {day for days in ranges for day in range(days.first, days.last + 1)}
    expected = {day for day in range(window.first, window.last + 1) if is_covered(day)}
    assert covered == expected
    assert quality.count_days(ranges) == len(covered)
    uncovered = {day for days in missing for day in range(days.first, days.last + 1)}
    assert not uncovered & covered and len(uncovered) + len(covered) == size + 1
    for days in missing:
        if not readings:
            assert days.reason == NEVER_READ
        elif days.first > readings[-1]:
            assert days.reason == NOT_READ_YET
        else:
            assert days.reason in (BEFORE_HISTORY, GAP)


def test_the_days_that_were_booked_are_those_of_what_is_shown() -> None:
    told = Told().read(MARCH_1, 1, fetched(a_row(1, MARCH_1 - 700, 5, value_on=MARCH_1 - 300)))
    told.run((of_account(), fetched(a_row(2, MARCH_1 + 3, 5, value_on=MARCH_1 - 800))))
    key = bytes.fromhex(CHECKING.replace("-", ""))
    assert quality.booked_days(told.rows, key) == (MARCH_1 - 700, MARCH_1 + 3)
    assert quality.booked_count(told.rows, key) == 2
    assert quality.last_read_at(told.rows, KEY) == micros(at(MARCH_1))
