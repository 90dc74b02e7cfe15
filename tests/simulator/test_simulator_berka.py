"""The real accounts of a Czech bank, served as logins; every figure is the data set's own."""

import csv
from decimal import Decimal

from adapters.budget_insight.simulator import SimulatorOptions, logins

MOST_DRIFT = Decimal("0.70")


async def test_accounts_end_with_the_figures_of_the_data_set(served, berka):
    with (berka / "expected" / "account_totals.csv").open(newline="") as lines:
        expected = list(csv.DictReader(lines))[::40]
    api = await served(data_set=berka)
    for account in expected:
        token = await api.user()
        connection = await api.connect(token, account["account_id"])
        (shown,) = await api.accounts(token)
        rows = await api.transactions(token)

        assert shown["currency"]["id"] == "CZK"
        assert shown["number"] == account["account_id"]
        assert shown["balance"] == Decimal(account["final_balance"])
        assert len(rows) == int(account["n_transactions"])
        inflow = sum(row["value"] for row in rows if row["value"] > 0)
        outflow = -sum(row["value"] for row in rows if row["value"] < 0)
        assert inflow == Decimal(account["inflow"])
        assert outflow == Decimal(account["outflow"])
        assert abs(shown["balance"] - (inflow - outflow)) <= MOST_DRIFT
        assert rows[-1]["date"] == account["first_date"]
        assert rows[0]["date"] == account["last_date"]

        # A reading belongs to its own day, whatever the clock says.
        noon = f"{account['last_date']} 12:00:00"
        assert shown["last_update"] == noon
        path = f"/2.0/users/me/connections/{connection}"
        assert (await api.get(path, token)).body["last_update"] == noon
        assert all(row["last_update"] == f"{row['date']} 12:00:00" for row in rows)


async def test_ids_follow_the_order_within_a_day(served, berka):
    api = await served(data_set=berka)
    token = await api.user()
    await api.connect(token, "2378")
    rows = await api.transactions(token)
    truth = (await api.get("/simulator/logins/2378")).body["accounts"][0]["transactions"]
    by_id = [row["webid"] for row in sorted(rows, key=lambda row: row["id"])]
    assert by_id == [row["webid"] for row in truth]


async def test_the_banks_own_codes_are_kept_and_translated(served, berka):
    api = await served(data_set=berka)
    token = await api.user()
    await api.connect(token, "2378")
    rows = {row["webid"]: row for row in await api.transactions(token)}
    household = rows["695340"]
    assert household["original_wording"] == "PREVOD NA UCET SIPO EF 1222903"
    assert (household["type"], str(household["value"])) == ("order", "-9612.00")
    assert household["counterparty"]["account_identification"] == "1222903"
    assert household["counterparty"]["type"] == "creditor"
    assert (rows["695490"]["original_wording"], rows["695490"]["type"]) == ("VYBER SLUZBY", "bank")
    assert {row["type"] for row in rows.values()} <= {
        "deposit",
        "withdrawal",
        "card",
        "transfer",
        "order",
        "bank",
        "loan_repayment",
    }


async def test_a_row_added_later_is_found_by_an_increment(served, berka):
    api = await served(data_set=berka)
    token = await api.user()
    await api.connect(token, "576")
    watermark = (await api.transactions(token))[0]["last_update"]
    added = {"date": "1994-04-02", "value": "12.50", "wording": "VKLAD"}
    await api.post("/simulator/logins/576/accounts/0/transactions", json=added)
    (found,) = await api.transactions(token, f"&last_update={watermark}")
    assert (found["date"], str(found["value"])) == ("1994-04-02", "12.50")


def test_every_account_is_listed_beside_the_personas(berka):
    names = [login.name for login in logins(SimulatorOptions(data_set=berka))]
    assert names[0] == "salaried"
    assert len(names) == 7 + 3602
    assert "576" in names
