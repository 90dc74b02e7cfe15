"""Bad input on every route of the running service: a 4xx in the door's own shape, as documented, that repeats nothing
and writes nothing. The operations are those of the live OpenAPI document, so that a new one is tried too."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import resource
import socket
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.acceptance.harness import API_KEY, CREDENTIALS, DATA_TYPES, Client, PassbookProcess
from tests.acceptance.hostile import (
    CANARY,
    NOBODY,
    SOMEBODY_ELSE,
    Got,
    Operation,
    Scene,
    link_parts,
    memory,
    misshapen,
    outbound,
    send,
    status_of,
    two_tenants,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE_MAX = 65_536
#: Of a body with rows.
ROWS_SIZE_MAX = 1_048_576
TAKES_ROWS = {f"{act}_stored_transactions" for act in ("create", "update", "replace")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    async with two_tenants(tmp_path_factory.mktemp("bad-input")) as made:
        yield made


class Trial:
    """Tries many things, and says at the end which of them went wrong, and how."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.head = scene.witness.head()
        self.tried = 0
        self.wrong: list[str] = []

    def judge(self, operation: Operation, what: str, got: Got, *expected: int) -> None:
        self.tried += 1
        said = f"{operation.method} {operation.path} [{what}]: "
        if got.status not in expected:
            self.wrong.append(f"{said}{got.status} and not {expected} {got.raw[:120]!r}")
        if got.status not in operation.statuses:
            self.wrong.append(f"{said}{got.status} is not documented")
        if got.status >= 400 and (why := misshapen(operation.door, got)):
            self.wrong.append(f"{said}{why}")
        if got.repeats():
            self.wrong.append(f"{said}repeats what was sent: {got.raw[:200]!r} {got.headers}")
        if (head := self.scene.witness.head()) != self.head:
            self.wrong.append(f"{said}something was written: {self.head} -> {head}")
            self.head = head

    def end(self, at_least: int) -> None:
        assert not self.wrong, f"{len(self.wrong)} of {self.tried}:\n" + "\n".join(self.wrong[:40])
        assert self.tried >= at_least, self.tried


# Keys


async def test_no_door_opens_without_its_own_key(scene: Scene) -> None:
    trial = Trial(scene)
    key = scene.ours.client.key
    missing = [{}, {"Cookie": f"X-API-KEY={key}"}, {"X-Api-Token": key}]
    wrong = [
        CANARY,
        f"pb_{'0' * 16}_{'0' * 64}",
        key[:-1],
        key + "x",
        key.upper(),
        "x" * 5_000,
        "\xe9" + CANARY,
        "null",
    ]
    for operation in (found for found in scene.operations if found.has_key):
        path, body = operation.at(scene.ids()), scene.good_body(operation)
        insights = operation.door == "/insights/v1"
        refused = [(headers, 401) for headers in missing]
        if operation.door != "/v1":
            # The other door's key, in the other door's header.
            refused.append(({"X-API-KEY": key} if insights else {"Authorization": f"Token {key}"}, 401))
        for value in wrong:
            refused.append(({"X-API-KEY": value}, 401))
            refused.append(({"Authorization": f"Token {value}"}, 403 if insights else 401))
        refused += [({"Authorization": f"{scheme} {key}"}, 401) for scheme in ("Basic", "Digest", "")]
        for headers, status in refused:
            got = await scene.send(operation.method, path, json=body, headers=headers)
            trial.judge(operation, f"key {str(headers)[:40]}", got, status)
        got = await scene.send(operation.method, f"{path}?X-API-KEY={key}&api_key={key}", json=body)
        trial.judge(operation, "key in the address", got, 401)
    trial.end(500)


async def test_without_a_key_nothing_is_told_of_what_is_there(scene: Scene) -> None:
    for operation in (found for found in scene.operations if found.has_key and found.ids):
        known = await scene.send(operation.method, operation.at(scene.ids()))
        unknown = await scene.send(operation.method, operation.at(dict.fromkeys(operation.ids, NOBODY)))
        assert known.comparable == unknown.comparable, operation.path


# Ids


async def test_ids_that_are_not_the_callers_are_unknown_to_the_byte(scene: Scene) -> None:
    """Z1: another tenant's ids, the own tenant's other user's, erased ones and random ones all look the same."""
    trial = Trial(scene)
    ours, theirs = scene.ours, scene.theirs
    others: dict[str, list[str]] = {
        "user_id": [theirs.user, theirs.other_user, ours.connection, ours.account],
        "consumer_id": [theirs.user, theirs.other_user, ours.connection, ours.account],
        "connection_id": [theirs.connection, theirs.other_connection, ours.other_connection, ours.user],
        "account_id": [theirs.account, ours.connection, ours.user],
        "pending_id": [theirs.account, ours.account, ours.user],
        "name": ["Budget_Insight", "budget_insight%20", "budget-insight", "default", theirs.user],
        "connection": [theirs.user, ours.user, ours.account],
        "endpoint": [theirs.user, "f" * 48],
        "event": ["connection_synced", "X"],
        "metric": ["c1", "B99", "C", "C1,C2"],
        "asset": ["openapi.json", "swagger-ui.js", "index.html"],
    }
    odd = [
        SOMEBODY_ELSE, "x", "0", "-1", CANARY, "a" * 2_000, "%00", "%2e%2e", "..%2f..%2f" + CANARY, "%f0%9f", "%ff%fe",
        "%e2%80%ae", NOBODY + "%0a", NOBODY + "%20", NOBODY.replace("-", ""), "urn:uuid:" + NOBODY,
        "%27%20OR%201%3D1--", "*", "null", "%25" + CANARY, NOBODY + "%2f..",
    ]  # fmt: skip
    for operation in (found for found in scene.operations if found.ids):
        body = scene.good_body(operation)
        for name in operation.ids:
            status = 400 if operation.door == "/connect" else 404
            ids = {**scene.ids(), name: NOBODY}
            keys = scene.keys(operation)
            random = await scene.send(operation.method, operation.at(ids), json=body, headers=keys)
            trial.judge(operation, f"{name} random", random, status)
            for value in (*others[name], *odd):
                path = operation.at({**ids, name: value})
                got = await scene.send(operation.method, path, json=body, headers=keys, **{})
                trial.judge(operation, f"{name}={value[:40]}", got, status)
                if got.comparable != random.comparable:
                    trial.wrong.append(
                        f"{operation.method} {path[:120]}: differs from a random id: {got.raw[:120]!r}"
                    )
        # All ids at once are another tenant's own, and would work with that tenant's key.
        if operation.door == "/api/v6" and operation.ids != ["name"]:
            got = await scene.send(
                operation.method, operation.at(theirs.ids), json=body, headers=scene.keys(operation)
            )
            trial.judge(operation, "all of another tenant", got, 404)
    trial.end(500)


