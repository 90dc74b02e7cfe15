"""What happens at the bank: it is counted, the API shows it, and what is left to itself comes right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from adapters.budget_insight.webhooks import BudgetInsightPushes
from application.ports import AuthorisationNeeded, Delivery, ProviderRefused, PushForged
from domain.transactions import Transaction
from scripts.histories.acts import Acts, Push, TrueAccount
from scripts.histories.loop import run
from tests.histories.bank import CREDENTIALS, LyingBank

SEEDS = 20
PREFIX, SECRET = "/webhooks/budget_insight/the-endpoint", "the secret"


def each_seed(story: Callable[[LyingBank], Awaitable[Any]]) -> list[Any]:
    async def begin(seed: int) -> Any:
        bank = await LyingBank(seed).connected()
        await asyncio.sleep(3_600.0)
        return await story(bank)

    return [run(begin(seed), random.Random(seed)) for seed in range(SEEDS)]


async def rows(bank: LyingBank) -> dict[str, Transaction]:
    """By the provider's id, deleted ones too."""
    return {row.reference: row for _, row in await bank.rows(await bank.accounts())}


def booked(truth: dict[str, TrueAccount]) -> list[Any]:
    return [row for account in truth.values() for row in account.booked]


def pending(truth: dict[str, TrueAccount]) -> list[Any]:
    return [row for account in truth.values() for row in account.pending]


# Rows


def test_a_login_is_small_and_no_two_are_alike() -> None:
    async def story(bank: LyingBank) -> tuple[int, Any]:
        truth = bank.truth()
        assert set(truth) == {"main", "savings"}
        assert all(5 <= len(account.booked) <= 30 for account in truth.values())
        return len(booked(truth)), truth["main"].number

    assert len(set(each_seed(story))) == SEEDS


def test_new_rows_and_twins_come() -> None:
    async def story(bank: LyingBank) -> None:
        before = await rows(bank)
        assert bank.acts.new_rows(bank.login) and bank.acts.twin(bank.login)
        after = await rows(bank)
        new = [row for reference, row in after.items() if reference not in before]
        assert new and before.items() <= after.items()
        said = [(row.booked_on, row.amount, row.wording) for row in after.values()]
        assert len(said) > len(set(said)), "twins are alike"
        await bank.check_clean()

    each_seed(story)


def test_a_pending_row_is_booked_under_its_id() -> None:
    async def story(bank: LyingBank) -> None:
        assert not bank.acts.book_pending(bank.login), "there is none"
        assert bank.acts.pending_row(bank.login)
        (there,) = [row for row in (await rows(bank)).values() if row.pending]
        assert bank.acts.book_pending(bank.login)
        assert not (await rows(bank))[there.reference].pending
        assert not pending(bank.truth())
        await bank.check_clean()

    each_seed(story)


def test_p22_a_pending_row_is_booked_under_another_id() -> None:
    async def story(bank: LyingBank) -> tuple[bool, bool]:
        bank.acts.pending_row(bank.login)
        before = await rows(bank)
        (old,) = [row for row in before.values() if row.pending]
        count = len(booked(bank.truth()))
        assert bank.acts.book_under_new_id(bank.login)
        assert bank.lies.tried == {"P22": 1}
        after = await rows(bank)
        (new,) = [row for reference, row in after.items() if reference not in before]
        assert not new.pending and new.amount == old.amount
        assert len(booked(bank.truth())) == count + 1
        left = after.get(old.reference)
        assert left is None or left.deleted
        await bank.check_clean()
        return left is None, new.fields["webid"] == old.fields["webid"]

    # Dropped, marked deleted, and dropped with the bank's own name handed on.
    assert set(each_seed(story)) == {(True, False), (False, False), (True, True)}


def test_a_pending_row_is_dropped() -> None:
    async def story(bank: LyingBank) -> bool:
        bank.acts.pending_row(bank.login)
        (old,) = [row for row in (await rows(bank)).values() if row.pending]
        assert bank.acts.drop_pending(bank.login)
        left = (await rows(bank)).get(old.reference)
        assert left is None or left.deleted
        await bank.check_clean()
        return left is None

    assert set(each_seed(story)) == {True, False}


