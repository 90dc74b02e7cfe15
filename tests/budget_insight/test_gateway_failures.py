"""Whatever goes wrong on the way ends as an error of ours, by name, within time and memory."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from adapters.budget_insight import transport
from adapters.budget_insight.client import WALKS_MAX
from adapters.budget_insight.gateway import BudgetInsightGateway
from application.ports import (
    AuthorisationNeeded,
    ProviderError,
    ProviderRefused,
    ProviderUnreachable,
    UnexpectedAnswer,
)
from tests.budget_insight.conftest import CREDENTIALS, USER, GatewayTo, Pauses, an_account
from tests.budget_insight.scripted import (
    Bank,
    as_bytes,
    as_json,
    error,
    html,
    page,
    raw_server,
    row,
)

CONNECTION = {"id": 512, "id_user": 7301, "state": None, "last_update": "2026-03-01 06:12:46", "active": True}


def the_connection(gateway: BudgetInsightGateway) -> Awaitable[object]:
    return gateway.connection(CREDENTIALS, USER, "512")


async def failed(reading: Awaitable[object]) -> ProviderError:
    """The error it ends with, which says nothing of theirs and nothing secret."""
    with pytest.raises(ProviderError) as raised:
        await reading
    seen: BaseException | None = raised.value
    while seen is not None:
        assert "SECRET" not in repr(seen) and "://" not in repr(seen), repr(seen)
        seen = seen.__context__
    return raised.value


def named(failure: ProviderError) -> tuple[type[ProviderError], str]:
    kinds = (AuthorisationNeeded, ProviderRefused, ProviderUnreachable, UnexpectedAnswer)
    return next(kind for kind in kinds if isinstance(failure, kind)), failure.reason


# Answers that are no answers


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}), "redirect"),
        (web.Response(status=304), "redirect"),
        (html(200), "not_json"),
        (web.Response(text='{"id": 512}', content_type="text/plain"), "not_json"),
        (web.Response(body=b'{"id": 512}', headers={"Content-Type": "nonsense"}), "not_json"),
        (as_bytes(b'{"id": 512, "id_us'), "malformed"),
        (as_bytes(b'{"id": 512, "state": NaN}'), "malformed"),
        (as_bytes(b'{"id": 1e400}'), "malformed"),
        (as_bytes(b"[" * 10_000 + b"]" * 10_000), "malformed"),
        (as_bytes(b'{"id": 512, "name": "\xff\xfe"}'), "malformed"),
        (as_bytes(b"", 200), "unexpected_shape"),
        (as_json([]), "unexpected_shape"),
        (as_json({"id": 512, "last_update": "invalid"}), "unexpected_shape"),
        (as_json({"id": 512, "last_update": 5}), "unexpected_shape"),
        (as_json({"id": 513, "id_user": 7301}), "unexpected_shape"),
        (as_json({"id": "../../x"}), "unexpected_shape"),
        (as_json(CONNECTION, Content_Encoding="br"), "unknown_encoding"),
        (as_json(CONNECTION, Content_Encoding="gzip"), "malformed"),
        (as_bytes(gzip.compress(b'{"id": 512}')[:-4], Content_Encoding="gzip"), "malformed"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_unexpected(
    gateway: BudgetInsightGateway, bank: Bank, answer: web.Response, reason: str
) -> None:
    bank.answers(answer)
    failure = await failed(the_connection(gateway))
    assert named(failure) == (UnexpectedAnswer, reason)
    assert len(bank.asked) == 1


async def test_a_redirect_is_not_followed(gateway_to: GatewayTo, bank: Bank) -> None:
    async with raw_server(b"HTTP/1.1 307 Go\r\nLocation: " + bank.url.encode() + b"/2.0/\r\n\r\n") as url:
        failure = await failed(the_connection(gateway_to(url)))
    assert named(failure) == (UnexpectedAnswer, "redirect")
    assert bank.asked == []


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(800):
        await response.write(b" " * 2**16)
    return response


async def fifty_megabytes(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b" " * 50_000_000, content_type="application/json")


def bomb(size: int) -> web.Response:
    return as_bytes(gzip.compress(b"[" + b" " * size, 9), Content_Encoding="gzip")


@pytest.mark.parametrize(
    "answer", [endless, fifty_megabytes, bomb(200_000_000)], ids=["stream", "body", "bomb"]
)
async def test_a_huge_reply_is_given_up_without_being_held(
    gateway: BudgetInsightGateway, bank: Bank, answer: Callable[..., Awaitable[web.StreamResponse]]
) -> None:
    bank.answers(answer)
    held: list[int] = []
    whole = transport._body_of

    async def measured(response: object) -> bytes:
        tracemalloc.start()
        try:
            return await whole(response)
        finally:
            held.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()

    transport._body_of = measured
    try:
        failure = await failed(the_connection(gateway))
    finally:
        transport._body_of = whole
    assert named(failure) == (UnexpectedAnswer, "too_large")
    assert held[0] < 4 * transport.REPLY_SIZE_MAX


async def test_a_reply_up_to_the_cap_is_read_packed_or_not(gateway: BudgetInsightGateway, bank: Bank) -> None:
    body = b'{"id": 512, "id_user": 7301, "last_update": "2026-03-01 06:12:46", "more": "'
    body += b"x" * (transport.REPLY_SIZE_MAX - len(body) - 2) + b'"}'
    for answer in (as_bytes(body), as_bytes(gzip.compress(body), Content_Encoding="gzip")):
        bank.answers(answer)
        assert (await gateway.connection(CREDENTIALS, USER, "512")).settled


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"",
    ],
    ids=["mid-body", "mid-chunk", "at once"],
)
async def test_a_line_that_breaks_is_worth_another_try(
    gateway_to: GatewayTo, pauses: Pauses, reply: bytes
) -> None:
    async with raw_server(reply) as url:
        assert named(await failed(the_connection(gateway_to(url)))) == (ProviderUnreachable, "network")
    assert len(pauses.taken) == 3


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 100_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    ],
    ids=["another protocol", "a long header", "endless headers", "a negative length", "two lengths"],
)
async def test_what_is_not_http_ends_by_name(gateway_to: GatewayTo, reply: bytes) -> None:
    async with raw_server(reply, linger=True) as url:
        failure = await failed(the_connection(gateway_to(url, reply_seconds=1)))
    assert isinstance(failure, UnexpectedAnswer | ProviderUnreachable)


HEADERS_OF_500_BYTES = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "pause"),
    [
        ([], 0.0),
        ([HEADERS_OF_500_BYTES], 0.0),
        ([HEADERS_OF_500_BYTES, *[b" "] * 100], 0.05),
    ],
    ids=["silent", "silent after the headers", "slow drip"],
)
async def test_a_server_that_hangs_costs_no_more_than_the_time_there_is(
    gateway_to: GatewayTo, pauses: Pauses, pieces: list[bytes], pause: float
) -> None:
    async with raw_server(*pieces, pause=pause, linger=True) as url:
        started = time.monotonic()
        failure = await failed(the_connection(gateway_to(url, reply_seconds=0.3)))
    assert named(failure) == (ProviderUnreachable, "timeout")
    assert time.monotonic() - started < 2
    assert pauses.taken == []


async def test_nobody_listens(gateway_to: GatewayTo, pauses: Pauses) -> None:
    failure = await failed(the_connection(gateway_to("http://127.0.0.1:9")))
    assert named(failure) == (ProviderUnreachable, "network")
    assert len(pauses.taken) == 3


async def test_plain_http_where_tls_was_meant(gateway_to: GatewayTo, bank: Bank) -> None:
    failure = await failed(the_connection(gateway_to(bank.url.replace("http://", "https://"))))
    assert named(failure) == (ProviderUnreachable, "tls")


async def test_a_certificate_that_nobody_vouches_for(gateway_to: GatewayTo, tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=self_signed(tmp_path))
    async with server:
        port = server.sockets[0].getsockname()[1]
        failure = await failed(the_connection(gateway_to(f"https://127.0.0.1:{port}")))
    assert named(failure) == (ProviderUnreachable, "tls")
    assert not any(asked)


def self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "both.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


# Refusals


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (error("invalidToken", 401), AuthorisationNeeded, "token_refused"),
        (error("forbidden", 403), AuthorisationNeeded, "token_refused"),
        (error("authFailure", 400), AuthorisationNeeded, "token_refused"),
        (error("SCARequired", 400), AuthorisationNeeded, "sca_required"),
        (error("wrongPass", 400), AuthorisationNeeded, "wrong_password"),
        (error("whoKnows", 401), AuthorisationNeeded, "token_refused"),
        (web.Response(status=401), AuthorisationNeeded, "token_refused"),
        (html(403), AuthorisationNeeded, "token_refused"),
        (error("notFound", 404), ProviderRefused, "not_found"),
        (html(404), ProviderRefused, "not_found"),
        (error("NOTFOUND", 400), ProviderRefused, "not_found"),
        (error("invalidValue", 400), ProviderRefused, "invalid_request"),
        (error("config", 400), ProviderRefused, "credentials_refused"),
        (error("notSupported", 400), ProviderRefused, "not_supported"),
        (error("websiteUnavailable", 400), ProviderUnreachable, "bank_unavailable"),
        (error("tooManySync", 400), ProviderUnreachable, "rate_limited"),
        (web.Response(status=418), ProviderRefused, "invalid_request"),
        (as_json(["not", "an", "object"], 400), ProviderRefused, "invalid_request"),
        (as_json({"code": {"a": 1}}, 400), ProviderRefused, "invalid_request"),
    ],
)
async def test_a_refusal_has_its_name_and_is_not_repeated(
    gateway: BudgetInsightGateway, bank: Bank, answer: web.Response, kind: type[ProviderError], reason: str
) -> None:
    bank.answers(answer)
    assert named(await failed(the_connection(gateway))) == (kind, reason)
    assert len(bank.asked) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error("bug", 500), "provider_bug"),
        (web.Response(status=500), "unavailable"),
        (html(503), "unavailable"),
        (html(502), "unavailable"),
        (error("websiteUnavailable", 503), "bank_unavailable"),
        (web.Response(status=429), "rate_limited"),
    ],
)
async def test_what_passes_by_itself_is_tried_four_times(
    gateway: BudgetInsightGateway, bank: Bank, pauses: Pauses, answer: web.Response, reason: str
) -> None:
    bank.answers(answer)
    assert named(await failed(the_connection(gateway))) == (ProviderUnreachable, reason)
    assert len(bank.asked) == 4
    assert 0 < pauses.taken[0] < pauses.taken[2] < 10


async def test_a_bank_that_recovers_is_read(gateway: BudgetInsightGateway, bank: Bank) -> None:
    bank.answers(web.Response(status=500), html(503), web.Response(status=429), as_json(CONNECTION))
    assert (await gateway.connection(CREDENTIALS, USER, "512")).settled


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        *(("2", 2.0), ("60", 60.0), ("Thu, 01 Jan 1970 00:00:00 GMT", None)),
        *(("soon", None), ("", None), ("-5", None), ("1e9", None), ("1.5", None)),
    ],
)
async def test_the_wait_that_is_asked_for_is_kept(
    gateway: BudgetInsightGateway, bank: Bank, pauses: Pauses, header: str, wait: float | None
) -> None:
    bank.answers(error("tooManySync", 429, Retry_After=header), as_json(CONNECTION))
    assert (await gateway.connection(CREDENTIALS, USER, "512")).settled
    (taken,) = pauses.taken
    assert taken == wait if wait is not None else taken < 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [("61", 61), ("3600", 3600), ("9" * 30, 86_400), ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400)],
)
async def test_a_wait_that_is_too_long_is_left_to_whoever_asked(
    gateway: BudgetInsightGateway, bank: Bank, pauses: Pauses, header: str, wait: float
) -> None:
    bank.answers(error("tooManySync", 429, Retry_After=header))
    failure = await failed(the_connection(gateway))
    assert named(failure) == (ProviderUnreachable, "rate_limited")
    assert failure.retry_after == wait
    assert len(bank.asked) == 1 and pauses.taken == []


@pytest.mark.parametrize(
    "answer",
    [web.Response(status=500), web.Response(status=429), error("bug", 500), html(503)],
    ids=["500", "429", "bug", "html"],
)
async def test_a_user_is_asked_for_once_only(
    gateway: BudgetInsightGateway, bank: Bank, answer: web.Response
) -> None:
    bank.answers(answer)
    assert isinstance(await failed(gateway.create_user(CREDENTIALS)), ProviderUnreachable)
    assert bank.targets == ["POST /2.0/auth/init"]


async def test_a_user_is_asked_for_once_only_when_the_line_breaks(gateway_to: GatewayTo) -> None:
    asked = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        gateway = gateway_to(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert named(await failed(gateway.create_user(CREDENTIALS))) == (ProviderUnreachable, "network")
    assert asked == 1


@pytest.mark.parametrize(
    "answer",
    [error("config", 400), error("invalidValue", 400), error("x", 401), error("forbidden", 403), html(403)],
)
async def test_wrong_credentials_are_the_tenants_matter(
    gateway: BudgetInsightGateway, bank: Bank, answer: web.Response
) -> None:
    bank.answers(answer)
    assert named(await failed(gateway.create_user(CREDENTIALS))) == (ProviderRefused, "credentials_refused")


# Lists


async def read(gateway: BudgetInsightGateway, **options: object) -> list[str]:
    accounts = [an_account("2318"), an_account("2319")]
    pages = gateway.transactions(
        CREDENTIALS, USER, **({"accounts": accounts, "updated_since": None} | options)
    )
    return [transaction.reference async for page in pages for _, transaction in page.rows]


@pytest.mark.parametrize(
    "answer",
    [
        error("noAccount", 400),
        error("noAccount", 409),
        error("noaccount", 404),
        as_json({"code": "noAccount"}),
    ],
)
async def test_no_account_where_one_was_just_seen_is_not_an_empty_list(
    gateway: BudgetInsightGateway, bank: Bank, answer: web.Response
) -> None:
    bank.answers(answer)
    assert named(await failed(read(gateway))) == (ProviderRefused, "no_account")
    bank.answers(page([row(1)], next="/2.0/users/me/transactions?cursor=a"), error("noAccount", 409))
    assert named(await failed(read(gateway))) == (ProviderRefused, "no_account")


@pytest.mark.parametrize(
    "href",
    [
        *(
            "https://evil.example/2.0/x",
            "//evil.example/2.0/x",
            "http://127.0.0.1:1/2.0/x",
            "ftp://127.0.0.1/",
        ),
        *("http://user@{host}/2.0/x", "http://:pass@{host}/2.0/x", "http://user@127.0.0.1/2.0/x"),
        *("javascript:alert(1)", "\\\\evil.example\\x", "/2.0/x y", "/2.0/é"),
        *("{bank}@evil.example/2.0/x", "{bank}.evil.example/2.0/x", "/2.0/x\r\nX: 1", "x" * 9_000, 5, ""),
        *("?offset=1", "http:2.0/x", "http://[::1", "#top"),
    ],
)
async def test_a_link_to_anywhere_else_is_not_followed(
    gateway: BudgetInsightGateway, bank: Bank, href: object
) -> None:
    if isinstance(href, str):
        href = href.replace("{bank}", bank.url).replace("{host}", bank.url.removeprefix("http://"))
    bank.answers(page([row(1)], next=href))
    assert named(await failed(read(gateway))) == (UnexpectedAnswer, "foreign_link")
    assert len(bank.asked) == 1


async def test_a_link_that_comes_again_ends_the_walk(gateway: BudgetInsightGateway, bank: Bank) -> None:
    there, back = "/2.0/users/me/transactions?cursor=a", "/2.0/users/me/transactions?cursor=b"
    for _ in range(WALKS_MAX):
        bank.answers_then(page([row(1)], next=there), page([row(2)], next=back), page([row(3)], next=there))
    assert named(await failed(read(gateway))) == (UnexpectedAnswer, "repeated_link")
    assert len(bank.asked) == 3 * WALKS_MAX


async def test_a_page_that_comes_again_under_another_link_is_not_walked_past(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    async def the_last_again(request: web.Request) -> web.StreamResponse:
        shown = row(1) if "cursor" not in request.query else row(2)
        return page([shown], next=f"/2.0/users/me/transactions?cursor={len(bank.asked)}", total=9)

    bank.answers(the_last_again)
    assert named(await failed(read(gateway))) == (UnexpectedAnswer, "repeated_page")
    assert len(bank.asked) == 3 * WALKS_MAX


async def test_a_page_that_came_twice_once_costs_another_walk(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    there = "/2.0/users/me/transactions?cursor="
    bank.answers(
        *(page([row(1)], next=f"{there}a"), page([row(1)], next=f"{there}b")),
        *(page([row(1)], next=f"{there}a"), page([row(2)])),
    )
    assert await read(gateway, accounts=[an_account()]) == ["1", "2"]


@pytest.mark.parametrize("empty", [False, True])
async def test_links_for_ever_end_somewhere(
    gateway: BudgetInsightGateway, bank: Bank, monkeypatch: pytest.MonkeyPatch, empty: bool
) -> None:
    async def another(request: web.Request) -> web.StreamResponse:
        number = len(bank.asked)
        return page([] if empty else [row(number)], next=f"/2.0/users/me/transactions?cursor={number}")

    monkeypatch.setattr("adapters.budget_insight.client.PAGES_MAX", 20)
    bank.answers(another)
    assert named(await failed(read(gateway))) == (UnexpectedAnswer, "too_many_pages")
    assert len(bank.asked) == 20


@pytest.mark.parametrize(
    "then",
    [error("bug", 500), html(200), error("forbidden", 403), page([{"id": 2}]), page([row(1)], total=2)],
)
async def test_an_error_midway_is_never_a_short_result(
    gateway: BudgetInsightGateway, bank: Bank, then: web.Response
) -> None:
    bank.answers(page([row(1)], next="/2.0/users/me/transactions?cursor=a"), then)
    pages = gateway.transactions(CREDENTIALS, USER, accounts=[an_account()])
    # Nothing of a list is shown before its end.
    await failed(anext(pages))


async def test_an_error_in_the_second_list_leaves_the_first_as_it_was_shown(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(page([row(1)]), error("bug", 500))
    pages = gateway.transactions(CREDENTIALS, USER, accounts=[an_account("2318"), an_account("2319")])
    assert [transaction.reference for _, transaction in (await anext(pages)).rows] == ["1"]
    await failed(anext(pages))


async def test_one_row_that_cannot_be_read_keeps_its_page_back(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    bank.answers(page([row(1), row(2, date="invalid")]))
    pages = gateway.transactions(CREDENTIALS, USER, accounts=[an_account()], updated_since=None)
    assert named(await failed(anext(pages))) == (UnexpectedAnswer, "unexpected_shape")


@pytest.mark.parametrize(
    "content", [{}, {"transactions": None}, {"transactions": {}}, {"transactions": [1]}, []]
)
async def test_a_list_of_another_form_is_not_an_empty_one(
    gateway: BudgetInsightGateway, bank: Bank, content: object
) -> None:
    bank.answers(as_json(content))
    assert named(await failed(read(gateway))) == (UnexpectedAnswer, "unexpected_shape")


async def test_a_list_that_shrinks_under_an_offset_is_read_again_later(
    gateway: BudgetInsightGateway, bank: Bank
) -> None:
    for _ in range(WALKS_MAX):
        bank.answers_then(
            as_json({"transactions": [row(1), row(2)], "total": 5}),
            as_json({"transactions": [row(4)], "total": 4}),
        )
    assert named(await failed(read(gateway))) == (ProviderUnreachable, "list_moved")
    assert len(bank.asked) == 2 * WALKS_MAX


@pytest.mark.parametrize("links", [{}, {"_links": {"next": None}}])
async def test_a_list_that_ends_early_is_no_list(
    gateway: BudgetInsightGateway, bank: Bank, links: dict[str, object]
) -> None:
    async def short(request: web.Request) -> web.StreamResponse:
        rows = [] if "offset" in request.query else [row(1), row(2), row(2)]
        return as_json({"transactions": rows, "total": 3, **links})

    bank.answers(short)
    assert named(await failed(read(gateway))) == (ProviderUnreachable, "list_moved")


async def test_nothing_secret_is_logged(
    gateway: BudgetInsightGateway, bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bank.answers(error("bug", 500), html(503), page([row(1)], total=9))
    await failed(read(gateway))
    assert caplog.records
    assert "SECRET" not in caplog.text and "://" not in caplog.text