async def test_another_tenants_ids_in_a_report_are_unknown_to_the_byte(scene: Scene) -> None:
    trial = Trial(scene)
    (operation,) = (found for found in scene.operations if found.name == "create_balances_report")
    ours, theirs = scene.ours, scene.theirs

    async def report(**body: Any) -> Got:
        return await scene.send("POST", operation.path, json=body, headers=scene.keys(operation))

    random = await report(insights_consumer_id=NOBODY)
    for consumer in (
        theirs.user,
        theirs.other_user,
        theirs.account,
        ours.account,
        "x",
        "",
        NOBODY.upper(),
        "%",
        "\u202e",
    ):
        got = await report(insights_consumer_id=consumer)
        trial.judge(operation, f"consumer {consumer}", got, 404)
        assert got.comparable == random.comparable
        for field in ("insights_account_ids", "excluded_insights_account_ids"):
            got = await report(insights_consumer_id=consumer, **{field: [theirs.account]})
            assert got.comparable == random.comparable, (
                "accounts of somebody else's consumer tell nothing either"
            )
    for field in ("insights_account_ids", "excluded_insights_account_ids"):
        for before, after in ([], []), ([ours.account], []), ([], [ours.account]):
            random = await report(insights_consumer_id=ours.user, **{field: [*before, NOBODY, *after]})
            trial.judge(operation, f"{field} random", random, 404)
            for account in (theirs.account, theirs.connection, ours.connection, "x", CANARY, ""):
                got = await report(insights_consumer_id=ours.user, **{field: [*before, account, *after]})
                trial.judge(operation, f"{field} {account}", got, 404)
                assert got.comparable == random.comparable, account
    assert (await report(insights_consumer_id=ours.user)).status == 200
    trial.end(40)


async def test_idempotency_keys_are_each_tenants_own(scene: Scene) -> None:
    headers = {"Idempotency-Key": "one-key-of-two-tenants"}
    body = {"first_name": "Theirs", "last_name": CANARY}
    theirs = await scene.theirs.client.ask("POST", "/api/v6/users/natural", body, headers=headers, expect=201)
    same = await scene.ours.client.ask("POST", "/api/v6/users/natural", body, headers=headers, expect=201)
    assert same.body["id"] != theirs.body["id"]
    again = await scene.theirs.client.ask("POST", "/api/v6/users/natural", body, headers=headers, expect=201)
    assert again.raw == theirs.raw
    head = scene.witness.head()
    # Another path, another method and another body under a used key are 422, in the door's shape.
    user = scene.ours.user
    for method, path, other in (
        ("POST", "/api/v6/users/legal", {"name": "A"}),
        ("POST", "/api/v6/users/natural", {"first_name": "Theirs", "last_name": "B"}),
        ("DELETE", f"/api/v6/users/{user}", None),
        ("POST", f"/api/v6/users/{user}/sync", None),
    ):
        answer = await scene.ours.client.ask(method, path, other, headers=headers)
        assert answer.status == 422, (path, answer.raw)
        assert CANARY.encode() not in answer.raw
    for key in ("", " ", "x" * 256, "é", "a b", "a\tb"):
        answer = await scene.ours.client.ask(
            "POST", "/api/v6/users/legal", {"name": "A"}, headers={"Idempotency-Key": key}
        )
        assert answer.status == 400 and CANARY.encode() not in answer.raw, key
    assert scene.witness.head() == head


async def test_an_idempotency_key_used_elsewhere_makes_no_api_key(scene: Scene) -> None:
    headers = {"Idempotency-Key": "used-elsewhere"}
    await scene.ours.client.ask("POST", "/api/v6/users/legal", {"name": "A"}, headers=headers, expect=201)
    await scene.ours.client.ask("POST", "/v1/api-keys", headers=headers, expect=422)


# Bodies

DEEP = 10_000