@pytest.mark.parametrize("act", ["improve_wording", "correct_amount", "redate"])
def test_a_row_is_amended(act: str) -> None:
    async def story(bank: LyingBank) -> None:
        before = await rows(bank)
        await asyncio.sleep(60.0)
        assert getattr(bank.acts, act)(bank.login)
        after = await rows(bank)
        (changed,) = [reference for reference, row in after.items() if row != before[reference]]
        assert after[changed].touched_at > before[changed].touched_at
        await bank.check_clean()

    each_seed(story)


def test_p21_a_row_is_deleted_and_comes_back() -> None:
    async def story(bank: LyingBank) -> None:
        count = len(booked(bank.truth()))
        assert not bank.acts.undelete_row(bank.login)
        assert bank.acts.delete_row(bank.login)
        assert bank.lies.tried == {"P21": 1}
        assert len(booked(bank.truth())) == count - 1
        (gone,) = [row for row in (await rows(bank)).values() if row.deleted]
        await bank.check_clean()
        assert bank.acts.undelete_row(bank.login)
        assert not (await rows(bank))[gone.reference].deleted
        await bank.check_clean()

    each_seed(story)


def test_what_is_not_seen_at_once_is_seen_by_the_next_sync() -> None:
    async def story(bank: LyingBank) -> None:
        bank.acts.at_once = 0.0
        before = await rows(bank)
        bank.acts.new_rows(bank.login)
        assert await rows(bank) == before
        await asyncio.sleep(25 * 3_600.0)
        bank.acts.catch_up()
        await bank.check_clean()
        bank.acts.delete_row(bank.login)
        bank.acts.sync(int(bank.connection))
        await bank.check_clean()

    each_seed(story)


# Accounts


def test_p24_accounts_come_back_under_other_ids() -> None:
    async def story(bank: LyingBank) -> bool:
        connection = int(bank.connection)
        before = bank.acts.shown(connection)
        assert bank.acts.recreate_accounts(connection)
        after = bank.acts.shown(connection)
        assert bank.lies.tried == {"P24": 1}
        assert all(after[reference].deleted for reference in before)
        new = {reference: shown for reference, shown in after.items() if reference not in before}
        assert sorted(shown.key for shown in new.values()) == ["main", "savings"]
        (enabled,) = {shown.enabled for shown in new.values()}
        if enabled:
            await bank.check_clean()
        return enabled

    assert set(each_seed(story)) == {True, False}


def test_p24_one_account_vanishes_and_returns() -> None:
    async def story(bank: LyingBank) -> None:
        connection = int(bank.connection)
        assert not bank.acts.account_returns(connection), "none is gone"
        assert bank.acts.account_vanishes(connection)
        (gone,) = [shown for shown in bank.acts.shown(connection).values() if shown.deleted]
        assert bank.truth()[gone.key].closed
        assert not bank.lies.tried
        assert bank.acts.account_returns(connection)
        assert bank.lies.tried == {"P24": 1}
        ids = [reference for reference, shown in bank.acts.shown(connection).items() if shown.key == gone.key]
        assert len(ids) == 2

    each_seed(story)


def test_accounts_are_closed_disabled_and_otherwise() -> None:
    async def story(bank: LyingBank) -> None:
        connection = int(bank.connection)

        def states() -> list[tuple[bool, bool]]:
            return sorted((shown.enabled, shown.deleted) for shown in bank.acts.shown(connection).values())

        well = states()
        assert bank.acts.close_account(bank.login)
        assert states() == [(True, False), (True, True)]
        assert bank.acts.reopen_account(bank.login)
        assert states() == well
        assert bank.acts.disable_account(connection)
        assert states() == [(False, False), (True, False)]
        assert bank.acts.enable_account(connection)
        assert states() == well
        await bank.check_clean()

    each_seed(story)


# States


@pytest.mark.parametrize(
    ("act", "kind", "reason", "needs_person"),
    [
        ("needs_sca", "P10", "sca_required", True),
        ("needs_webauth", "P11", "webauth_required", True),
        ("decoupled", "P12", "decoupled", True),
        ("wrong_password", "P13", "wrong_password", True),
        ("website_down", "P14", "bank_unavailable", False),
        ("unknown_state", None, "unknown_state", False),
    ],
)
def test_a_connection_is_in_a_state(act: str, kind: str | None, reason: str, needs_person: bool) -> None:
    async def story(bank: LyingBank) -> None:
        connection = int(bank.connection)
        assert getattr(bank.acts, act)(connection)
        assert bank.lies.tried == ({kind: 1} if kind else {})
        observed = await bank.gateway.connection(CREDENTIALS, bank.user, bank.connection)
        assert (observed.reason, observed.needs_person) == (reason, needs_person)
        assert not getattr(bank.acts, act)(connection), "it is in one already"
        bank.acts.new_rows(bank.login)
        if act in ("decoupled", "website_down", "unknown_state"):
            await asyncio.sleep(10 * 86_400.0)
        else:
            bank.acts.person_returns(connection)
        observed = await bank.gateway.connection(CREDENTIALS, bank.user, bank.connection)
        assert observed.reason is None
        await bank.check_clean()

    each_seed(story)


