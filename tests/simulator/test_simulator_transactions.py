"""Lists of transactions: pages, filters, and amounts to the last digit."""

import gzip
from urllib.parse import urlsplit

import pytest

LIST = "/2.0/users/me/transactions"
SALARIED = "/simulator/logins/salaried"


@pytest.fixture
async def token(api):
    token = await api.user()
    await api.connect(token, "salaried")
    return token


def order(row):
    return (-int(row["date"].replace("-", "")), row["id"])


async def add(api, date, value="-1.00", **more):
    row = {"date": date, "value": value, "wording": "AJOUT", **more}
    return (await api.post(f"{SALARIED}/accounts/0/transactions", json=row)).body


async def test_a_limit_is_required(api, token):
    answer = await api.get(LIST, token)
    assert (answer.status, answer.code) == (400, "missingParameter")
    for limit in ("0", "-1", "ten"):
        assert (await api.get(f"{LIST}?limit={limit}", token)).code == "invalidValue"


async def test_rows_come_newest_first_and_ids_ascend_within_a_day(api, token):
    rows = await api.transactions(token)
    assert len(rows) > 400
    assert rows == sorted(rows, key=order)
    assert len(rows[0]) == 40


async def test_links_walk_through_everything_once_and_back(api, token):
    whole = await api.transactions(token)
    page = (await api.get(f"{LIST}?limit=60&filter=date", token)).body
    assert page["_links"]["prev"] is None
    assert page["total"] == len(whole)
    pages = [page]
    while page["_links"]["next"]:
        address = page["_links"]["next"]["href"]
        assert address.startswith(api.base)
        assert "filter=date" in urlsplit(address).query
        page = (await api.get(address, token)).body
        pages.append(page)
    assert [row for page in pages for row in page["transactions"]] == whole

    for earlier, later in zip(pages, pages[1:], strict=False):
        back = (await api.get(later["_links"]["prev"]["href"], token)).body
        assert back["transactions"] == earlier["transactions"]


async def test_offsets_walk_through_everything_too(api, token):
    whole = await api.transactions(token)
    found = []
    while True:
        page = (await api.get(f"{LIST}?limit=100&offset={len(found)}", token)).body["transactions"]
        if not page:
            break
        found += page
    assert found == whole
    # A link after an offset goes on from where the page ended.
    page = (await api.get(f"{LIST}?limit=10&offset=20", token)).body
    following = (await api.get(page["_links"]["next"]["href"], token)).body
    assert following["transactions"] == whole[30:40]


async def test_an_insert_between_pages_shifts_offsets_but_not_links(api, token):
    first = (await api.get(f"{LIST}?limit=50", token)).body
    whole = await api.transactions(token)
    newest = whole[0]["date"]
    await add(api, newest)

    by_offset = (await api.get(f"{LIST}?limit=50&offset=50", token)).body["transactions"]
    assert by_offset[0] == first["transactions"][-1]
    by_link = (await api.get(first["_links"]["next"]["href"], token)).body["transactions"]
    assert by_link == whole[50:100]


async def test_a_page_holds_a_thousand_at_most(served, tmp_path):
    api = await served(data_set=a_long_history(tmp_path, rows=2345))
    token = await api.user()
    await api.connect(token, "7")
    page = (await api.get(f"{LIST}?limit=5000", token)).body
    assert (len(page["transactions"]), page["total"]) == (1000, 2345)
    rows = await api.transactions(token)
    assert rows == sorted(rows, key=order)
    assert len({row["id"] for row in rows}) == 2345


async def test_an_invented_cursor_is_refused(api, token):
    for cursor in ("x", "!!", "W10", "WyJhZnRlciIsMV0"):
        answer = await api.get(f"{LIST}?limit=5&cursor={cursor}", token)
        assert (answer.status, answer.code) == (400, "invalidValue")