def hostile_bodies(good: dict[str, Any] | None) -> dict[str, bytes]:
    """Bodies that no operation takes. Those that are nearly good differ in one thing only."""
    canary = CANARY.encode()
    inside = json.dumps(good or {}).encode()[:-1]
    comma = b", " if good else b""
    field = next(iter(good), "first_name") if good else "first_name"

    def extended(more: bytes) -> bytes:
        return inside + comma + more + b"}"

    found = {
        "not JSON": b'{"name": ' + canary,
        "half": inside + comma + b'"' + canary,
        "text": b'"' + canary + b'"',
        "number": b"1",
        "null": b"null",
        "false": b"false",
        "list": b"[]",
        "list of the good": b"[" + inside + b"}]",
        "deep list": b"[" * DEEP + b"]" * DEEP,
        "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        "deep and open": b"[" * DEEP,
        "deep within": extended(b'"' + canary + b'": ' + b"[" * DEEP + b"]" * DEEP),
        "not UTF-8": extended(b'"' + canary + b'": "\xff"'),
        "overlong UTF-8": extended(b'"x": "\xc0\xaf' + canary + b'"'),
        "UTF-16": (inside + b"}").decode().encode("utf-16"),
        "UTF-32": (inside + b"}").decode().encode("utf-32"),
        "byte order mark": b"\xef\xbb\xbf" + inside + b"}",
        "NUL byte": extended(b'"' + canary + b'": "\x00"'),
        "NUL after": inside + b"}\x00",
        "lone surrogate": extended(b'"' + canary + b'": "\\ud800"'),
        "lone surrogate as a name": extended(b'"\\udc00' + canary + b'": 1'),
        "NaN": extended(b'"' + canary + b'": NaN'),
        "Infinity": extended(b'"' + canary + b'": -Infinity'),
        "1e400": extended(b'"' + canary + b'": 1e400'),
        "huge number": extended(b'"' + canary + b'": ' + b"9" * 50_000),
        "unknown field": extended(b'"' + canary + b'": "' + canary + b'"'),
        "mass assignment": extended(b'"tenant": "other", "id": "' + NOBODY.encode() + b'", "enabled": true'),
        "prototype": extended(b'"__proto__": {"' + canary + b'": 1}, "constructor": 1'),
        "many fields": extended(b", ".join(b'"%s%d": 1' % (canary, number) for number in range(2_500))),
        "key twice": extended(b'"%s": 1, "%s": 2' % (field.encode(), field.encode())),
        "key twice, escaped": extended(b'"x": 1, "\\u0078": 2'),
        "trailing": inside + b'} {"' + canary + b'": 1}',
        "comment": b"/* " + canary + b" */ " + inside + b"}",
        "single quotes": b"{'" + canary + b"': 1}",
        "form": b"name=" + canary,
        "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    }
    if good is None:
        # Nothing is also no body.
        found = {name: body for name, body in found.items() if body.strip()}
    return found


WRONG_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**30, "", CANARY, "\x00" + CANARY, CANARY + "\r\nX: y", "\u202e" + CANARY, "x" * 2_000,
    [], [CANARY], [[CANARY]], {}, {CANARY: CANARY}, {"$ne": CANARY}, [None], [1], ["BANK_ACCOUNT", CANARY], "0000-00-00",
    "2024-02-30", "1990-01-01T00:00:00Z", "javascript:" + CANARY, "//" + CANARY, "\ud83d\ude00" * 300,
]  # fmt: skip


async def test_no_body_gets_through_that_should_not(scene: Scene) -> None:
    trial = Trial(scene)
    for operation in (found for found in scene.operations if found.method != "GET" and not found.takes_bytes):
        path, keys, good = operation.at(scene.ids()), scene.keys(operation), scene.good_body(operation)
        for what, body in hostile_bodies(good).items():
            headers = {
                **keys,
                "Content-Type": "application/json",
                "Idempotency-Key": f"bad-{operation.name}-{what}"[:250].replace(" ", "-"),
            }
            got = await scene.send(operation.method, path, data=body, headers=headers)
            trial.judge(operation, what, got, 400)
    trial.end(400)


async def test_a_body_in_another_wrapping_is_refused_before_it_is_read(scene: Scene) -> None:
    trial = Trial(scene)
    for operation in (found for found in scene.operations if found.method != "GET" and not found.takes_bytes):
        path, keys = operation.at(scene.ids()), scene.keys(operation)
        good = json.dumps(scene.good_body(operation) or {}).encode()
        for kind in (
            "text/plain", "text/json", "application/xml", "application/x-www-form-urlencoded", "application/jsonp",
            "multipart/form-data; boundary=x", "application/json; charset=utf-16", "application/json; charset=latin-1",
            f"application/{CANARY}", f"application/json; charset={CANARY}", "*/*", "json",
        ):  # fmt: skip
            got = await scene.send(operation.method, path, data=good, headers={**keys, "Content-Type": kind})
            trial.judge(operation, kind, got, 415)
        bomb = gzip.compress(b" " * 10_000_000)
        for coding, body in (
            ("gzip", gzip.compress(good)), ("gzip", b"\x1f\x8b" + CANARY.encode()), ("gzip", bomb), ("deflate", good),
            ("br", good), ("zstd", good), (CANARY, good), ("identity, gzip", good), ("GZIP", good),
        ):  # fmt: skip
            headers = {**keys, "Content-Type": "application/json", "Content-Encoding": coding}
            got = await scene.send(operation.method, path, data=body, headers=headers)
            trial.judge(operation, f"coded {coding}", got, 415)
        largest = ROWS_SIZE_MAX if operation.name in TAKES_ROWS else SIZE_MAX
        for size in (largest + 1, largest + 300_000):
            headers = {**keys, "Content-Type": "application/json"}
            got = await scene.send(
                operation.method, path, data=good[:-1] + b" " * (size - len(good)) + b"}", headers=headers
            )
            trial.judge(operation, f"{size} bytes", got, 413)
    trial.end(200)


async def test_a_body_of_just_the_size_allowed_is_read(scene: Scene) -> None:
    body = b'{"insights_consumer_id": "' + scene.ours.user.encode() + b'"'
    body += b" " * (SIZE_MAX - len(body) - 1) + b"}"
    headers = {"Authorization": f"Token {API_KEY}", "Content-Type": "application/json"}
    assert (
        await scene.send("POST", "/insights/v1/reports/balances/create", data=body, headers=headers)
    ).status == 200


async def test_wrong_values_in_every_field(scene: Scene) -> None:
    """Whatever is put into any one field is refused, unless it is a value that the field's schema allows."""
    document = (await scene.ours.client.ask("GET", "/openapi.json")).body
    schemas = document["components"]["schemas"]
    trial = Trial(scene)
    for operation in (found for found in scene.operations if found.takes_body):
        path, keys, good = operation.at(scene.ids()), scene.keys(operation), scene.good_body(operation)
        schema = schemas[
            operation.document["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
        ]
        for field, described in schema.get("properties", {}).items():
            for value in WRONG_VALUES:
                if may_be(described, value) or (
                    operation.name == "update_credentials" and value == CREDENTIALS
                ):
                    continue
                body = json.dumps({**(good or {}), field: value}).encode()
                headers = {**keys, "Content-Type": "application/json"}
                got = await scene.send(operation.method, path, data=body, headers=headers)
                trial.judge(
                    operation,
                    f"{field}={value!r:.40}",
                    got,
                    400,
                    404 if field == "insights_consumer_id" else 400,
                )
    for field in CREDENTIALS:
        (operation,) = (found for found in scene.operations if found.name == "update_credentials")
        for value in WRONG_VALUES:
            if (
                field != "domain"
                and isinstance(value, str)
                and value.isascii()
                and value.isprintable()
                and 0 < len(value) < 256
                and " " not in value
            ):
                continue
            if isinstance(value, str) and re.fullmatch("[A-Za-z0-9-]{1,63}", value):
                continue
            body = json.dumps({"credentials": {**CREDENTIALS, field: value}}).encode()
            headers = {**scene.keys(operation), "Content-Type": "application/json"}
            got = await scene.send("PUT", operation.at(scene.ids()), data=body, headers=headers)
            trial.judge(operation, f"credentials.{field}={value!r:.40}", got, 400)
    trial.end(300)


def may_be(schema: dict[str, Any], value: Any) -> bool:
    """Whether a schema may allow a value: only that is tried which it surely does not."""
    options = schema.get("anyOf", [schema])
    kinds = {option.get("type") for option in options}
    match value:
        case None:
            return "null" in kinds
        case bool():
            return "boolean" in kinds
        case int():
            whole = [option for option in options if option.get("type") == "integer"]
            return any(o.get("minimum", value) <= value <= o.get("maximum", value) for o in whole)
        case str():
            texts = [option for option in options if option.get("type") == "string"]
            # Words that only their form could refuse are left to the tests that know the form.
            strict = all("enum" in o or "pattern" in o or "format" in o or "const" in o for o in texts)
            control = any(ord(character) < 32 or character == "\u202e" for character in value)
            free = not strict or value in ("", CANARY, "0000-00-00", "2024-02-30")
            if texts and value == "x" * 2_000 and all(o.get("maxLength", 10**9) < 2_000 for o in texts):
                return False
            if (
                texts
                and control
                and "\u202e" not in value
                and all("pattern" in o or "enum" in o for o in texts)
            ):
                return False
            return bool(texts) and (free or strict)
        case dict() if not value and "default" in schema:
            return True
        case dict():
            # A client's own labels.
            texts = all(isinstance(one, str) for one in value.values())
            return texts and any(option.get("maxProperties", 0) >= 100 for option in options)
        case [] if "array" in kinds:
            return True
        case ["BANK_ACCOUNT", _] if "array" in kinds:
            return True
        case [str()] if "array" in kinds:
            return True
    return False


# Queries


async def test_absurd_queries(scene: Scene) -> None:
    trial = Trial(scene)
    values = (
        "0", "-1", "1.0", "1e3", "", " 1", "+1", "1_0", "0x1", "٣", "¹", "9" * 400, "NaN", CANARY, "%00", "%ff", "1%0d%0a",
        "[]", "true", "null", "1;2", "%27", "../..", "%e2%80%8b1", "A" * 4_000,
    )  # fmt: skip
    for operation in scene.operations:
        path, keys = operation.at(scene.ids()), scene.keys(operation)
        body = scene.good_body(operation)
        browser = operation.door in ("/connect", "/callback")
        for query in (
            f"{CANARY}=1",
            f"a={CANARY}",
            "page[]=1",
            "__proto__=1",
            "%00=1",
            "%ff=%ff",
            "&&&=&",
            f"={CANARY}",
            "?",
        ):
            got = await scene.send(operation.method, f"{path}?{query}", json=body, headers=keys)
            trial.judge(operation, query, got, 400)
        for name in operation.parameters("query"):
            for value in values if not browser else (*values[-8:], CANARY, "x" * 129, "é", "<script>"):
                if name == "error":
                    continue
                got = await scene.send(
                    operation.method, f"{path}?{name}={quote(value, safe='%')}", json=body, headers=keys
                )
                # A company number of another country may be any short word: nobody has it, and that is an answer.
                # So it is to ask for a threshold of nothing, or for what is pending.
                is_fine = name == "siren" or ("/metrics" in operation.path and value in ("0", "true"))
                trial.judge(operation, f"{name}={value[:20]}", got, *((200, 400) if is_fine else (400,)))
            got = await scene.send(operation.method, f"{path}?{name}=1&{name}=1", json=body, headers=keys)
            trial.judge(operation, f"{name} twice", got, 400)
    (transactions,) = (found for found in scene.operations if found.name == "list_transactions")
    for query in (
        "from_date=2024-13-01", "from_date=2023-02-29", "to_date=24-01-01", "from_date=0000-01-01", "to_date=99999-01-01",
        "from_date=2024-01-01T00:00:00", "from_date=1704067200", "from_date=2024-06-02&to_date=2024-06-01",
        "transaction_type=card", "transaction_type=CARD,BANK", "transaction_type=CARD&transaction_type=CARD",
    ):  # fmt: skip
        got = await scene.send(
            "GET", f"{transactions.at(scene.ids())}?{query}", headers=scene.keys(transactions)
        )
        trial.judge(transactions, query, got, 400)
    for query in (
        "page=999999999&per_page=999999999",
        "from_date=0001-01-01&to_date=9999-12-31",
        "page=999999999&from_date=9999-12-31",
    ):
        got = await scene.send(
            "GET", f"{transactions.at(scene.ids())}?{query}", headers=scene.keys(transactions)
        )
        trial.judge(transactions, query, got, 200)
    for position in ("-1", "x", "1.0", "9" * 19, CANARY, "", "١"):
        headers = {**scene.keys(transactions), "Log-Position": position}
        got = await scene.send("GET", transactions.at(scene.ids()), headers=headers)
        trial.judge(transactions, f"Log-Position {position}", got, 400)
    trial.end(400)


# Where a domain would lead


def hostile_domains(port: int) -> list[str]:
    """F17's strings and their like, with a listening socket of ours as the host to be reached."""
    here = f"127.0.0.1:{port}"
    label = "a" * 64
    return [
        "", " ", ".", "..", "-", "-a", "a-", "a.", ".a", "a..b", "a b", " demo", "demo ", "demo\n", "demo\r\n", "demo\t",
        "demo\x00", "demo\x00.biapi.pro", "\ufeffdemo", "demo\u200b", "demo\u202e", "demo.biapi.pro\n", "demo.biapi.pro.",
        "demo.biapi.pro\r\nHost: x", ".biapi.pro", "biapi.pro.evil.example", "a.b.biapi.pro", "demo.biapi.pro.biapi.pro",
        "evilbiapi.pro", "evil.com", "evil.com#.biapi.pro", "evil.com/.biapi.pro", "evil.com?.biapi.pro", "evil.com\\.biapi.pro",
        "evil.com%23.biapi.pro", "evil.com%2f.biapi.pro", "evil.com%00.biapi.pro", "evil.com;.biapi.pro", "evil.com,.biapi.pro",
        "evil.com:443.biapi.pro", "user@demo", "user@demo.biapi.pro", "user:pass@demo.biapi.pro", "demo.biapi.pro@evil.com",
        "demo:443", "demo.biapi.pro:443", "demo.biapi.pro:80@evil.com", "demo/", "demo/../x", "../../x.biapi.pro", "demo\\", "demo#",
        "demo?", "demo?.biapi.pro", "demo%20", "demo%0d%0a", "%64emo", "http://demo", "https://demo.biapi.pro", "//demo.biapi.pro",
        "demo.biapi。pro", "demo。biapi.pro", "demo．biapi．pro", "demo｡biapi.pro", "dеmo", "démo", "DEMO\u0130", "ﬀ", "ſ", "\u212a", "①",
        "xn--80ak6aa92e.com", "xn--demo.evil.com", "127.0.0.1", here, f"{here}#", f"{here}#.biapi.pro", f"{here}/.biapi.pro",
        f"{here}?.biapi.pro", f"x@{here}#.biapi.pro", f"{here}\\.biapi.pro", f"localhost:{port}", f"localhost:{port}/", f"2130706433:{port}",
        f"017700000001:{port}", f"0x7f000001:{port}", f"0x7f.1:{port}", f"127.1:{port}", f"[::1]:{port}", "[::1]", f"[::ffff:127.0.0.1]:{port}",
        "::1", "0.0.0.0", "169.254.169.254", f"0:{port}", label, f"{label}.biapi.pro", "a" * 300, ".".join(["a" * 60] * 5),
        f"{{{here}}}", f"${{{here}}}", "demo'--", 'demo"', "demo`id`", "*", "*.biapi.pro", "demo,demo", "demo;demo", "(demo)", "demo!",
    ]  # fmt: skip


async def test_a_domain_leads_nowhere_but_to_the_provider(tmp_path: Path) -> None:
    """E3, without the override of the provider's address: what is refused is not stored, and nothing is connected to."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as trap:
        trap.setblocking(False)
        port = trap.getsockname()[1]
        domains = hostile_domains(port)
        assert len(set(domains)) >= 60
        process = PassbookProcess(tmp_path / "data", "http://127.0.0.1:1")
        for name in ("PASSBOOK_BUDGET_INSIGHT_URL", "PASSBOOK_WEBVIEW_URL"):
            del process._environment[name]
        process.launch()
        try:
            await process.ready()
            async with aiohttp.ClientSession() as session:
                client = Client(session, process.address)
                path = "/api/v6/providers/budget_insight"
                accepted = []
                for domain in domains:
                    for field in ("domain", "client_id", "client_secret"):
                        if (
                            field != "domain"
                            and domain.isascii()
                            and domain.isprintable()
                            and 0 < len(domain) < 256
                            and " " not in domain
                        ):
                            continue
                        body = {
                            "credentials": {
                                "domain": "d",
                                "client_id": "1",
                                "client_secret": "s",
                                field: domain,
                            }
                        }
                        answer = await client.ask("PUT", f"{path}/credentials", body)
                        if answer.status != 400 or set(answer.body) != {
                            "error_code",
                            "error_message",
                            "error_details",
                        }:
                            accepted.append((field, domain, answer.status))
                        if len(domain) > 6 and domain.encode() in answer.raw:
                            accepted.append((field, domain, "repeated"))
                    assert not list(outbound(process.pid, process.port)), domain
                assert not accepted
                # Each of them also beside something that is right, and as something else than a text.
                for odd in (
                    {"domain": ["demo"]},
                    {"domain": {"demo": 1}},
                    {"domain": 2130706433},
                    {"Domain": "demo"},
                    {"domain ": "demo"},
                ):
                    await client.qard(
                        "PUT",
                        "/providers/budget_insight/credentials",
                        {"credentials": {**CREDENTIALS, **odd}},
                        expect=400,
                    )
                refused = await client.qard("PUT", "/providers/budget_insight", {"enable": True}, expect=409)
                assert refused["error_code"] == "PROVIDER_CREDENTIALS_MISSING", "nothing was stored"
                position = (
                    await client.ask("PUT", f"{path}/credentials", {"credentials": CREDENTIALS}, expect=204)
                ).headers
                assert position["Log-Position"] == "1", "the first fact of all"
            with pytest.raises(BlockingIOError):
                trap.accept()
        finally:
            process.stop()


@pytest.mark.parametrize(
    "domain", ["demo", "demo.biapi.pro", "DEMO", "Demo.BIAPI.pro", "a", "a" * 63, "0", "a-b", "xn--demo"]
)
async def test_a_domain_that_is_one_label_is_taken(scene: Scene, domain: str) -> None:
    try:
        body = {"credentials": {**CREDENTIALS, "domain": domain}}
        await scene.ours.client.qard("PUT", "/providers/budget_insight/credentials", body, expect=204)
    finally:
        await scene.ours.client.qard(
            "PUT", "/providers/budget_insight/credentials", {"credentials": CREDENTIALS}, expect=204
        )


async def test_replacing_credentials_at_once_leaves_one_of_them(scene: Scene) -> None:
    client, address = scene.ours.client, "/api/v6/providers/budget_insight/credentials"
    try:
        for turn in range(3):
            bodies = [
                {"credentials": {**CREDENTIALS, "client_secret": f"secret-{turn}-{number}"}}
                for number in range(6)
            ]
            puts = [client.ask("PUT", address, body) for body in bodies]
            assert {answer.status for answer in await asyncio.gather(*puts)} == {204}
        path, token = link_parts(scene.ours.other_link)
        opened = await scene.send("GET", f"{path}?token={token}")
        assert opened.status == 302, "the provider is enabled, and has credentials"
    finally:
        await client.ask("PUT", address, {"credentials": CREDENTIALS}, expect=204)


# The way to the bank and back


async def opened(scene: Scene, link: str, login: str) -> str:
    """Open a link and log in; return the callback's address, not yet visited."""
    return await scene.ours.client.log_in(link, login)


async def fresh(scene: Scene, **user: Any) -> tuple[str, Any]:
    """A user of ours with a connection to be authorised."""
    identity = await scene.ours.client.a_user(**user)
    return identity, await scene.ours.client.a_connection(identity)


async def test_a_token_opens_its_own_connection_only(scene: Scene) -> None:
    trial = Trial(scene)
    (operation,) = (found for found in scene.operations if found.name == "connect")
    path, token = link_parts(scene.ours.other_link)
    their_path, their_token = link_parts(scene.theirs.other_link)
    expires, _, mac = token.partition(".")
    first = await scene.send("GET", f"{path}?token={'0' * 8}.{'A' * 32}")
    trial.judge(operation, "made up", first, 400)
    later = f"{int(expires, 16) + 1:x}.{mac}"
    for where, said in (
        (path, their_token), (their_path, token), (f"/connect/{NOBODY}", token), (f"/connect/{scene.ours.connection}", token),
        (path, ""), (path, later), (path, f"{expires}."), (path, f".{mac}"), (path, mac), (path, expires), (path, token[:-1]),
        (path, token + "A"), (path, token.swapcase()), (path, f"+{token}"), (path, f"0{token[:-1]}"), (path, f"-{token}"),
        (path, f"{'f' * 90}.{mac}"), (path, token + "="), (path, "." * 128), (path, "é"), (path, "a" * 60_000),
    ):  # fmt: skip
        got = await scene.send("GET", f"{where}?{urlencode({'token': said})}")
        if len(said) < 8_000:
            trial.judge(operation, said[:40], got, 400)
            assert got.comparable == first.comparable, said[:60]
        else:
            assert got.status in (400, 414)
    for query in (
        f"token={token}&token={token}",
        f"token={token}&token=x",
        f"Token={token}",
        f"token={token}%0a",
        f"token=%20{token}",
    ):
        trial.judge(operation, query[:40], await scene.send("GET", f"{path}?{query}"), 400)
    for method in ("HEAD", "POST", "OPTIONS", "PUT"):
        assert (await scene.send(method, f"{path}?token={token}")).status == 405
        assert scene.witness.head() == trial.head
    trial.end(20)


async def test_only_the_right_callback_changes_anything(scene: Scene) -> None:
    user, connection = await fresh(scene)
    callback = await opened(scene, connection["redirect_url"], "twins")
    state = parse_qs(urlsplit(callback).query)["state"][0]
    reference = parse_qs(urlsplit(callback).query)["connection_id"][0]
    _, theirs = await scene.theirs.client.a_user(), None
    other_user = await scene.theirs.client.a_user()
    theirs = await scene.theirs.client.a_connection(other_user)
    foreign = await scene.theirs.client.log_in(theirs["redirect_url"], "pending")
    foreign_state = parse_qs(urlsplit(foreign).query)["state"][0]
    foreign_reference = parse_qs(urlsplit(foreign).query)["connection_id"][0]

    trial = Trial(scene)
    (operation,) = (found for found in scene.operations if found.name == "callback")
    first = await scene.send("GET", f"/callback/budgea?state={'A' * 64}&connection_id={reference}")
    trial.judge(operation, "unknown", first, 400)
    table: dict[str, list[tuple[str, str]]] = {
        "nothing": [],
        "no state": [("connection_id", reference)],
        "empty state": [("state", ""), ("connection_id", reference)],
        "short state": [("state", state[:-1]), ("connection_id", reference)],
        "long state": [("state", state + "A"), ("connection_id", reference)],
        "other case": [("state", state.swapcase()), ("connection_id", reference)],
        "padded": [("state", state + "="), ("connection_id", reference)],
        "standard alphabet": [("state", state[:-4] + "+/+/"), ("connection_id", reference)],
        "dots between": [("state", f"{state[:10]}.{state[10:]}"), ("connection_id", reference)],
        "other tenant's state": [("state", foreign_state), ("connection_id", reference)],
        "other tenant's bank": [("state", state), ("connection_id", foreign_reference)],
        "nobody's bank": [("state", state), ("connection_id", "999999999999")],
        "odd bank": [("state", state), ("connection_id", CANARY)],
        "bank with a path": [("state", state), ("connection_id", f"{reference}/../1")],
        "bank of bytes": [("state", state), ("connection_id", "\x00")],
        "bank of Arabic digits": [("state", state), ("connection_id", "١")],
        "long bank": [("state", state), ("connection_id", "1" * 21)],
        "bank twice": [("state", state), ("connection_id", reference), ("connection_id", foreign_reference)],
        "state twice": [("state", state), ("state", state), ("connection_id", reference)],
        "state and another": [("state", "A" * 64), ("state", state), ("connection_id", reference)],
        "error twice": [("state", state), ("error", "x"), ("error", "x")],
        "long error": [("state", state), ("error", "e" * 129)],
        "error of an unknown state": [("state", "A" * 64), ("error", CANARY)],
        "error of bytes": [("state", state), ("error", "\r\nSet-Cookie: a=b")],
        "code for another domain": [("state", "A" * 64), ("code", CANARY), ("iss", "https://evil.example")],
    }
    for what, pairs in table.items():
        got = await scene.send("GET", f"/callback/budgea?{urlencode(pairs)}")
        trial.judge(operation, what, got, 400)
        assert got.comparable == first.comparable, what
    for large in ("state", "connection_id", "error", "code"):
        pairs = [
            (name, value) for name, value in (("state", state), ("connection_id", reference)) if name != large
        ]
        got = await scene.send("GET", f"/callback/budgea?{urlencode([*pairs, (large, 'x' * 65_536)])}")
        assert got.status in (400, 414) and b"xxxx" not in got.raw, large
        assert scene.witness.head() == trial.head, large
    for method in ("HEAD", "POST", "PUT"):
        assert (
            await scene.send(method, f"/callback/budgea?state={state}&connection_id={reference}")
        ).status == 405
    trial.end(25)

    # After all that, the right one still works, once.
    assert (await scene.send("GET", urlsplit(callback)._replace(scheme="", netloc="").geturl())).status == 200
    head = scene.witness.head()
    for _ in range(3):
        again = await scene.send("GET", urlsplit(callback)._replace(scheme="", netloc="").geturl())
        assert again.comparable == first.comparable and scene.witness.head() == head
    # And the other tenant's own way was not disturbed.
    assert (await scene.send("GET", urlsplit(foreign)._replace(scheme="", netloc="").geturl())).status == 200


async def test_of_sixteen_callbacks_at_once_one_counts(scene: Scene) -> None:
    for outcome in ("connected", "refused"):
        _, connection = await fresh(scene)
        callback = await opened(scene, connection["redirect_url"], "loans")
        if outcome == "refused":
            state = parse_qs(urlsplit(callback).query)["state"][0]
            callback = f"{callback.partition('?')[0]}?state={state}&error=access_denied"
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=32)) as session:

            async def come(session: aiohttp.ClientSession = session, callback: str = callback) -> int:
                async with session.get(callback, allow_redirects=False) as response:
                    await response.read()
                    return response.status

            statuses = await asyncio.gather(*(come() for _ in range(16)))
        assert sorted(statuses) == [200] + [400] * 15
        facts = scene.witness.facts(connection["id"])
        assert facts.count("ConnectionConnected") + facts.count("AuthorisationFailed") == 1, facts