def test_other_states_sources_and_consents() -> None:
    async def story(bank: LyingBank) -> None:
        connection = int(bank.connection)

        async def observed() -> Any:
            return await bank.gateway.connection(CREDENTIALS, bank.user, bank.connection)

        assert bank.acts.failing_source(connection)
        assert (await observed()).failing_sources or (await observed()).reason
        assert bank.acts.source_recovers(connection)
        before = (await observed()).consent_expires_at
        assert bank.acts.shorten_consent(connection)
        assert (await observed()).consent_expires_at < before
        await asyncio.sleep(20 * 86_400.0)
        assert (await observed()).reason == "sca_required"
        bank.acts.heal()
        assert (await observed()).reason is None
        assert bank.acts.other_state(connection)
        assert (await observed()).reason is not None
        bank.acts.heal()
        assert bank.acts.freeze(connection)
        assert (await observed()).reason == "inactive"
        bank.acts.heal()
        await bank.check_clean()

    each_seed(story)


# People


def test_p37_a_user_is_deleted() -> None:
    async def story(bank: LyingBank) -> None:
        (user,) = bank.acts.users()
        assert bank.acts.delete_user(user)
        assert bank.lies.tried == {"P37": 1}
        with pytest.raises(AuthorisationNeeded):
            await bank.accounts()
        with pytest.raises(ProviderRefused, match="not_found"):
            await bank.gateway.renew_user(CREDENTIALS, bank.user)
        assert not bank.acts.delete_user(user)

    each_seed(story)


def test_a_second_connection_shows_the_same_under_other_ids() -> None:
    async def story(bank: LyingBank) -> None:
        first = int(bank.connection)
        second = bank.acts.second_connection(first)
        assert bank.acts.connections(bank.login) == [first, second]
        assert bank.acts.login_of(second) == bank.login
        assert not bank.acts.shown(first).keys() & bank.acts.shown(second).keys()
        bank.acts.delete_connection(first)
        assert bank.acts.connections() == [second]

    each_seed(story)


def test_a_stranger_is_nobody_of_ours() -> None:
    async def story(bank: LyingBank) -> None:
        stranger = bank.acts.stranger()
        assert str(stranger.user.id) not in map(str, bank.acts.users())
        assert bank.acts.connections() == [int(bank.connection)]
        assert bank.acts.stranger() is stranger
        assert bank.acts.logins == [bank.login]
        await bank.check_clean()

    each_seed(story)


# All together


def on_a_login(acts: Acts) -> list[Callable[[str], bool]]:
    return [
        acts.new_rows, acts.twin, acts.pending_row, acts.pending_row, acts.book_pending, acts.book_under_new_id,
        acts.drop_pending, acts.improve_wording, acts.correct_amount, acts.redate, acts.delete_row,
        acts.undelete_row, acts.close_account, acts.reopen_account,
    ]  # fmt: skip


def on_a_connection(acts: Acts) -> list[Callable[[int], Any]]:
    return [
        acts.recreate_accounts, acts.account_vanishes, acts.account_returns, acts.disable_account,
        acts.enable_account, acts.needs_sca, acts.needs_webauth, acts.decoupled, acts.wrong_password,
        acts.website_down, acts.unknown_state, acts.other_state, acts.failing_source, acts.source_recovers,
        acts.shorten_consent, acts.sync, *[acts.person_returns] * 12,
    ]  # fmt: skip


