"""People in Budget Insight's own format, served as logins: the loader's rules, and that nothing of a file is lost."""

import json
from decimal import Decimal

import pytest

from adapters.budget_insight.simulator import SimulatorOptions, logins
from adapters.budget_insight.simulator.wordings import powens_type

PERSONA = """{"format": "BUDGET_INSIGHT_V2_0", "connections": [
  {"accounts": [
    {"id": 7, "type": "checking", "usage": "PRIV", "balance": 12.3, "currency": {"id": "EUR"},
     "iban": "FR1400000000000000000000001", "last_update": "2026-08-21T23:30:00.000Z", "transactions": [
      {"id": 5, "date": "2026-08-20T12:00:00.000Z", "rdate": "2026-08-19T12:00:00.000Z", "value": -0.1,
       "currency": "EUR", "original_wording": "PRLV SEPA EXEMPLE"},
      {"id": 5, "rdate": "2026-08-21T23:03:36.176Z", "value": 1914.84, "currency": "EUR",
       "original_wording": "VIREMENT EXEMPLE"}]}]},
  {"accounts": [
    {"id": 7, "type": "savings", "usage": "PRIV", "balance": 2200, "currency": {"id": "EUR"},
     "last_update": "2026-08-21T12:00:00.000Z", "transactions": []}]}]}"""


@pytest.fixture
def people(tmp_path):
    """A folder with one person two folders down, and what is none."""
    (tmp_path / "fr" / "sud").mkdir(parents=True)
    (tmp_path / "fr" / "sud" / "camille.json").write_text(PERSONA)
    (tmp_path / "other.json").write_text('{"format": "something else"}')
    return tmp_path


async def shown(served, folder, login):
    api = await served(data_set=folder)
    token = await api.user()
    await api.connect(token, login)
    return await api.accounts(token), await api.transactions(token)


def test_a_person_is_listed_by_the_path_of_the_file(people):
    names = [login.name for login in logins(SimulatorOptions(data_set=people))]
    assert "fr/sud/camille" in names and "other" not in names


async def test_rows_with_one_id_are_two_and_a_missing_day_is_that_of_the_order(served, people):
    accounts, rows = await shown(served, people, "fr/sud/camille")
    assert [(account["balance"], account["type"]) for account in accounts] == [
        (Decimal("12.30"), "checking"),
        (Decimal("2200.00"), "savings"),
    ]
    assert sorted((row["date"], row["rdate"], row["value"], row["type"]) for row in rows) == [
        ("2026-08-20", "2026-08-19", Decimal("-0.10"), "order"),
        # 23:03 in UTC is the next day in Paris: the day is the UTC one.
        ("2026-08-21", "2026-08-21", Decimal("1914.84"), "transfer"),
    ]
    assert len({row["id"] for row in rows}) == 2


async def test_each_person_shows_every_operation_of_the_file(served, persona_files):
    for path in sorted(persona_files.rglob("*.json")):
        login = path.relative_to(persona_files).with_suffix("").as_posix()
        content = json.loads(path.read_text(), parse_float=Decimal)
        held = [account for connection in content["connections"] for account in connection["accounts"]]
        accounts, rows = await shown(served, persona_files, login)
        assert [account["balance"] for account in accounts] == [account["balance"] for account in held], login
        written = [
            ((row.get("date") or row["rdate"])[:10], row["value"], row["original_wording"])
            for account in held
            for row in account["transactions"]
        ]
        assert sorted((row["date"], row["value"], row["original_wording"]) for row in rows) == sorted(written)


def test_the_type_follows_from_how_a_wording_begins():
    assert powens_type("Vir Sepa salaire") == "transfer"
    assert powens_type("PRELVT SEPA RECU") == "order"
    assert powens_type("CB LUKO COVER SAS") == "card"
    assert powens_type("ABONNEMENT") == "unknown"
