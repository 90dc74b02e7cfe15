"""The people the bank invents, and that the same seed invents them again."""

from collections import Counter
from datetime import date

import pytest

from adapters.budget_insight.simulator import Login, SimulatorOptions, UnknownDataSet, logins

NAMES = [
    "salaried",
    "freelancer",
    "rejected",
    "loans",
    "two_currencies",
    "twins",
    "pending",
]


def test_the_personas_can_be_listed():
    listed = logins(SimulatorOptions())
    assert [login.name for login in listed] == NAMES
    assert all(isinstance(login, Login) and login.shows for login in listed)


def test_an_unknown_data_set_is_refused_by_name(tmp_path):
    with pytest.raises(UnknownDataSet):
        logins(SimulatorOptions(data_set=tmp_path))


@pytest.mark.parametrize("name", NAMES)
async def test_a_persona_has_fourteen_months_behind_a_plausible_account(api, name):
    token = await api.user()
    await api.connect(token, name)
    rows = await api.transactions(token)
    booked = [row for row in rows if not row["coming"]]
    assert min(row["date"] for row in rows) >= "2025-01-01"
    assert "2026-02-20" < max(row["date"] for row in booked) <= "2026-03-16"
    for account in await api.accounts(token):
        if account["iban"]:
            assert passes_mod_97(account["iban"])
            assert account["bic"]
        ids = [row["id"] for row in rows if row["id_account"] == account["id"]]
        assert len(ids) == len(set(ids)) >= 14
    for row in booked:
        assert date.fromisoformat(row["date"]).weekday() < 5


async def test_the_freelancer_is_often_in_overdraft(api):
    assert 0.2 < await share_below_zero(api, "freelancer") < 0.7


async def test_the_salaried_never_is(api):
    assert await share_below_zero(api, "salaried") == 0


async def test_rejections_come_back_with_a_fee(api):
    token = await api.user()
    await api.connect(token, "rejected")
    wordings = [row["original_wording"] for row in await api.transactions(token)]
    for start in ("REJET PRLV", "FRAIS REJET PRLV", "REJET CHEQUE", "FRAIS REJET CHEQUE"):
        assert any(wording.startswith(start) for wording in wordings), start


async def test_twins_are_equal_in_all_but_their_id(api):
    token = await api.user()
    await api.connect(token, "twins")
    rows = await api.transactions(token)
    faces = Counter((r["date"], r["value"], r["original_wording"]) for r in rows)
    assert max(faces.values()) >= 3


async def test_the_same_seed_and_calls_give_the_same_bytes(served):
    async def story(seed):
        api = await served(seed=seed)
        told = []
        token = await api.user()
        for login in ("two_currencies", "pending"):
            told.append(await api.connect(token, login))
        await api.post("/simulator/clock", json={"advance_seconds": 5})
        added = {"date": "2026-03-16", "value": "-1.00", "wording": "x"}
        answer = await api.post("/simulator/logins/pending/accounts/0/transactions", json=added)
        for path in ("accounts", "connections?expand=sources", "transactions?limit=1000"):
            answer = await api.get(f"/2.0/users/me/{path}", token)
            told.append(answer.text.replace(api.base, ""))
        return [token, *told, answer.headers["X-Request-Id"]]

    assert await story(1) == await story(1)
    assert await story(1) != await story(2)


async def test_a_persona_does_not_depend_on_who_came_before(served):
    async def shown(*earlier):
        api = await served(seed=3)
        token = await api.user()
        for login in earlier:
            await api.connect(await api.user(), login)
        await api.connect(token, "rejected")
        rows = await api.transactions(token)
        return [(r["date"], r["value"], r["original_wording"]) for r in rows]

    assert await shown() == await shown("twins", "loans")


async def share_below_zero(api, name):
    token = await api.user()
    await api.connect(token, name)
    account = (await api.accounts(token))[0]
    path = f"/2.0/users/me/accounts/{account['id']}/balances?min_date=2025-02-01&max_date=2026-03"
    period = (await api.get(path, token)).body["balances"][0]
    return period["n_overdraft"] / len(period["daily_balances"])


def passes_mod_97(iban):
    moved = iban[4:] + iban[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1
