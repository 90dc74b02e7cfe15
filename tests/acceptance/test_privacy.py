"""Canaries through the whole story and its failures, at the most talkative log level; then every byte that the
service left anywhere is searched for them, in the clear and in the usual codings (C1, C4, C7, A1)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit
from uuid import UUID

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from adapters.budget_insight.simulator import SimulatorOptions
from adapters.budget_insight.simulator import serve as serve_bank
from adapters.event_log.database import connect_writer
from adapters.keys.master import KEYS_FILE
from adapters.read_models import pointer
from adapters.read_models.sqlite import SqliteGeneration
from adapters.storage import LOG_FILE, READ_MODELS_FOLDER, SECRETS_FILE
from projections.directory import CONSUMERS, Consumer
from tests.acceptance.harness import API_KEY, Answer, Client, PassbookProcess, children_of
from tests.acceptance.hostile import link_parts, read_only

pytestmark = pytest.mark.asyncio(loop_scope="module")

GONE_SECONDS = 5.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@cache
def codings(canary: str | bytes) -> tuple[bytes, ...]:
    """What a canary may look like: itself, hex, base64 at each alignment, for an address, in JSON, in UTF-16."""
    return tuple(dict.fromkeys(_codings(canary)))


def _codings(canary: str | bytes) -> Iterator[bytes]:
    raw = canary.encode() if isinstance(canary, str) else canary
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            coded = encode(b"\0" * shift + raw)
            # The first and the last letters also stand for what is beside it.
            inner = coded[4 if shift else 0 : len(coded) // 4 * 4 - 4]
            if len(inner) >= 10:
                yield inner
    if isinstance(canary, str):
        yield from (quote(canary, safe="").encode(), quote_plus(canary).encode(), quote(canary).encode())
        yield json.dumps(canary)[1:-1].encode()
        yield canary.encode("utf-16-le")
        if len(canary) > 20:
            # Cut in two by a line or a page, either half still tells.
            yield raw[: len(raw) * 2 // 3]
            yield raw[len(raw) // 3 :]


def found_in(content: bytes, canaries: dict[str, Any]) -> list[str]:
    return [name for name, canary in canaries.items() if any(coded in content for coded in codings(canary))]


def files_below(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (
            (path for path in sorted(folder.rglob("*")) if path.is_file()) if folder.is_dir() else (folder,)
        )


def traces(
    folder: Path, canaries: dict[str, Any], *, but: Callable[[Path], bool] = lambda path: False
) -> list[str]:
    """Where canaries are in the files of a folder, as `file: name`."""
    hits = []
    for path in files_below(folder):
        if not but(path):
            with contextlib.suppress(FileNotFoundError):
                hits += [f"{path.name}: {name}" for name in found_in(path.read_bytes(), canaries)]
    return hits


def is_read_model(path: Path) -> bool:
    """The files that are documented as clear."""
    return path.parent.name == READ_MODELS_FOLDER and path.name.startswith("generation-")


class Spy:
    """Stands around the simulated bank: takes down every token that goes by, and answers badly when told to."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.codes: set[str] = set()
        self.answer: Callable[[], web.Response] | None = None

    @web.middleware
    async def __call__(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer":
            self.tokens.add(token)
        if self.answer is not None and request.path.startswith("/2.0/users/me") and request.method == "GET":
            return self.answer()
        response = await handler(request)
        body = getattr(response, "body", None)
        if isinstance(body, bytes) and body.startswith(b"{"):
            said = json.loads(body)
            self.tokens |= {said[name] for name in ("auth_token", "access_token") if said.get(name)}
            if isinstance(said.get("code"), str) and response.status < 400:
                self.codes.add(said["code"])
        return response


PERSON = {
    "first_name": "Élodie-Kanarie",
    "last_name": "Vögelchen Zq7",
    "birthdate": "1903-05-17",
    "email": "elodie.kanarie.zq7@vogel.example",
    "postal_code": "KNR-75Q07",
    "group": "gruppe-kanarie-zq7",
    "return_url": "https://zurueck.kanarie-zq7.example/fertig?kunde=kq7z11",
}
COMPANY = {
    "name": "Volière Kanarie SARL Zq8",
    "siren": "907351824",
    "ape_code": "KN.42Z-q8",
    "postal_code": "KNR-13Q08",
    "group": "gruppe-kanarie-zq8",
    "return_url": "https://zurueck.kanarie-zq8.example/fertig",
}
SECRETS = {
    "client_secret": "Geheimnis-kanarie-s1-8c41f7a09d3e",
    "client_secret replaced": "Geheimnis-kanarie-s0-77b1d2f4ac90",
    "client_secret refused": "Geheimnis-kanarie-s9-51aa06c3be24",
    "client_id": "kundennummer-kanarie-6620913",
    "domain": "kanarie-domaene-zq9",
    "environment's API key": API_KEY,
    "idempotency key": "idem-kanarie-4f0d9b7c2e61",
    "idempotency key in vain": "idem-kanarie-00c3d9b7e2f5",
    "wrong API key": "schluessel-kanarie-falsch-3b9d",
    "wrong state": "zustand-kanarie-falsch-2c17",
    "query": "abfrage-kanarie-91c7d",
    "path": "pfad-kanarie-44e0a",
    "what the bank said": "bank-sagte-kanarie-b81f6",
    "Log-Position": "stelle-kanarie-d0a95",
    "field name": "feldname_kanarie_e77c1",
}


class Told(msgspec.Struct, kw_only=True):
    """The story as it was told, and what it must not have left behind."""

    process: PassbookProcess
    client: Client
    bank: str
    spy: Spy
    person: str
    company: str
    connection: str
    secrets: dict[str, Any]
    personal: dict[str, Any]
    """Of the person, who may be erased."""
    others: dict[str, Any]
    """Of the company, which stays."""
    refusals: list[Answer]


async def mark(session: aiohttp.ClientSession, bank: str, login: str, tag: str) -> dict[str, str]:
    """Give a login's first account a name, and rows, that are found again; return all that is personal of it."""
    async with session.get(f"{bank}/simulator/logins/{login}") as response:
        account = (await response.json())["accounts"][0]
    found = {
        "IBAN": account["iban"],
        "account number": account["number"],
        "account name": f"Livret Kanarie {tag}é",
    }
    where = f"{bank}/simulator/logins/{login}/accounts/{account['account']}"
    async with session.patch(where, json={"name": found["account name"]}) as response:
        assert response.ok
    for number in range(12):
        found[f"wording {number}"] = f"VIR KANARIE {tag} {number:02d} LOYER SECRET"
        row = {
            "date": f"2026-{number % 9 + 1:02d}-11",
            "value": -12.34 - number,
            "wording": found[f"wording {number}"],
        }
        async with session.post(f"{where}/transactions", json=row) as response:
            assert response.ok, await response.text()
    return {f"{login}'s {name}": value for name, value in found.items()}


async def tell(client: Client, process: PassbookProcess, bank: str, spy: Spy, *, failures: bool) -> Told:
    """Everything a client can do, and much that it can do wrong; with `failures`, also what the bank can."""
    refusals: list[Answer] = []

    async def refused(method: str, path: str, body: Any = None, **more: Any) -> None:
        answer = await client.ask(method, path, body, **more)
        assert 400 <= answer.status < 500, (path, answer.status)
        refusals.append(answer)

    secrets, provider = dict(SECRETS), "/api/v6/providers/budget_insight"
    personal = await mark(client.session, bank, "salaried", "zq7")
    others = await mark(client.session, bank, "freelancer", "zq8")
    credentials = {name: SECRETS[name] for name in ("domain", "client_id", "client_secret")}
    for wrong in (
        {
            **credentials,
            "domain": f"{SECRETS['domain']}.evil.example",
            "client_secret": SECRETS["client_secret refused"],
        },
        {**credentials, "client_secret": SECRETS["client_secret refused"] + " "},
        {**credentials, SECRETS["field name"]: "1"},
        {**credentials, "client_id": [SECRETS["client_id"]]},
        SECRETS["client_secret refused"],
    ):
        await refused("PUT", f"{provider}/credentials", {"credentials": wrong})
    for secret in (SECRETS["client_secret replaced"], SECRETS["client_secret"]):
        await client.ask(
            "PUT",
            f"{provider}/credentials",
            {"credentials": {**credentials, "client_secret": secret}},
            expect=204,
        )
    await client.qard("PUT", "/providers/budget_insight/settings", {"auto_connect": False})
    await client.qard("PUT", "/providers/budget_insight", {"enable": True})
    secrets["made API key"] = (await client.ask("POST", "/v1/api-keys", expect=201)).body["api_key"]

    # Users, and requests about them that are not understood.
    keyed = {"Idempotency-Key": SECRETS["idempotency key"]}
    person = (await client.ask("POST", "/api/v6/users/natural", PERSON, headers=keyed, expect=201)).body["id"]
    company = (await client.ask("POST", "/api/v6/users/legal", COMPANY, expect=201)).body["id"]
    await refused("POST", "/api/v6/users/natural", {**PERSON, "group": "other"}, headers=keyed)
    in_vain = {"Idempotency-Key": SECRETS["idempotency key in vain"]}
    for name in PERSON:
        await refused("POST", "/api/v6/users/natural", {**PERSON, name: [PERSON[name]]}, headers=in_vain)
        await refused("PATCH", f"/api/v6/users/{person}", {name: PERSON[name] + "\x00"})
        await refused("POST", "/api/v6/users/legal", {**COMPANY, SECRETS["field name"]: PERSON[name]})
    await refused("POST", "/api/v6/users/legal", {**COMPANY, "siren": COMPANY["siren"] + "x"})
    await refused("POST", "/api/v6/users/natural", PERSON, headers={"X-API-KEY": SECRETS["wrong API key"]})
    await refused("GET", f"/api/v6/users?{SECRETS['field name']}={SECRETS['query']}")
    await refused("GET", f"/api/v6/users?page={SECRETS['query']}")
    await refused("GET", f"/api/v6/users/{SECRETS['path']}")
    await refused("GET", f"/{SECRETS['path']}/{quote(PERSON['last_name'])}?x={quote(PERSON['email'])}")
    await refused("GET", "/api/v6/users", headers={"Log-Position": SECRETS["Log-Position"]})
    report = {"insights_consumer_id": SECRETS["path"]}
    await refused(
        "POST",
        "/insights/v1/reports/balances/create",
        report,
        headers={"Authorization": f"Token {client.key}"},
    )
    await refused(
        "POST",
        "/insights/v1/reports/balances/create",
        headers={"Authorization": f"Token {SECRETS['wrong API key']}"},
    )
    await client.qard("PATCH", f"/users/{person}", {"group": "default"})
    await client.qard("PATCH", f"/users/{person}", {"group": PERSON["group"]})
    await raw_garbage(process, SECRETS["path"])

    # To the bank and back: wrongly, in vain, and at last.
    connection = await client.a_connection(person)
    path, token = link_parts(connection["redirect_url"])
    secrets["link token"] = token
    states: list[str] = []
    for address in (
        f"{path}?token={SECRETS['wrong state']}",
        f"{path}?token={token}x",
        f"/connect/{SECRETS['path']}?token={token}",
    ):
        await refused("GET", address)
    for wrong in (
        {"state": SECRETS["wrong state"]},
        {"state": SECRETS["wrong state"] * 2, "error": SECRETS["query"]},
    ):
        await refused("GET", f"/callback/budgea?{urlencode(wrong)}")
    given_up = await client.log_in(connection["redirect_url"], "salaried", cancel=True)
    states += parse_qs(urlsplit(given_up).query)["state"]
    assert (await client.come_back(f"{given_up}&error_description={SECRETS['query']}")).status == 303
    callback = await client.log_in(connection["redirect_url"], "salaried")
    states += parse_qs(urlsplit(callback).query)["state"]
    assert (await client.come_back(f"{callback}&code={SECRETS['query']}")).status == 303
    assert (await client.come_back(callback)).status == 400
    business = await client.a_connection(company)
    secrets["company's link token"] = link_parts(business["redirect_url"])[1]
    callback = await client.log_in(business["redirect_url"], "freelancer")
    states += parse_qs(urlsplit(callback).query)["state"]
    assert (await client.come_back(callback)).status == 303

    # Syncs that fail in every way, with what the bank said; then as they should.
    said = SECRETS["what the bank said"]
    for badly in (
        (
            lambda: web.json_response({"code": said, "message": said, "description": said}, status=400),
            lambda: web.json_response({"code": "invalidToken", "message": said}, status=403),
            lambda: web.Response(text=f"<html>{said}</html>", content_type="text/html"),
            lambda: web.Response(text='{"accounts": [{"id": "' + said, content_type="application/json"),
            lambda: web.json_response({said: [said]}),
            lambda: web.Response(status=302, headers={"Location": f"{bank}/2.0/users/me?{said}"}),
            lambda: web.json_response(
                {"id": 1, "accounts": [{"id": 5, "name": said, "balance": said, "iban": said}]}
            ),
        )
        if failures
        else ()
    ):
        spy.answer = badly
        latest = await client.sync(person)
        assert not {sync["status"] for sync in latest} & {"SUCCESS"}, latest
        spy.answer = None
        await reconnected(client, person, connection["id"])
    async with client.session.get(f"{bank}/simulator/connections") as response:
        ours = (await response.json())["connections"][0]["id"]
    for state in ("wrongpass", "SCARequired") if failures else ():
        change = {"state": state, "error_message": said}
        async with client.session.post(f"{bank}/simulator/connections/{ours}/state", json=change) as response:
            assert response.ok
        assert not {sync["status"] for sync in await client.sync(person)} & {"SUCCESS"}
        await reconnected(client, person, connection["id"])
    for user in (person, company):
        assert {sync["status"] for sync in await client.sync(user)} == {"SUCCESS"}, await client.sync(user)
        await everything_of(client, user)

    secrets |= {f"state {number}": state for number, state in enumerate(states)}
    secrets |= {f"provider's token {number}": token for number, token in enumerate(sorted(spy.tokens))}
    secrets |= {f"webview code {number}": code for number, code in enumerate(sorted(spy.codes))}
    master = process.data.with_name(f"{process.data.name}.master-key").read_bytes()
    secrets["master key"] = master
    personal |= {f"person's {name}": value for name, value in PERSON.items()}
    others |= {f"company's {name}": value for name, value in COMPANY.items()}
    assert len(secrets) + len(personal) + len(others) >= 30 and spy.tokens and spy.codes
    return Told(
        process=process,
        client=client,
        bank=bank,
        spy=spy,
        person=person,
        company=company,
        connection=connection["id"],
        secrets=secrets,
        personal=personal,
        others=others,
        refusals=refusals,
    )


async def reconnected(client: Client, user: str, connection: str) -> None:
    """Let the person log in again, if the bank wants to see them."""
    link = (await client.qard("GET", f"/users/{user}/data-connections/{connection}"))["redirect_url"]
    if link:
        assert (await client.come_back(await client.log_in(link, "salaried"))).status == 303


async def raw_garbage(process: PassbookProcess, canary: str) -> None:
    for sent in (
        f"{canary} / HTTP/1.1\r\n\r\n",
        f"GET /{canary} HTTP/9.9{canary}\r\nX-API-KEY {canary}: x\r\n\r\n",
        f"\x16{canary}\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
        writer.write(sent.encode())
        with contextlib.suppress(ConnectionError):
            assert canary.encode() not in await asyncio.wait_for(reader.read(), 5)
        writer.close()


async def everything_of(client: Client, user: str) -> list[Any]:
    """All that can be read of a user, but for the moments that a read itself shows."""
    found: list[Any] = [await client.qard("GET", f"/users/{user}")]
    for path in (
        "data-connections",
        "sync",
        "banking-accounts",
        "banking-cashflow",
        "banking-credit-insights",
    ):
        found.append(await client.qard("GET", f"/users/{user}/{path}"))
    for account in found[3]["result"]:
        found.append(await client.everything(f"/users/{user}/banking-accounts/{account['id']}/transactions"))
    found.append(await client.balances(user, required_data_availability="NONE"))
    return found


@contextlib.asynccontextmanager
async def story(folder: Path, *, failures: bool = False) -> AsyncIterator[Told]:
    spy = Spy()
    runner, bank = await serve_bank(SimulatorOptions(seed=7, scheduled_syncs=False), faults=[spy.__call__])
    process = PassbookProcess(folder / "data", bank, PASSBOOK_LOG_LEVEL="DEBUG")
    before = os.umask(0)
    try:
        process.launch()
    finally:
        os.umask(before)
    try:
        await process.ready()
        async with aiohttp.ClientSession() as session:
            yield await tell(Client(session, process.address), process, bank, spy, failures=failures)
    finally:
        process.stop()
        await runner.cleanup()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    async with story(tmp_path_factory.mktemp("canaries"), failures=True) as made:
        yield made


# Nothing gets out


async def test_the_search_finds_what_is_there(told: Told) -> None:
    """A search that finds nothing anywhere would prove nothing."""
    assert set(told.personal) - {hit.split(": ")[1] for hit in traces(told.process.data, told.personal)} <= {
        # Kept in the log only, sealed.
        "salaried's account number"
    }
    canary = "Élodie-Kanarie Zq7 geheim"
    for coded in (
        canary.encode(), canary.encode().hex().encode(), base64.b64encode(b"a" + canary.encode() + b"bc"), quote(canary).encode(),
        base64.urlsafe_b64encode(b"ab" + canary.encode()), json.dumps(canary).encode(), quote_plus(canary).encode(),
    ):  # fmt: skip
        assert found_in(b"before" + coded + b"after", {"it": canary}) == ["it"], coded


async def test_no_secret_is_in_any_file(told: Told) -> None:
    assert traces(told.process.data, told.secrets) == []


async def test_nothing_personal_is_in_a_file_but_the_read_models(told: Told) -> None:
    assert traces(told.process.data, told.personal | told.others, but=is_read_model) == []


async def test_nothing_is_in_the_output(told: Told) -> None:
    output = told.process.log.read_bytes()
    assert b'"level":"info"' in output and len(output) > 10_000, "it was talkative"
    assert found_in(output, told.secrets | told.personal | told.others) == []
    for line in output.splitlines():
        assert not line.startswith(b"Traceback") and b'"level":"error"' not in line, line


async def test_nothing_is_in_what_everybody_may_ask(told: Told) -> None:
    for path in (
        "/metrics",
        "/readyz",
        "/healthz",
        "/openapi.json",
        "/docs",
        "/api/v6/providers",
        "/api/v6/providers/budget_insight",
    ):
        answer = await told.client.ask("GET", path, expect=200)
        assert (
            found_in(answer.raw + str(answer.headers).encode(), told.secrets | told.personal | told.others)
            == []
        ), path
    metrics = (await told.client.ask("GET", "/metrics")).raw
    assert told.person.encode() not in metrics and told.connection.encode() not in metrics


async def test_nothing_is_in_a_refusal(told: Told) -> None:
    assert len(told.refusals) > 35
    for answer in told.refusals:
        hits = found_in(answer.raw + str(answer.headers).encode(), told.secrets | told.personal | told.others)
        assert hits == [], answer.raw


async def test_no_answer_holds_a_secret(told: Told) -> None:
    """Answers show the person's data; of secrets only what they are there to hand out: the link."""
    paths = [
        f"/users/{told.person}{path}"
        for path in ("", "/data-connections", "/sync", "/sync/latest", "/banking-accounts")
    ]
    for path in (*paths, "/users", "/profile", "/clients"):
        answer = await told.client.ask("GET", f"/api/v6{path}", expect=200)
        assert found_in(answer.raw, told.secrets) == [], path


async def test_nothing_is_in_the_arguments_of_a_process(told: Told) -> None:
    for pid in (told.process.pid, *children_of(told.process.pid)):
        said = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert found_in(said, told.secrets | told.personal) == [], said


async def test_the_projector_is_not_handed_the_api_key(told: Told) -> None:
    for pid in children_of(told.process.pid):
        assert found_in(Path(f"/proc/{pid}/environ").read_bytes(), told.secrets) == []


async def test_a_mistaken_setting_is_not_repeated(tmp_path: Path) -> None:
    canary = "kanarie-einstellung-5d1c"
    mistaken = {
        "PASSBOOK_BUDGET_INSIGHT_URL": f"ftp://user:{canary}@x",
        "PASSBOOK_PUBLIC_URL": f"https://user:{canary}@",
        "PASSBOOK_LOG_LEVEL": canary,
    }
    environment = {**mistaken, "PASSBOOK_API_KEY": canary[:12]}
    process = PassbookProcess(tmp_path / "data", "http://127.0.0.1:1", **environment)
    done = await asyncio.to_thread(process.command, "serve")
    assert done.returncode == 2
    assert canary[:12] not in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert all(name in done.stderr for name in mistaken)
    assert not (tmp_path / "data").exists()


# What is kept, is kept private


async def test_nobody_else_may_read_a_file(told: Told) -> None:
    """The service was started under a umask that takes nothing away."""
    data = told.process.data
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for path in (data, *data.rglob("*"), data.with_name(f"{data.name}.master-key"))
    }
    wrong = {
        path.name: oct(mode) for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)
    }
    assert wrong == {}
    names = {path.name for path in modes}
    for name in (LOG_FILE, f"{LOG_FILE}-wal", KEYS_FILE, SECRETS_FILE, "current", "data.master-key"):
        assert name in names