async def test_dates_bound_a_list_on_both_sides_inclusively(api, token):
    whole = await api.transactions(token)
    day = whole[100]["date"]
    same_day = await api.transactions(token, f"&filter=date&min_date={day}&max_date={day}")
    assert same_day == [row for row in whole if row["date"] == day]
    month = await api.transactions(token, "&filter=date&min_date=2025-12&max_date=2025-12")
    assert month == [row for row in whole if row["date"].startswith("2025-12")]
    year = await api.transactions(token, "&filter=date&max_date=2025")
    assert year == [row for row in whole if row["date"] < "2026"]
    for bad in ("2025-13", "2025-02-30", "yesterday", "2025-1-1-1"):
        assert (await api.get(f"{LIST}?limit=5&min_date={bad}", token)).code == "invalidValue"


async def test_the_default_date_filter_is_the_one_a_user_can_edit(api, token):
    row = (await api.transactions(token))[0]
    edit = {"application_date": "1999-12-31", "wording": "mine"}
    edited = (await api.post(f"{LIST}/{row['id']}", token, json=edit)).body
    assert (edited["date"], edited["wording"]) == (row["date"], "mine")
    assert [r["id"] for r in await api.transactions(token, "&max_date=1999")] == [row["id"]]
    assert await api.transactions(token, "&filter=date&max_date=1999") == []


async def test_income_splits_by_sign(api, token):
    whole = await api.transactions(token)
    income = await api.transactions(token, "&income=true")
    spent = await api.transactions(token, "&income=false")
    assert income == [row for row in whole if row["value"] > 0]
    assert spent == [row for row in whole if row["value"] < 0]


async def test_last_update_is_strictly_after_and_means_paris(api, token):
    scraped = (await api.transactions(token))[0]["last_update"]
    assert scraped == "2026-03-16 09:00:00"
    assert await api.transactions(token, f"&last_update={scraped}") == []
    assert await api.transactions(token, "&last_update=2026-03-16T08:59:59")

    await api.post("/simulator/clock", json={"advance_seconds": 1})
    added = await add(api, "2026-03-16")
    found = await api.transactions(token, f"&last_update={scraped}")
    assert [row["webid"] for row in found] == [added["webid"]]
    assert found[0]["last_update"] == "2026-03-16 09:00:01"
    assert (await api.get(f"{LIST}?limit=5&last_update=soon", token)).code == "invalidValue"


async def test_a_deleted_row_hides_and_returns_under_its_id(api, token):
    row = (await api.transactions(token))[0]
    path = f"{SALARIED}/transactions/{row['webid']}"
    await api.post("/simulator/clock", json={"advance_seconds": 60})
    await api.call("DELETE", path)
    assert row["id"] not in [r["id"] for r in await api.transactions(token)]
    (gone,) = await api.transactions(token, "&deleted=true")
    assert gone["id"] == row["id"]
    assert gone["deleted"] == gone["last_update"] == "2026-03-16 09:01:00"
    everything = await api.transactions(token, "&all=")
    assert row["id"] in [r["id"] for r in everything]
    assert (await api.get(f"{LIST}/{row['id']}", token)).status == 404
    assert (await api.get(f"{LIST}/{row['id']}?all", token)).status == 200

    await api.post(f"{path}/undelete")
    back = (await api.get(f"{LIST}/{row['id']}", token)).body
    assert (back["deleted"], back["value"]) == (None, row["value"])


async def test_an_amended_row_keeps_its_id(api, token):
    row = (await api.transactions(token))[3]
    await api.post("/simulator/clock", json={"advance_seconds": 60})
    path = f"{SALARIED}/transactions/{row['webid']}"
    await api.call("PATCH", path, json={"value": "-19.99", "wording": "CORRIGE"})
    found = (await api.get(f"{LIST}/{row['id']}", token)).body
    assert (str(found["value"]), found["original_wording"]) == ("-19.99", "CORRIGE")
    assert found["date_scraped"] == row["date_scraped"]
    assert found["last_update"] > row["last_update"]