async def test_of_openings_at_once_only_the_last_state_counts_or_each_once(scene: Scene) -> None:
    _, connection = await fresh(scene)
    callbacks = [await opened(scene, connection["redirect_url"], "rejected") for _ in range(3)]
    statuses = [(await scene.ours.client.come_back(callback)).status for callback in (*callbacks, *callbacks)]
    assert statuses.count(200) == 1
    assert scene.witness.facts(connection["id"]).count("ConnectionConnected") == 1


async def test_under_https_a_callback_counts_only_in_the_browser_that_opened_the_link(tmp_path: Path) -> None:
    """Somebody else's browser, or none, with everything right but the cookie: 400, and nothing written."""
    public = "https://passbook.example"
    async with two_tenants(tmp_path, public=public) as scene:
        path, token = link_parts(scene.ours.other_link)
        assert scene.ours.other_link.startswith(f"{public}/connect/")
        ways = []
        for login in ("loans", "twins"):
            opened_here = await scene.send("GET", f"{path}?token={token}")
            cookie = dict(opened_here.headers)["Set-Cookie"]
            assert cookie.startswith("__Host-") and all(
                word in cookie for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/")
            )
            bank_page = dict(opened_here.headers)["Location"]
            async with scene.session.post(
                bank_page, data={"login": login, "password": "1234"}, allow_redirects=False
            ) as response:
                back = urlsplit(response.headers["Location"])
            ways.append((cookie.partition(";")[0], f"{back.path}?{back.query}"))
        (other_cookie, _), (cookie, callback) = ways
        head = scene.witness.head()
        name, _, value = cookie.partition("=")
        for shown in (
            "",
            other_cookie,
            f"{name}=",
            f"{name}={value[:-1]}",
            f"{name}={value}x",
            f"{name[7:]}={value}",
            f"{name}=\xe9",
        ):
            got = await scene.send("GET", callback, headers={"Cookie": shown} if shown else {})
            assert got.status == 400 and misshapen("/callback", got) is None, shown
            assert scene.witness.head() == head
        assert (
            await scene.send("GET", callback, headers={"Cookie": f"{other_cookie}; {cookie}"})
        ).status == 200
        assert (await scene.send("GET", callback, headers={"Cookie": cookie})).status == 400