async def test_a_data_folder_that_others_may_enter_is_closed_or_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    data.chmod(0o755)
    process = PassbookProcess(data, "http://127.0.0.1:1")
    process.launch()
    try:
        try:
            await process.ready()
        except AssertionError:
            assert "passbook: " in process.log.read_text(), "refused, and said why"
            return
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    finally:
        process.stop()


async def test_who_steals_the_keys_file_cannot_come_in(told: Told) -> None:
    """C7: every value that is stored of an API key, tried as one."""
    tried = 0
    with contextlib.closing(read_only(told.process.data / SECRETS_FILE)) as database:
        rows = database.execute("SELECT id, tenant, digest FROM api_keys").fetchall()
        rows += database.execute("SELECT reference, scope, sealed FROM secrets").fetchall()
    assert rows
    for id, tenant, digest in rows:
        coded = (
            digest.hex(),
            base64.b64encode(digest).decode(),
            base64.urlsafe_b64encode(digest).decode(),
            digest.hex().upper(),
        )
        for value in (
            id,
            tenant,
            *coded,
            *(f"pb_{id}_{part[:64]}" for part in coded),
            f"{id}:{digest.hex()}",
        ):
            for headers in (
                {"X-API-KEY": value[:500]},
                {"X-API-KEY": "", "Authorization": f"Token {value[:500]}"},
            ):
                answer = await told.client.ask("GET", "/api/v6/users", headers=headers)
                assert answer.status == 401, value
                tried += 1
    assert tried > 40