def test_after_anything_the_bank_shows_what_it_holds_once_it_is_well() -> None:
    async def story(bank: LyingBank) -> set[str]:
        rng, connection = random.Random(bank.user.reference), int(bank.connection)
        bank.acts.at_once = 0.6
        for _ in range(300):
            if rng.random() < 0.7:
                rng.choice(on_a_login(bank.acts))(bank.login)
            else:
                rng.choice(on_a_connection(bank.acts))(connection)
            await asyncio.sleep(rng.choice((1.0, 600.0, 40_000.0)))
        bank.acts.heal()
        read = await bank.read()
        truth = bank.truth()
        shown = bank.acts.shown(connection).values()
        for key in {each.key for each in shown if each.enabled and not each.deleted}:
            assert not truth[key].closed
            assert len(read.booked.get(key, [])) == len(truth[key].booked)
            assert len(read.pending.get(key, [])) == len(truth[key].pending)
            assert read.accounts[key].reading.balance == truth[key].balance
        return set(bank.lies.tried)

    kinds = {"P10", "P11", "P12", "P13", "P14", "P21", "P22", "P24"}
    assert set().union(*each_seed(story)) == kinds


# Pushes


def accepted(bank: LyingBank, push: Push) -> bool:
    delivery = Delivery(
        path=push.path, event=push.event, headers=push.headers, body=push.body, received_at=bank.now()
    )
    try:
        read = BudgetInsightPushes().read(delivery, SECRET)
    except PushForged:
        return False
    assert set(read.connections) <= {bank.connection}
    return True


async def pushing(bank: LyingBank) -> LyingBank:
    bank.acts.push_to(PREFIX, SECRET)
    bank.acts.new_rows(bank.login)
    return bank


def test_what_happens_is_pushed_and_passes_for_theirs() -> None:
    async def story(bank: LyingBank) -> None:
        assert bank.acts.pushes(bank.now()) == []
        await pushing(bank)
        pushes = bank.acts.pushes(bank.now())
        assert [push.event for push in pushes] == ["ACCOUNT_SYNCED", "ACCOUNT_SYNCED", "CONNECTION_SYNCED"]
        assert all(push.path == f"{PREFIX}/{push.event}" for push in pushes)
        assert all(accepted(bank, push) and push.is_acceptable(bank.now()) for push in pushes)
        assert bank.acts.pushes(bank.now()) == [], "each is handed over once"
        bank.acts.delete_user(bank.acts.users()[0])
        assert [push.event for push in bank.acts.pushes(bank.now())] == ["USER_DELETED"]

    each_seed(story)


def test_p35_mishaps() -> None:
    async def story(bank: LyingBank) -> set[str]:
        seen: set[str] = set()
        for _ in range(12):
            await pushing(bank)
            honest = ["ACCOUNT_SYNCED", "ACCOUNT_SYNCED", "CONNECTION_SYNCED"]
            before = bank.lies.tried["P35"]
            assert bank.acts.push_mishap()
            assert bank.lies.tried["P35"] == before + 1
            now = bank.acts.pushes(bank.now())
            events = [push.event for push in now]
            await asyncio.sleep(40 * 3_600.0)
            late = bank.acts.pushes(bank.now())
            assert all(accepted(bank, push) is push.is_acceptable(bank.now()) for push in late)
            if late:
                seen.add("late" if accepted(bank, late[0]) else "too late")
            elif len(events) < len(honest):
                seen.add("lost")
            elif len({push.body for push in now}) < len(now):
                seen.add("doubled")
            elif len(events) > len(honest):
                seen.add("early")
            elif events != honest:
                seen.add("reordered")
        return seen

    assert set().union(*each_seed(story)) == {"late", "too late", "lost", "doubled", "early", "reordered"}


def test_p36_a_forged_push_is_refused() -> None:
    async def story(bank: LyingBank) -> None:
        assert not bank.acts.forge_push(), "nobody knows where to"
        bank.acts.push_to(PREFIX, SECRET)
        for count in range(1, 20):
            assert bank.acts.forge_push()
            assert bank.lies.tried["P36"] == count
            (push,) = bank.acts.pushes(bank.now())
            assert not push.true and not push.is_acceptable(bank.now())
            assert not accepted(bank, push)

    each_seed(story)


# Time


def test_the_clock_can_stand_and_be_moved() -> None:
    async def story(bank: LyingBank) -> None:
        acts = bank.acts
        start = acts.simulation.clock.now()
        acts.follow(lambda: start)
        acts.at_once = 0.0
        acts.new_rows(bank.login)
        acts.follow(lambda: start + timedelta(days=2))
        acts.catch_up()
        await bank.check_clean()

    each_seed(story)