async def test_an_error_from_the_banks_page_is_not_repeated(scene: Scene) -> None:
    user, connection = await fresh(scene, return_url="https://app.example/done")
    callback = await opened(scene, connection["redirect_url"], "loans")
    state = parse_qs(urlsplit(callback).query)["state"][0]
    said = urlencode({"state": state, "error": f"<script>{CANARY}", "error_description": CANARY})
    got = await scene.send("GET", f"/callback/budgea?{said}")
    assert got.status == 303 and not got.repeats()
    read = await scene.ours.client.qard("GET", f"/users/{user}/data-connections/{connection['id']}")
    assert (read["status"], read["status_reason"]) == ("AUTH_ERROR", "provider_error")


RETURN_URLS = (
    "javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "java\tscript:alert(1)", "data:text/html,x",
    "vbscript:x", "file:///etc/passwd", "ftp://a.example/", "about:blank", "blob:https://a.example/x", "//evil.example",
    "///evil.example", "/\\evil.example", "\\\\evil.example", "/relative", "relative", "", " ", "https:", "https:/evil.example", "https://",
    "https:///evil.example", "https:evil.example", "https://user@evil.example", "https://user:pass@evil.example/",
    "https://app.example@evil.example", "https://app.example\\@evil.example", "https://app.example\\.evil.example", "https://evil.example\\",
    "https://app.example/\r\nSet-Cookie: a=b", "https://app.example/%0d%0a\r\nX: y", "https://app.example/\n", "https://app.example/\x00",
    "https://app.example/ x", "https://app.example/\t", "https://app.example/\u2028", "https://\u0435vil.example", "https://app。example/",
    "https://app.example:99999/", "https://app.example:0/", "https://app.example:x/", "https://[::1", "https://[", "https://]/",
    "https://app.example/<script>", 'https://app.example/"', "https://?x", "https://#x", "https://:443/", "http://", "HTTPS//evil.example",
    "https://app.example/" + "x" * 2_048, "\ufeffhttps://app.example/", "https://app.example/\ud83d\ude00",
)  # fmt: skip


