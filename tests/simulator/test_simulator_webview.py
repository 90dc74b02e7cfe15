"""The way a person takes through the bank's pages."""

import re
from html.parser import HTMLParser

import pytest


class Form(HTMLParser):
    """What a browser would know of the page: its form, its inputs and its buttons."""

    def __init__(self, page):
        super().__init__()
        self.form = None
        self.fields = {}
        self.labels = set()
        self.buttons = {}
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "form":
            self.form = found
        elif tag == "input":
            self.fields[found["name"]] = found
        elif tag == "button":
            self.buttons[found.get("name")] = found
        elif tag == "label":
            self.labels.add(found["for"])


async def test_the_page_is_a_plain_form_which_posts_to_its_own_address(api):
    page = await api.webview("connect", code=await api.code(await api.user()), state="s")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    form = Form(page.text)
    assert form.form == {"method": "post"}
    assert set(form.fields) == form.labels == {"login", "password"}
    assert form.fields["password"]["type"] == "password"
    assert "cancel" in form.buttons
    assert "<script" not in page.text


async def test_a_login_connects_and_enables_every_account(api):
    token = await api.user()
    code = await api.code(token)
    form = {"login": "salaried", "password": "1234"}
    answer = await api.webview("connect", form, code=code, state="a b&c=d")
    assert answer.headers["Location"].startswith(f"{api.callback}?")
    assert answer.returned["state"] == "a b&c=d"

    connections = (await api.get("/2.0/users/me/connections", token)).body
    assert [str(c["id"]) for c in connections["connections"]] == [answer.returned["connection_id"]]
    accounts = await api.accounts(token)
    assert [a["type"] for a in accounts] == ["checking", "livret_a"]
    assert [a["disabled"] for a in accounts] == [None, None]


@pytest.mark.parametrize(
    ("login", "password"),
    [("salaried", "12345"), ("salaried", ""), ("nobody", "1234"), ("", ""), ('"><b>', "1234")],
)
async def test_a_wrong_login_shows_the_form_again(api, login, password):
    token = await api.user()
    code = await api.code(token)
    answer = await api.webview("connect", {"login": login, "password": password}, code=code)
    assert answer.status == 200
    assert 'role="alert"' in answer.text
    assert Form(answer.text).fields["login"]["value"] == login
    assert "<b>" not in answer.text
    assert (await api.get("/2.0/users/me/connections", token)).body["total"] == 0

    # The code is still good for another try.
    right = await api.webview("connect", {"login": "salaried", "password": "1234"}, code=code)
    assert right.status == 302


async def test_cancelling_sends_the_person_back_with_the_error(api):
    code = await api.code(await api.user())
    form = {"login": "salaried", "password": "1234", "cancel": "1"}
    returned = (await api.webview("connect", form, code=code, state="s")).returned
    assert returned["error"] == "access_denied"
    assert returned["error_description"]
    assert returned["state"] == "s"
    assert "connection_id" not in returned


async def test_a_used_or_expired_or_invented_code_opens_nothing(api):
    token = await api.user()
    used = await api.code(token)
    form = {"login": "salaried", "password": "1234"}
    await api.webview("connect", form, code=used)
    expired = await api.code(token)
    await api.post("/simulator/clock", json={"advance_seconds": 1800})

    for code in (used, expired, "invented", token):
        assert (await api.webview("connect", code=code)).status == 403
        answer = await api.webview("connect", form, code=code)
        assert answer.status == 403
        assert code not in answer.text
    assert (await api.get("/2.0/users/me/connections", token)).body["total"] == 1


async def test_without_a_code_the_person_becomes_a_new_user(api):
    form = {"login": "twins", "password": "1234"}
    returned = (await api.webview("connect", form)).returned
    exchange = {**api.credentials, "code": returned["code"]}
    token = (await api.post("/2.0/auth/token/access", json=exchange)).body["access_token"]
    connection = await api.get(f"/2.0/users/me/connections/{returned['connection_id']}", token)
    assert connection.status == 200


@pytest.mark.parametrize(
    "address",
    [
        "",
        "https://elsewhere.example/callback",
        "http://127.0.0.1.example/callback",
        "http://user@127.0.0.1/callback",
        "javascript:alert(1)",
        "http://127.0.0.1/callback?a=b",
        "http://127.0.0.1/call\r\nback",
        "//127.0.0.1/callback",
    ],
)
async def test_only_plain_loopback_addresses_are_returned_to(api, address):
    code = await api.code(await api.user())
    page = await api.webview("connect", code=code, redirect_uri=address)
    assert page.status == 400
    assert "Location" not in page.headers


async def test_a_strict_simulator_returns_to_exactly_what_it_knows(served):
    known = "https://app.example/callback"
    api = await served(redirect_uris=(known,), client_id="1234")
    code = await api.code((await api.post("/2.0/auth/init")).body["auth_token"])
    form = {"login": "salaried", "password": "1234"}
    for address in (api.callback, f"{known}/", f"{known}#x"):
        answer = await api.webview("connect", form, code=code, redirect_uri=address)
        assert answer.status == 400
    stranger = {"redirect_uri": known, "code": code, "client_id": "5"}
    assert (await api.webview("connect", form, **stranger)).status == 400
    answer = await api.webview("connect", form, code=code, redirect_uri=known)
    assert answer.headers["Location"].startswith(f"{known}?connection_id=")


async def test_reconnecting_mends_the_connection_and_returns_the_state_alone(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    path = f"/simulator/connections/{connection}/state"
    await api.post(path, json={"state": "SCARequired"})

    query = {"code": await api.code(token), "connection_id": connection, "state": "s"}
    other = await api.webview("reconnect", {"login": "twins", "password": "1234"}, **query)
    assert other.status == 200
    form = {"login": "salaried", "password": "1234"}
    assert (await api.webview("reconnect", form, **query)).returned == {"state": "s"}
    shown = (await api.get(f"/2.0/users/me/connections/{connection}", token)).body
    assert shown["state"] is None


async def test_nobody_reconnects_somebody_elses_connection(api):
    connection = await api.connect(await api.user(), "salaried")
    stranger = await api.code(await api.user())
    page = await api.webview("reconnect", code=stranger, connection_id=connection)
    assert page.status == 404


async def test_connections_can_be_deleted_on_the_manage_page(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    query = {"code": await api.code(token), "state": "s"}
    assert connection in (await api.webview("manage", **query)).text
    after = await api.webview("manage", {"delete": connection}, **query)
    assert connection not in after.text
    assert (await api.webview("manage", {"done": "1"}, **query)).returned == {"state": "s"}


async def test_a_chosen_connector_is_the_one_connected(api):
    token = await api.user()
    connectors = (await api.get("/2.0/connectors")).body["connectors"]
    wanted = connectors[0]["uuid"]
    connection = await api.connect(token, "salaried", connector_uuids=wanted)
    path = f"/2.0/users/me/connections/{connection}?expand=connector"
    assert (await api.get(path, token)).body["connector"]["uuid"] == wanted


async def test_the_page_speaks_french_when_asked(api):
    query = {"redirect_uri": api.callback}
    page = await api.get("/fr/connect", params=query)
    assert '<html lang="fr">' in page.text
    assert re.search(r"<title>Connectez", page.text)