async def test_the_log_cannot_be_changed_over_the_services_own_connection(told: Told, tmp_path: Path) -> None:
    """A1, as far as SQLite goes: whatever code of ours may be told to do, the triggers refuse."""
    copy = tmp_path / LOG_FILE
    with (
        contextlib.closing(read_only(told.process.data / LOG_FILE)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    with contextlib.closing(connect_writer(copy)) as connection:

        def counts() -> list[Any]:
            return [
                connection.execute(f"SELECT * FROM {table}").fetchall()
                for table in ("events", "leaves", "commands")
            ]

        before = counts()
        assert all(before)
        for statement in (
            "UPDATE events SET state = x'00'", "UPDATE events SET position = position + 1000", "UPDATE OR IGNORE events SET topic = 'x'",
            "UPDATE OR REPLACE events SET originator_version = 1", "DELETE FROM events", "DELETE FROM events WHERE position = (SELECT max(position) FROM events)",
            "REPLACE INTO events SELECT position, originator_id, originator_version, topic, x'00' FROM events",
            "INSERT OR REPLACE INTO events (originator_id, originator_version, topic, state) SELECT originator_id, originator_version, topic, x'00' FROM events",
            "INSERT INTO events SELECT * FROM events WHERE true ON CONFLICT (position) DO UPDATE SET state = x'00'",
            "UPDATE leaves SET leaf = x'00'", "DELETE FROM leaves", "REPLACE INTO leaves SELECT position, x'00' FROM leaves",
            "UPDATE commands SET tenant = 'x'", "DELETE FROM commands", "REPLACE INTO commands SELECT * FROM commands",
        ):  # fmt: skip
            with pytest.raises(sqlite3.Error):
                connection.execute(statement)
            assert counts() == before, statement


# To be forgotten


async def gone(told: Told, canaries: dict[str, Any], seconds: float = GONE_SECONDS) -> list[str]:
    """What is still to be found of these after a while."""
    end = time.monotonic() + seconds
    while (left := traces(told.process.data, canaries)) and time.monotonic() < end:
        await asyncio.sleep(0.1)
    return left


def wrapped_keys(data: Path, scope: str) -> dict[str, bytes]:
    with contextlib.closing(read_only(data / KEYS_FILE)) as database:
        rows = database.execute(
            "SELECT scope, wrapped FROM keys WHERE scope = ?1 OR scope LIKE ?1 || '/%'", (scope,)
        ).fetchall()
    return {f"key of {name}": wrapped for name, wrapped in rows if wrapped is not None}


async def test_of_an_erased_person_nothing_is_left(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        client, process = told.client, told.process
        rebuilt = await asyncio.to_thread(process.command, "rebuild")
        assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
        kept = await everything_of(client, told.company)
        keys = wrapped_keys(process.data, f"default/{told.person}")
        kept_keys = wrapped_keys(process.data, f"default/{told.company}")
        assert len(keys) >= 3 and len(kept_keys) >= 3
        assert traces(process.data, told.personal) != []

        await client.qard("DELETE", f"/users/{told.person}", expect=204)
        assert await gone(told, told.personal) == []
        assert traces(process.data, keys) == [], "no bytes of a destroyed key are left"
        assert wrapped_keys(process.data, f"default/{told.person}") == {}
        assert wrapped_keys(process.data, f"default/{told.company}") == kept_keys

        # Whoever repeats the request that registered the person learns nothing either.
        again = await client.ask(
            "POST", "/api/v6/users/natural", PERSON, headers={"Idempotency-Key": SECRETS["idempotency key"]}
        )
        assert again.status == 404 and found_in(again.raw, told.personal) == []
        for path in (
            "",
            "/data-connections",
            "/sync",
            "/sync/latest",
            "/banking-accounts",
            "/banking-cashflow",
            "/banking-credit-insights",
        ):
            await client.qard("GET", f"/users/{told.person}{path}", expect=404)
        assert await everything_of(client, told.company) == kept

        audited = await asyncio.to_thread(process.command, "replay-audit")
        assert audited.returncode == 0, audited.stdout + audited.stderr
        assert process.stop() == 0
        process.launch()
        await process.ready()
        assert traces(process.data, told.personal | keys) == []
        rebuilt = await asyncio.to_thread(process.command, "rebuild")
        assert rebuilt.returncode == 0, rebuilt.stdout + rebuilt.stderr
        assert traces(process.data, told.personal | keys) == []
        await client.qard("GET", f"/users/{told.person}", expect=404)
        assert await everything_of(client, told.company) == kept
        said = (
            process.log.read_bytes()
            + (audited.stdout + audited.stderr + rebuilt.stdout + rebuilt.stderr).encode()
        )
        assert found_in(said, told.personal | told.secrets) == []
        assert traces(process.data, told.secrets) == []


async def test_of_a_deleted_connection_nothing_is_left(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        banking = {name: value for name, value in told.personal.items() if name.startswith("salaried")}
        assert traces(told.process.data, banking) != []
        await told.client.qard(
            "DELETE", f"/users/{told.person}/data-connections/{told.connection}", expect=204
        )
        assert await gone(told, banking) == []
        assert (await told.client.qard("GET", f"/users/{told.person}"))["email"] == PERSON["email"]


def some_person(number: int) -> dict[str, str]:
    return {
        "first_name": f"Kanarie{number:04d}Vorname" * 4,
        "last_name": f"Kanarie{number:04d}Nachname" * 6,
        "email": f"kanarie{number:04d}.post@vogel.example",
        "return_url": f"https://kanarie{number:04d}.example/" + f"weg{number:04d}" * 20,
    }


def numbers_in(folder: Path) -> set[int]:
    """Of which of these persons there is any trace in the files of a folder."""
    found: set[int] = set()
    for path in files_below(folder):
        with contextlib.suppress(FileNotFoundError):
            found.update(
                int(match[1]) for match in re.finditer(rb"(?i)(?:kanarie|weg)(\d{4})", path.read_bytes())
            )
    return found


@pytest.mark.campaign
async def test_of_many_erased_among_many_nothing_is_left(tmp_path: Path) -> None:
    """Pages that were split and merged keep copies of what moved, unless they are wiped as well."""
    process = PassbookProcess(tmp_path / "data", "http://127.0.0.1:1")
    process.launch()
    try:
        await process.ready()
        async with aiohttp.ClientSession() as session:
            client = Client(session, process.address)
            people: dict[str, int] = {}

            async def register(number: int) -> None:
                people[
                    (await client.qard("POST", "/users/natural", some_person(number), expect=201))["id"]
                ] = number

            for start in range(0, 96, 8):
                await asyncio.gather(*(register(number) for number in range(start, start + 8)))
            # Some move: their rows grow, and shrink again.
            for id, number in list(people.items())[::3]:
                await client.qard("PATCH", f"/users/{id}", {"last_name": f"Kanarie{number:04d}Nachname" * 13})
            erased = list(people.items())[::2]
            for start in range(0, len(erased), 6):
                await asyncio.gather(
                    *(
                        client.qard("DELETE", f"/users/{id}", expect=204)
                        for id, _ in erased[start : start + 6]
                    )
                )
            numbers = {number for _, number in erased}
            end = time.monotonic() + GONE_SECONDS
            while (left := sorted(numbers & numbers_in(process.data))) and time.monotonic() < end:
                await asyncio.sleep(0.2)
            assert left == [], f"{len(left)} of {len(erased)}: {left[:10]}"
            assert numbers_in(process.data) == set(people.values()) - numbers, "the others are still there"
            assert (await client.qard("GET", "/users"))["total"] == len(people) - len(erased)
    finally:
        process.stop()


async def test_no_page_of_the_read_models_keeps_a_copy_of_the_erased(tmp_path: Path) -> None:
    """The same as the test before it, with ids from a seed and straight on a generation, so that it always ends the same."""
    left = {}
    for seed in range(8):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        generation = SqliteGeneration(pointer.path_of(folder, 1))
        ids = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(96)]

        def put(
            number: int, times: int, generation: SqliteGeneration = generation, ids: list[str] = ids
        ) -> None:
            first, last, email, return_url = some_person(number).values()
            last = last[: len(last) // 6] * times
            details = (
                f"{first} {last}",
                first,
                last,
                None,
                email,
                None,
                None,
                None,
                "FR",
                "default",
                return_url,
            )
            position = generation.checkpoint()
            generation.begin().put(
                CONSUMERS, Consumer("default", ids[number], number + 1, "NATURAL", *details, 1, 1)
            )
            generation.commit(position, position + 1)

        for number in range(96):
            put(number, 6)
        for number in range(0, 96, 3):
            put(number, 13)
        for number in range(0, 96, 2):
            position = generation.checkpoint()
            generation.begin().delete(CONSUMERS, "default", ids[number])
            generation.commit(position, position + 1)
        generation.wipe()
        generation.close()
        assert numbers_in(folder) >= set(range(1, 96, 2))
        left[seed] = sorted(number for number in numbers_in(folder) if number % 2 == 0)
    assert not any(left.values()), left


async def test_an_erasure_during_a_rebuild_leaves_no_copy_in_the_generation_before(tmp_path: Path) -> None:
    """The projector is held up between the erasure and the switch: the old generation never sees the erasure."""
    async with story(tmp_path) as told:
        client, process = told.client, told.process
        (projector,) = children_of(process.pid)
        os.kill(projector, signal.SIGSTOP)
        try:
            erasing = asyncio.create_task(client.ask("DELETE", f"/api/v6/users/{told.person}"))
            while wrapped_keys(process.data, f"default/{told.person}"):
                await asyncio.sleep(0.02)
            await asyncio.to_thread(process.command, "rebuild")
        finally:
            os.kill(projector, signal.SIGCONT)
        assert (await erasing).status in (204, 503)
        assert (await client.ask("DELETE", f"/api/v6/users/{told.person}")).status in (204, 404)
        assert await gone(told, told.personal) == []


async def test_an_erasure_cut_off_by_a_kill_is_finished_after_the_restart(tmp_path: Path) -> None:
    """A reader keeps the write-ahead log from being emptied; then all is killed. Who empties it?"""
    async with story(tmp_path) as told:
        client, process = told.client, told.process
        folder = process.data / READ_MODELS_FOLDER
        number = pointer.current(folder)
        assert number is not None
        reader = read_only(pointer.path_of(folder, number))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM consumers").fetchone()
        answer = await client.ask("DELETE", f"/api/v6/users/{told.person}")
        assert answer.status in (204, 503)
        children = list(children_of(process.pid))
        process.kill()
        while any(Path(f"/proc/{child}").exists() for child in children):
            await asyncio.sleep(0.02)
        reader.close()
        process.launch()
        await process.ready()
        assert await gone(told, told.personal) == []