async def test_no_open_redirect_can_be_registered(scene: Scene) -> None:
    trial = Trial(scene)
    for name in ("register_natural", "register_legal", "change_user"):
        (operation,) = (found for found in scene.operations if found.name == name)
        path, keys = operation.at(scene.ids()), scene.keys(operation)
        for address in RETURN_URLS:
            body = {**(scene.good_body(operation) or {}), "return_url": address}
            got = await scene.send(operation.method, path, json=body, headers=keys)
            trial.judge(operation, repr(address)[:60], got, 400)
            if len(address) > 12 and address.encode("utf-8", "replace") in got.raw:
                trial.wrong.append(f"{address!r} is repeated")
    trial.end(150)


@pytest.mark.parametrize(
    "host", ["[v1.x]x", "[::1]x", "..", "a..b", "-", "'", "%65vil.example", "a%2fb", "a;b", "a,b", "*", "$"]
)
async def test_a_host_that_is_none_is_not_registered(scene: Scene, host: str) -> None:
    body = {"first_name": "A", "last_name": "B", "return_url": f"https://{host}/"}
    await scene.ours.client.ask("POST", "/api/v6/users/natural", body, expect=400)


async def test_a_person_lands_only_on_what_was_registered(scene: Scene) -> None:
    for address in (
        "https://app.example/a?x=1&status=y#part", "http://localhost:3000/", "https://[::1]:8443/x", "https://app.example",
        "https://app.example/%0d%0aX:%20y", "https://app.example/%2f%2fevil.example", "https://app.example/?u=https://evil.example",
    ):  # fmt: skip
        _, connection = await fresh(scene, return_url=address)
        callback = await opened(scene, connection["redirect_url"], "loans")
        for name in ("return_url", "redirect_uri", "next", "url"):
            callback += f"&{name}=https%3A%2F%2Fevil.example"
        got = await scene.send(
            "GET",
            urlsplit(callback)._replace(scheme="", netloc="").geturl(),
            headers={"Host": "evil.example"},
        )
        landed, registered = urlsplit(dict(got.headers)["Location"]), urlsplit(address)
        assert (landed.scheme, landed.netloc, landed.path, landed.fragment) == (
            registered.scheme, registered.netloc, registered.path, registered.fragment
        )  # fmt: skip
        assert parse_qs(landed.query)["data_connection_id"] == [connection["id"]]


