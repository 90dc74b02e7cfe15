"""Every lie, told once to the real client: it ends in an error by name, or in what is true; and then it is over."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from application.ports import (
    AuthorisationNeeded,
    ProviderError,
    ProviderRefused,
    ProviderUnreachable,
    UnexpectedAnswer,
)
from scripts.histories.lies import KINDS, LIES, Lies
from scripts.histories.loop import run
from tests.histories.bank import CREDENTIALS, LyingBank, Read, held, said

SEEDS = 20
#: All spells are over by then.
DAYS = 4 * 86_400.0

#: Done by acts, and counted there.
ACTED = {
    "P10", "P11", "P12", "P13", "P14", "P21", "P22", "P24", "P35", "P36", "P37",
}  # fmt: skip

RIGHT = "what is true"
REASONS = {
    ProviderUnreachable: ("network", "timeout", "tls", "rate_limited", "unavailable", "provider_bug", "list_moved"),
    UnexpectedAnswer: (
        "malformed", "not_json", "too_large", "redirect", "repeated_link", "repeated_page", "unexpected_shape",
    ),
    AuthorisationNeeded: ("token_refused",),
    ProviderRefused: ("credentials_refused",),
}  # fmt: skip

#: What may come of a lie that is told while a connection, its accounts and all its rows are read.
COMES_OF: dict[str, set[str]] = {
    "P01": {RIGHT},
    "P02": {RIGHT},
    "P03": {"tls"},
    "P04": {RIGHT, "timeout"},
    "P05": {RIGHT, "timeout"},
    "P06": {RIGHT, "rate_limited"},
    "P07": {RIGHT, "unavailable", "provider_bug"},
    "P08": {"token_refused"},
    "P15": {RIGHT, "repeated_page", "list_moved"},
    "P18": {RIGHT, "list_moved"},
    "P19": {RIGHT, "repeated_page", "repeated_link", "list_moved"},
    "P28": {RIGHT},
    "P29": {RIGHT, "malformed"},
    "P30": {"not_json"},
    "P31": {"not_json"},
    "P32": {"too_large"},
    "P33": {"timeout"},
    "P34": {"redirect"},
    "P38": {"unexpected_shape"},
}
#: What must come of it for some seed.
RARE = {"list_moved", "repeated_page", "repeated_link", "provider_bug"}
SEEN = {kind: outcomes - RARE for kind, outcomes in COMES_OF.items()}


async def told(bank: LyingBank, kind: str, step: Callable[[], Awaitable[Any]]) -> Any:
    """What came of a step in which a lie was told once: an error, or its answer."""
    bank.lies.plan(kind)
    try:
        answer = await step()
    except ProviderError as error:
        answer = error
    assert bank.lies.tried == {kind: 1}, "it was told once, and no other"
    return answer


async def is_over(bank: LyingBank) -> None:
    bank.lies.stop()
    # What the bank asked for is heeded.
    await asyncio.sleep(3_600.0)
    await bank.check_clean()


def each_seed(story: Callable[[LyingBank], Awaitable[Any]], **options: Any) -> list[Any]:
    async def begin(seed: int) -> Any:
        return await story(await LyingBank(seed, **options).connected())

    return [run(begin(seed), random.Random(seed)) for seed in range(SEEDS)]


# The catalogue


def test_every_fault_of_the_catalogue_is_done_somewhere() -> None:
    assert list(KINDS) == [f"P{number:02d}" for number in range(1, 39)]
    assert all(KINDS.values())
    assert LIES.keys() | ACTED == KINDS.keys()
    assert not LIES.keys() & ACTED


def test_a_rate_of_what_is_no_lie_is_refused() -> None:
    with pytest.raises(ValueError, match="P10"):
        Lies(random.Random(1), {"P01": 0.5, "P10": 0.5})


# One by one


@pytest.mark.parametrize("kind", sorted(COMES_OF))
def test_what_comes_of_it(kind: str) -> None:
    async def story(bank: LyingBank) -> str:
        answer = await told(bank, kind, bank.read)
        if isinstance(answer, Read):
            bank.check(answer)
            outcome = RIGHT
        else:
            outcome = answer.reason
            known = next(reasons for error, reasons in REASONS.items() if isinstance(answer, error))
            assert outcome in known
        if kind != "P08":
            await is_over(bank)
        return outcome

    outcomes = set(each_seed(story, small_pages=1.0))
    assert outcomes <= COMES_OF[kind]
    assert outcomes >= SEEN[kind]


def test_p08_a_token_that_is_revoked_in_the_middle_can_be_replaced() -> None:
    async def story(bank: LyingBank) -> bool:
        answer = await told(bank, "P08", bank.read)
        assert isinstance(answer, AuthorisationNeeded)
        revoked = bank.bank.credential(bank.user.token) is None
        if revoked:
            bank.user = await bank.gateway.renew_user(CREDENTIALS, bank.user)
        await is_over(bank)
        return revoked

    assert {*each_seed(story, small_pages=1.0)} == {True, False}


@pytest.mark.parametrize(
    ("step", "outcomes"),
    [
        ("refresh", {"ok", "token_refused", "rate_limited"}),
        ("renew", {"credentials_refused"}),
    ],
)
def test_p09_a_refresh_or_a_token_is_refused(step: str, outcomes: set[str]) -> None:
    async def story(bank: LyingBank) -> str:
        synced_at = await synced()(bank)

        async def do() -> Any:
            if step == "refresh":
                return await bank.gateway.refresh(CREDENTIALS, bank.user, bank.connection)
            return await bank.gateway.renew_user(CREDENTIALS, bank.user)

        await asyncio.sleep(60.0)
        answer = await told(bank, "P09", do)
        assert await synced()(bank) == synced_at, "nothing was fetched"
        await is_over(bank)
        return "ok" if answer is None else answer.reason

    assert {*each_seed(story)} == outcomes


def synced() -> Callable[[LyingBank], Awaitable[Any]]:
    async def last_update(bank: LyingBank) -> Any:
        return bank.bank.users[int(bank.user.reference)].connections[int(bank.connection)].last_update

    return last_update


def test_p05_the_bank_has_done_what_was_asked() -> None:
    """A user who is made and not told of, a fetch that was made, a deletion that took place."""

    async def story(bank: LyingBank) -> None:
        answer = await told(bank, "P05", lambda: bank.gateway.create_user(CREDENTIALS))
        assert isinstance(answer, ProviderUnreachable), "it is never repeated"
        assert len(bank.acts.users()) == 2
        bank.lies.tried.clear()
        await asyncio.sleep(60.0)
        before = await synced()(bank)
        await told(bank, "P05", lambda: bank.gateway.refresh(CREDENTIALS, bank.user, bank.connection))
        assert await synced()(bank) > before
        bank.lies.tried.clear()
        await told(
            bank, "P05", lambda: bank.gateway.delete_connection(CREDENTIALS, bank.user, bank.connection)
        )
        assert bank.acts.connections() == []
        await bank.gateway.delete_connection(CREDENTIALS, bank.user, bank.connection)

    each_seed(story)


@pytest.mark.parametrize("kind", ["P01", "P02", "P03", "P04", "P34"])
def test_the_bank_has_heard_nothing(kind: str) -> None:
    async def story(bank: LyingBank) -> None:
        answer = await told(bank, kind, lambda: bank.gateway.create_user(CREDENTIALS))
        assert isinstance(answer, ProviderError)
        assert len(bank.acts.users()) == 1

    each_seed(story)


def test_p06_and_p07_may_last_and_end() -> None:
    async def story(bank: LyingBank) -> Counter[str]:
        lasted: Counter[str] = Counter()
        for kind in ("P06", "P07"):
            bank.lies.tried.clear()
            await told(bank, kind, bank.read)
            lasted[kind] += len(bank.lies.spells)
            await asyncio.sleep(DAYS)
            await bank.check_clean()
        return lasted

    lasted = sum(each_seed(story), Counter())
    assert 0 < lasted["P06"] < SEEDS
    assert 0 < lasted["P07"] < SEEDS


def test_stopping_ends_what_lasts() -> None:
    async def story(bank: LyingBank) -> int:
        await told(bank, "P07", bank.read)
        spells = len(bank.lies.spells)
        await is_over(bank)
        return spells

    assert sum(each_seed(story)) > 0


# Lists


@pytest.mark.parametrize("kind", ["P16", "P17", "P20"])
def test_rows_that_move_between_two_pages(kind: str) -> None:
    """Nothing is missing but what came meanwhile, and nothing is there but what was there before or is there now."""

    async def story(bank: LyingBank) -> bool:
        for _ in range(3):
            bank.acts.pending_row(bank.login)
        before = all_rows(bank)
        read = await told(bank, kind, bank.read)
        after = all_rows(bank)
        if isinstance(read, ProviderError):
            assert read.reason in {"list_moved", "repeated_page"}
        else:
            rows = [row for read_rows in (read.booked, read.pending) for row in sum(read_rows.values(), [])]
            assert before & after <= set(rows) <= before | after
        await is_over(bank)
        return before != after

    changed = each_seed(story, small_pages=1.0)
    assert any(changed)
    if kind != "P17":
        assert all(changed)


def all_rows(bank: LyingBank) -> set[Any]:
    truth = bank.truth().values()
    return {row for account in truth for row in (*held(account.booked), *held(account.pending))}


def test_p19_can_go_on_for_ever() -> None:
    """Then it must not be walked for ever."""

    async def story(bank: LyingBank) -> None:
        began = asyncio.get_running_loop().time()
        await told(bank, "P19", bank.read)
        assert asyncio.get_running_loop().time() - began < 600

    each_seed(story)


def test_p23_both_amounts_are_handed_on() -> None:
    """Which of the two is true cannot be known: whoever reads them must be able to see that there are two."""

    async def story(bank: LyingBank) -> list[int]:
        accounts = await bank.accounts()
        rows = await told(bank, "P23", lambda: bank.rows(accounts))
        by_reference: dict[str, set[Any]] = {}
        for _, row in rows:
            by_reference.setdefault(row.reference, set()).add(row.amount)
        await is_over(bank)
        # Where it made the walk go astray, the list was read once more.
        return sorted(map(len, by_reference.values()))[-2:]

    assert {tuple(most) for most in each_seed(story)} == {(1, 1), (1, 2)}


def test_pages_without_a_lie_are_whole() -> None:
    async def story(bank: LyingBank) -> None:
        for _ in range(4):
            await bank.check_clean()
        assert not bank.lies.tried

    each_seed(story, small_pages=1.0)


# Answers


def test_p25_a_balance_is_wrong_and_nothing_else() -> None:
    async def story(bank: LyingBank) -> None:
        read = await told(bank, "P25", bank.read)
        truth = bank.truth()
        wrong = [key for key, each in read.accounts.items() if each.reading.balance != truth[key].balance]
        assert len(wrong) == 1
        await is_over(bank)

    each_seed(story)


def test_p26_a_currency_is_missing_or_another() -> None:
    async def story(bank: LyingBank) -> str:
        read = await told(bank, "P26", bank.read)
        truth = bank.truth()
        (wrong,) = [
            each.currency for key, each in read.accounts.items() if each.currency != truth[key].currency
        ]
        await is_over(bank)
        return wrong

    wrong = set(each_seed(story))
    assert wrong & {"EUR", "USD", "GBP"} and len(wrong) > 1


def test_p27_impossible_days_are_refused_and_strange_ones_read() -> None:
    async def story(bank: LyingBank) -> str:
        accounts = await bank.accounts()
        truth = sorted(map(said, (row for _, row in await bank.rows(accounts))), key=str)
        rows = await told(bank, "P27", lambda: bank.rows(accounts))
        await is_over(bank)
        if isinstance(rows, UnexpectedAnswer):
            return rows.reason
        read = sorted(map(said, (row for _, row in rows)), key=str)
        assert len(read) == len(truth) and len(set(read) - set(truth)) <= 1
        return RIGHT

    assert {*each_seed(story)} == {RIGHT, "unexpected_shape"}


def test_p28_the_provider_is_wrong_about_time_and_finds_what_it_is_asked_by_it() -> None:
    async def story(bank: LyingBank) -> timedelta:
        accounts = await bank.accounts()
        right = {row.reference: row.touched_at for _, row in await bank.rows(accounts)}
        rows = await told(bank, "P28", lambda: bank.rows(accounts))
        (skew,) = {row.touched_at - right[row.reference] for _, row in rows}
        newest = max(row.touched_at for _, row in rows)
        assert len(await bank.rows(accounts, newest - timedelta(hours=3))) == len(rows)
        assert await bank.rows(accounts, newest + timedelta(hours=3)) == []
        await is_over(bank)
        await asyncio.sleep(DAYS)
        assert {row.reference: row.touched_at for _, row in await bank.rows(accounts)} == right
        return skew

    skews = each_seed(story)
    assert min(skews) < timedelta(hours=-10) and max(skews) > timedelta(hours=10)


# Another user


def test_p38_nothing_of_another_user_is_read() -> None:
    async def story(bank: LyingBank) -> None:
        accounts = await bank.accounts()
        known = {account.reference for account in accounts}
        for step in (bank.accounts, lambda: bank.rows(accounts), lambda: bank.rows(accounts, bank.now())):
            bank.lies.tried.clear()
            answer = await told(bank, "P38", step)
            if isinstance(answer, list):
                assert {getattr(each, "reference", None) or each[0] for each in answer} <= known
            else:
                assert answer.reason in {"unexpected_shape", "foreign_row", "foreign_account", "not_found"}
        await is_over(bank)

    each_seed(story)


def test_p38_a_bank_that_was_connected_for_another_user_is_not_read() -> None:
    async def story(bank: LyingBank) -> None:
        own = bank.connection
        bank.connection = await told(bank, "P38", bank.connect)
        assert bank.acts.connections() == [int(own)]
        with pytest.raises(ProviderRefused, match="not_found"):
            await bank.accounts()
        bank.connection = own
        await is_over(bank)

    each_seed(story)


def test_p38_a_token_of_another_user_is_noticed() -> None:
    """Else the person is sent to connect their bank for somebody else."""

    async def story(bank: LyingBank) -> None:
        answer = await told(bank, "P38", lambda: bank.gateway.renew_user(CREDENTIALS, bank.user))
        assert isinstance(answer, ProviderError)

    each_seed(story)


def test_p38_nobody_else_is_deleted() -> None:
    async def story(bank: LyingBank) -> None:
        stranger = bank.acts.stranger()
        bank.acts.revoke(bank.user.token)
        await told(bank, "P38", lambda: bank.gateway.delete_user(CREDENTIALS, bank.user))
        assert stranger.user.id in bank.bank.users

    each_seed(story)


def test_p38_an_increment_of_another_user_brings_nothing_of_theirs() -> None:
    """Their accounts are none of those that were asked about, and what was not read moves no watermark."""

    async def story(bank: LyingBank) -> None:
        accounts = await bank.accounts()
        before = bank.now() - timedelta(days=1)
        assert (held := await bank.rows(accounts, before))
        told_of = await told(bank, "P38", lambda: bank.rows(accounts, before))
        if not isinstance(told_of, ProviderError):
            assert {row.reference for _, row in told_of} <= {row.reference for _, row in held}

    each_seed(story)


# All together

#: After these, what was read may differ from what the bank holds at this moment, or is said by the lie itself.
NOT_COMPARED = {"P16", "P17", "P20", "P23", "P25", "P26", "P27"}


@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_what_is_read_at_all_is_true(rate: float) -> None:
    rates = dict.fromkeys(LIES.keys() - NOT_COMPARED, rate)

    async def story(seed: int) -> Counter[str]:
        bank = await LyingBank(seed).connected()
        bank.lies.start(rates)
        outcomes: Counter[str] = Counter()
        for _ in range(15):
            try:
                bank.check(await bank.read())
                outcomes[RIGHT] += 1
            except AuthorisationNeeded:
                outcomes["refused"] += 1
                bank.user = await bank.in_the_end(lambda: bank.gateway.renew_user(CREDENTIALS, bank.user))
            except ProviderError as error:
                outcomes[error.reason] += 1
            await asyncio.sleep(3_600.0)
        bank.lies.stop()
        await asyncio.sleep(3_600.0)
        bank.user = await bank.gateway.renew_user(CREDENTIALS, bank.user)
        await is_over(bank)
        return outcomes

    outcomes = sum((run(story(seed), random.Random(seed)) for seed in range(SEEDS)), Counter())
    assert outcomes[RIGHT] > 0
    assert len(outcomes) > 5


@pytest.mark.parametrize("seed", range(4))
def test_a_seed_tells_the_same_lies(seed: int) -> None:
    async def story() -> Any:
        random.seed(seed)
        bank = await LyingBank(seed, dict.fromkeys(LIES, 0.1)).connected_in_the_end()
        came: list[Any] = []
        for _ in range(20):
            try:
                read = await bank.read()
                came.append((sorted(read.booked.items()), sorted(read.pending.items())))
            except (ProviderError, KeyError) as error:
                came.append(str(error))
            came.append(asyncio.get_running_loop().time())
        return came, bank.lies.tried

    first, second = (run(story(), random.Random(seed)) for _ in range(2))
    assert first == second