async def test_amounts_are_written_to_the_last_digit(api, token):
    for value in ("0.10", "-19.99", "90071992547409.93", "-0.01"):
        await add(api, "2026-03-16", value)
    answer = await api.get(f"{LIST}?limit=20&filter=date&min_date=2026-03-16", token)
    written = answer.written("value")
    assert {"0.10", "-19.99", "90071992547409.93", "-0.01"} <= set(written)
    for value in ("0.001", "NaN", "1e999999", "9" * 40):
        assert (await add(api, "2026-03-16", value))["code"] == "invalidValue"


async def test_yen_have_no_decimals(api):
    token = await api.user()
    await api.connect(token, "two_currencies")
    yen = next(a for a in await api.accounts(token) if a["currency"]["id"] == "JPY")
    assert yen["currency"]["precision"] == 0
    answer = await api.get(f"/2.0/users/me/accounts/{yen['id']}/transactions?limit=1000", token)
    assert all(value.lstrip("-").isdigit() for value in answer.written("value"))
    assert "118000" in answer.written("value")


async def test_every_alias_of_a_list_answers_the_same(api, token):
    whole = await api.transactions(token)
    account = whole[0]["id_account"]
    (connection,) = (await api.get("/2.0/users/me/connections", token)).body["connections"]
    nested = f"/2.0/users/me/connections/{connection['id']}"
    by_connection = await api.get(f"{nested}/transactions?limit=1000", token)
    assert by_connection.body["transactions"] == whole
    expected = [row for row in whole if row["id_account"] == account]
    for path in (f"/2.0/users/me/accounts/{account}", f"{nested}/accounts/{account}"):
        assert (await api.get(f"{path}/transactions?limit=1000", token)).body["transactions"] == expected
    single = await api.get(f"{nested}/accounts/{account}/transactions/{whole[0]['id']}", token)
    assert single.body == whole[0]


async def test_pending_rows_are_marked_and_stay_out_of_the_balance(api):
    token = await api.user()
    await api.connect(token, "pending")
    (account,) = await api.accounts(token)
    rows = await api.transactions(token)
    coming = [row for row in rows if row["coming"]]
    assert len(coming) == 4
    assert account["coming"] == sum(row["value"] for row in coming)
    assert account["coming_balance"] == account["balance"] + account["coming"]
    (foreign,) = [row for row in coming if row["original_currency"]]
    assert foreign["original_currency"]["id"] == "CHF"


@pytest.mark.parametrize("new_id", [False, True])
async def test_a_pending_row_is_booked_in_either_way(api, new_id):
    token = await api.user()
    await api.connect(token, "pending")
    (before,) = await api.accounts(token)
    row = next(r for r in await api.transactions(token) if r["coming"])
    path = f"/simulator/logins/pending/transactions/{row['webid']}/book"
    assert (await api.post(path, json={"new_id": new_id})).status == 200

    (after,) = await api.accounts(token)
    assert after["balance"] == before["balance"] + row["value"]
    assert after["coming"] == before["coming"] - row["value"]
    ids = [r["id"] for r in await api.transactions(token)]
    assert (row["id"] in ids) is not new_id
    assert len(ids) == len(await api.transactions(token, "&deleted=false"))


def a_long_history(folder, rows):
    """Write a data set in Berka's layout with one account of so many rows."""
    (folder / "account.csv").write_text(
        "account_id,district_id,frequency,date\n7,1,POPLATEK MESICNE,1993-01-01\n"
    )
    header = (
        "trans_id,account_id,date,seq,type,operation,amount,balance,k_symbol,bank,partner_account,slice\n"
    )
    lines = [
        f"{n + 1},7,1993-{n // 200 + 1:02d}-15,{n},PRIJEM,VKLAD,1.00,{n + 1}.00,,,,A\n" for n in range(rows)
    ]
    with gzip.open(folder / "transactions.csv.gz", "wt") as file:
        file.write(header + "".join(lines))
    return folder
