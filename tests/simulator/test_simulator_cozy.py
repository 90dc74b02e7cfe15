"""Operations that Budget Insight recorded, served as logins; every figure is the data's own."""

import csv
from collections import defaultdict
from decimal import Decimal

from adapters.budget_insight.simulator import SimulatorOptions, logins


def recorded(cozy):
    """The lines of `operations.csv` by account, in the order of the file."""
    by_account = defaultdict(list)
    with (cozy / "operations.csv").open(newline="", encoding="utf-8") as lines:
        for record in csv.DictReader(lines):
            by_account[record["account"]].append(record)
    return by_account


def amount(text):
    return Decimal(text) if text else None


async def test_each_account_shows_every_line_as_it_was_recorded(served, cozy):
    api = await served(data_set=cozy)
    for login, records in recorded(cozy).items():
        token = await api.user()
        await api.connect(token, login)
        rows = await api.transactions(token)
        shown = sorted(
            (
                (row["date"], row["rdate"], row["vdate"], row["application_date"], row["value"])
                + (row["original_wording"], row["simplified_wording"], row["coming"], row["id_category"])
                for row in rows
            ),
            key=str,
        )
        written = sorted(
            (
                (line["date"], line["rdate"] or line["date"], line["vdate"] or None)
                + (line["application_date"] or line["date"], amount(line["value"]))
                + (line["original_wording"] or line["label"], line["label"], line["coming"] == "1")
                + (int(line["powens_category_id"] or 9998),)
                for line in records
            ),
            key=str,
        )
        assert shown == written, login


async def test_a_missing_value_is_null_and_a_coming_row_is_not_in_the_balance(served, cozy):
    api = await served(data_set=cozy)
    for login, records in recorded(cozy).items():
        token = await api.user()
        await api.connect(token, login)
        (account,) = await api.accounts(token)
        values = {
            coming: [amount(line["value"]) for line in records if (line["coming"] == "1") is coming]
            for coming in (True, False)
        }
        assert account["balance"] == sum(value or 0 for value in values[False])
        assert account["coming"] == (sum(value or 0 for value in values[True]) if values[True] else None)
        answer = await api.get("/2.0/users/me/transactions?limit=1000", token)
        assert answer.written("value").count("null") == sum(line["value"] == "" for line in records)


async def test_the_banks_ids_are_kept_where_there_is_one_of_its_own(served, cozy):
    api = await served(data_set=cozy)
    token = await api.user()
    await api.connect(token, "bnp-current")
    rows = await api.transactions(token)
    ids = {line["id"]: line for line in recorded(cozy)["bnp-current"]}
    assert {row["webid"] for row in rows} == set(ids)
    assert all(row["date"] == ids[row["webid"]]["date"] for row in rows)
    # Seven copies of one operation, edited, and rows that never had an id.
    for login in ("excerpt-4", "excerpt-3"):
        token = await api.user()
        await api.connect(token, login)
        rows = await api.transactions(token)
        assert len({row["webid"] for row in rows}) == len(rows) == len(recorded(cozy)[login])


async def test_a_row_bears_the_time_it_was_imported(served, cozy):
    api = await served(data_set=cozy)
    token = await api.user()
    connection = await api.connect(token, "sandbox-1")
    times = {line["id"]: line["date_import"].replace("T", " ") for line in recorded(cozy)["sandbox-1"]}
    rows = await api.transactions(token)
    assert all(row["last_update"] == times[row["webid"]] for row in rows)
    (account,) = await api.accounts(token)
    assert account["last_update"] == max(times.values())
    answer = await api.get(f"/2.0/users/me/connections/{connection}", token)
    assert answer.body["last_update"] == max(times.values())


async def test_a_list_by_the_day_people_are_shown_is_another_than_one_by_the_day_of_booking(served, cozy):
    api = await served(data_set=cozy)
    token = await api.user()
    await api.connect(token, "bnp-current")
    found = {}
    for by in ("date", "application_date"):
        rows = await api.transactions(token, f"&filter={by}&min_date=2018-10-01&max_date=2018-10-31")
        found[by] = {row["webid"] for row in rows}
        written = recorded(cozy)["bnp-current"]
        assert found[by] == {line["id"] for line in written if line[by].startswith("2018-10")}
    assert found["date"] != found["application_date"]


async def test_wordings_tell_the_type(served, cozy):
    api = await served(data_set=cozy)
    types = {}
    for login in ("bnp-current", "sandbox-1", "sandbox-2"):
        token = await api.user()
        await api.connect(token, login)
        types |= {row["original_wording"][:14]: row["type"] for row in await api.transactions(token)}
    assert types["PRLV SEPA FREE"] == "order"
    assert types["FACTURE CARTE "] == "card"
    assert types["RETRAIT DAB 06"] == "withdrawal"
    assert types["CB DEBIT DIFFE"] == "deferred_card"
    assert types["DEBIT MENSUEL "] == "summary_card"
    assert types["VIREMENT SALAI"] == "transfer"
    assert types[""] == "unknown"


async def test_the_invented_households_are_logins_too(served, cozy):
    with (cozy / "fictional_persona_operations.csv").open(newline="", encoding="utf-8") as lines:
        records = list(csv.DictReader(lines))
    api = await served(data_set=cozy)
    found = 0
    for file, account in sorted({(record["file"], record["account"]) for record in records}):
        token = await api.user()
        await api.connect(token, f"{file.removesuffix('.json')}-{account}")
        rows = await api.transactions(token)
        assert sorted((row["date"], row["value"], row["original_wording"]) for row in rows) == sorted(
            (record["date"], Decimal(record["amount"]), record["label"])
            for record in records
            if (record["file"], record["account"]) == (file, account)
        )
        found += len(rows)
    assert found == len(records)


async def test_its_bank_is_listed_where_it_is_served_and_no_other_data_sets_bank(served, cozy):
    async def banks(**options):
        api = await served(**options)
        return [bank["name"] for bank in (await api.get("/2.0/connectors")).body["connectors"]]

    without = await banks()
    assert await banks(data_set=cozy) == [*without, "Banque Douillet"]


def test_every_account_is_listed_beside_the_personas(cozy):
    names = [login.name for login in logins(SimulatorOptions(data_set=cozy))]
    assert names[0] == "salaried"
    assert set(recorded(cozy)) < set(names)
    assert len(names) == len(set(names))