async def test_a_host_header_leads_nobody_away(scene: Scene) -> None:
    """Links are made from the public address, never from what a request says of it."""
    headers = {"X-API-KEY": API_KEY}
    lies = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "Forwarded": "host=evil.example",
        "Host": "evil.example",
    }
    user, _ = await fresh(scene)
    got = await scene.send("GET", f"/api/v6/users/{user}/data-connections", headers={**headers, **lies})
    assert got.status == 200 and b"evil.example" not in got.raw


# Raw sockets


def request(scene: Scene, line: bytes, *headers: bytes, body: bytes = b"", host: bool = True) -> bytes:
    head = [line, *([b"Host: x"] if host else []), b"X-API-KEY: " + API_KEY.encode(), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


async def test_what_is_no_request_gets_a_4xx_or_is_closed(scene: Scene) -> None:
    canary = CANARY.encode()
    post = b"POST /api/v6/users/legal HTTP/1.1"
    body = b'{"name":"A"}'
    length = b"Content-Length: 12"
    user = scene.ours.user.encode()
    requests = {
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + canary + b"\r\n\r\n",
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "binary": bytes(range(256)) * 4 + b"\r\n\r\n",
        "HTTP/0.9 junk": canary + b"\r\n\r\n",
        "no path": b"GET HTTP/1.1\r\nHost: x\r\n\r\n",
        "bad method": request(scene, b"G\x00T /healthz HTTP/1.1"),
        "bad method 2": request(scene, b"<" + canary + b"> /healthz HTTP/1.1"),
        "unknown method": request(scene, canary.upper() + b" /api/v6/users HTTP/1.1"),
        "long method": request(scene, b"A" * 9_000 + b" /healthz HTTP/1.1"),
        "bad version": request(scene, b"GET /healthz HTTP/1.1" + canary),
        "version 9": request(scene, b"GET /healthz HTTP/9.9"),
        "header of 20 kB": request(scene, b"GET /api/v6/profile HTTP/1.1", b"X-A: " + canary * 2_000),
        "key of 20 kB": b"GET /api/v6/profile HTTP/1.1\r\nHost: x\r\nX-API-KEY: "
        + canary * 2_000
        + b"\r\n\r\n",
        "header without colon": request(scene, b"GET /healthz HTTP/1.1", canary),
        "space before colon": request(scene, post, b"Content-Length : 12", body=body),
        "folded header": request(scene, b"GET /healthz HTTP/1.1", b"A: b", b" " + canary),
        "NUL in a header": request(scene, b"GET /healthz HTTP/1.1", b"A: " + canary + b"\x00"),
        "CR in a header": request(scene, b"GET /healthz HTTP/1.1", b"A: " + canary + b"\rB: c"),
        "long address": request(scene, b"GET /" + b"a" * 20_000 + canary + b" HTTP/1.1"),
        "lengths that differ": request(scene, post, length, b"Content-Length: 13", body=body),
        "list of lengths": request(scene, post, b"Content-Length: 12, 13", body=body),
        "length and chunks": request(scene, post, length, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "chunks in disguise": request(scene, post, length, b"Transfer-Encoding: xchunked", body=body),
        "chunks twice": request(scene, post, b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"),
        "negative length": request(scene, post, b"Content-Length: -12", body=body),
        "length with a sign": request(scene, post, b"Content-Length: +12", body=body),
        "length in hex": request(scene, post, b"Content-Length: 0xc", body=body),
        "endless length": request(scene, post, b"Content-Length: " + b"9" * 40, body=body),
        "bad chunk size": request(
            scene, post, b"Transfer-Encoding: chunked", body=canary + b"\r\n{}\r\n0\r\n\r\n"
        ),
        "negative chunk": request(scene, post, b"Transfer-Encoding: chunked", body=b"-1\r\n{}\r\n0\r\n\r\n"),
        "huge chunk": request(scene, post, b"Transfer-Encoding: chunked", body=b"f" * 30 + b"\r\n{}"),
        "chunks beyond the cap": request(
            scene,
            post,
            b"Transfer-Encoding: chunked",
            body=(b"2000\r\n" + b" " * 8_192 + b"\r\n") * 12 + b"0\r\n\r\n",
        ),
        "absolute form": request(scene, b"GET http://evil.example/api/v6/" + canary + b" HTTP/1.1"),
        "absolute https": request(scene, b"GET https://evil.example:443/" + canary + b" HTTP/1.1"),
        "authority form": request(scene, b"CONNECT 127.0.0.1:22 HTTP/1.1"),
        "asterisk": request(scene, b"OPTIONS * HTTP/1.1"),
        "trace": request(scene, b"TRACE /api/v6/users HTTP/1.1", b"X-A: " + canary),
        "two slashes": request(scene, b"GET //api/v6/users HTTP/1.1"),
        "backslashes": request(scene, b"GET \\api\\v6\\users HTTP/1.1"),
        "encoded slash": request(scene, b"GET /api/v6/users%2f" + user + b" HTTP/1.1"),
        "encoded slash within": request(scene, b"GET /api/v6/users/" + user + b"%2fsync HTTP/1.1"),
        "encoded backslash": request(scene, b"GET /api/v6/users%5c" + user + b" HTTP/1.1"),
        "encoded door": request(scene, b"GET /%61pi/v6/" + canary + b" HTTP/1.1"),
        "dots": request(scene, b"GET /docs/../../../../etc/passwd HTTP/1.1"),
        "encoded dots": request(scene, b"GET /docs/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1"),
        "double encoded": request(scene, b"GET /docs/%252e%252e%252fpasswd HTTP/1.1"),
        "raw bytes": request(scene, b"GET /api/v6/users/\xff\xfe" + canary + b" HTTP/1.1"),
        "bad percent": request(scene, b"GET /api/v6/users/%zz" + canary + b" HTTP/1.1"),
        "percent at the end": request(scene, b"GET /api/v6/users/% HTTP/1.1"),
        "NUL in the path": request(scene, b"GET /api/v6/users/\x00 HTTP/1.1"),
        "matrix parameters": request(scene, b"GET /api/v6/users;" + canary + b" HTTP/1.1"),
        "unknown expectation": request(scene, post, length, b"Expect: " + canary, body=body),
        "websocket": request(
            scene,
            b"GET /api/v6/x HTTP/1.1",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Key: x",
        ),
        "h2c": request(
            scene, b"GET /api/v6/x HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"
        ),
        "ten thousand headers": request(scene, b"GET /healthz HTTP/1.1", *[b"A: b"] * 10_000),
    }
    head = scene.witness.head()
    wrong = []
    for what, sent in requests.items():
        received = await scene.exchange(sent)
        status = status_of(received)
        if not (status == 0 and received != b"TIMEOUT" or 400 <= status < 500):
            wrong.append((what, received[:120]))
        if canary.lower() in received.lower():
            wrong.append((what, "repeats what was sent", received[:300]))
        if scene.witness.head() != head:
            wrong.append((what, "something was written"))
            head = scene.witness.head()
        if (await scene.send("GET", "/healthz")).status != 200:
            wrong.append((what, "not healthy"))
    assert not wrong


async def test_a_request_without_a_version_is_refused(scene: Scene) -> None:
    received = await scene.exchange(b"GET /healthz\r\n\r\n")
    assert status_of(received) == 0 or 400 <= status_of(received) < 600 and status_of(received) != 500


async def test_a_length_beyond_the_cap_is_refused_at_once(scene: Scene) -> None:
    for operation in (found for found in scene.operations if found.takes_body):
        line = f"{operation.method} {operation.at(scene.ids())} HTTP/1.1".encode()
        keys = [f"{name}: {value}".encode() for name, value in scene.keys(operation).items()]
        sent = b"\r\n".join([line, b"Host: x", *keys, b"Content-Length: 10000000", b"", b'{"a'])
        assert status_of(await scene.exchange(sent, timeout=1.0)) == 413, operation.name


async def test_a_length_beyond_the_cap_writes_nothing(scene: Scene) -> None:
    """However it is answered: what was announced never comes, and nothing is done."""
    head = scene.witness.head()
    sent = [
        request(
            scene,
            f"{found.method} {found.at(scene.ids())} HTTP/1.1".encode(),
            b"Content-Length: 10000000",
            body=b'{"name":"A"}',
        )
        for found in scene.operations
        if found.takes_body and found.door == "/api/v6"
    ]
    answers = await asyncio.gather(*(scene.exchange(each, timeout=0.5) for each in sent))
    assert {status_of(answer) for answer in answers} <= {0, 413}
    assert scene.witness.head() == head
    assert (await scene.send("GET", "/healthz")).status == 200


async def test_slow_and_half_requests_hold_nobody_up(scene: Scene) -> None:
    """Half heads, bodies of a byte a second and idle connections, while an honest client reads and writes."""
    before = memory(scene.process.pid)
    slow: list[asyncio.StreamWriter] = []
    post = request(scene, b"POST /api/v6/users/legal HTTP/1.1", b"Content-Length: 60000")
    for number in range(240):
        _, writer = await asyncio.open_connection("127.0.0.1", scene.process.port)
        writer.write((b"", b"GET /api/v6/users HTT", post[:-6], post + b'{"name": "')[number % 4])
        slow.append(writer)
    head = scene.witness.head()
    times: list[float] = []
    end = time.monotonic() + 3.0
    drip = time.monotonic()
    client = scene.ours.client
    while time.monotonic() < end:
        if time.monotonic() >= drip:
            drip += 1.0
            for writer in slow:
                writer.write(b"a")
        began = time.monotonic()
        await client.qard("GET", f"/users/{scene.ours.user}/banking-accounts")
        times.append(time.monotonic() - began)
        await asyncio.sleep(0.005)
    assert scene.witness.head() == head
    for writer in slow:
        writer.close()
    assert len(times) > 50
    p99 = statistics.quantiles(times, n=100)[98]
    assert p99 < 0.5, f"p99 {p99:.3f} s, worst {max(times):.3f} s of {len(times)}"
    assert memory(scene.process.pid) - before < 64 * 2**20


async def test_idle_strangers_do_not_lock_everybody_out(tmp_path: Path) -> None:
    process = PassbookProcess(tmp_path / "data", "http://127.0.0.1:1")
    process.launch()
    strangers: list[asyncio.StreamWriter] = []
    try:
        await process.ready()
        # Soon used up, as 1,024 are on most machines.
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (256, 256))
        for _ in range(300):
            strangers.append((await asyncio.open_connection("127.0.0.1", process.port))[1])
        async with aiohttp.ClientSession() as session:
            assert (await send(session, "GET", f"{process.address}/healthz", timeout=1.5)).status == 200
    finally:
        for writer in strangers:
            writer.close()
        process.stop()


@pytest.mark.campaign
async def test_who_says_nothing_or_drips_is_given_up(scene: Scene) -> None:
    """F12: idle, at half a head, dripping headers, and at half a body."""
    head = request(scene, b"POST /api/v6/users/legal HTTP/1.1", b"Content-Length: 60000")
    opened = [await asyncio.open_connection("127.0.0.1", scene.process.port) for _ in range(4)]
    for (_, writer), sent in zip(opened, (b"", head[:-2], head[:-2], head + b"{"), strict=True):
        writer.write(sent)

    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            await asyncio.sleep(2)
            writer.write(b"A: b\r\n")

    dripping = asyncio.create_task(drip(opened[2][1]))
    async with asyncio.timeout(45):
        answers = [await reader.read() for reader, _ in opened]
    dripping.cancel()
    assert status_of(answers[3]) == 408
    for _, writer in opened:
        writer.close()


async def test_after_all_that_the_service_is_as_it_was(scene: Scene) -> None:
    client = scene.ours.client
    assert (await scene.send("GET", "/readyz")).status == 200
    assert {sync["status"] for sync in await client.sync(scene.ours.user)} == {"SUCCESS"}
    assert [
        c["requested_data_types"]
        for c in (await client.qard("GET", f"/users/{scene.ours.user}/data-connections"))["result"]
    ] == [DATA_TYPES]
    counted = (await scene.send("GET", "/metrics")).raw.decode()
    assert 'status="500"' not in counted, [line for line in counted.splitlines() if 'status="500"' in line]
    log = scene.process.log.read_text()
    assert CANARY.lower() not in log.lower()
    errors = [line for line in log.splitlines() if '"level":"error"' in line or "Traceback" in line]
    assert not errors, errors[:5]
