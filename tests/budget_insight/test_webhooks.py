"""Pushes: what is theirs and of now, and what may be read of it."""

from __future__ import annotations

import base64
import gzip
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.budget_insight.webhooks import EVENTS, BudgetInsightPushes
from application.ports import PUSH_SIZE_MAX, Delivery, Push, PushForged, PushTooLarge, PushUnreadable

SECRET = "c2ltdWxhdG9yLXNlY3JldA"
PATH = "/hooks/powens/connection-deleted"
DATE = "2026-03-01T08:15:30.123456Z"
BODY = b'{"id":42,"id_webhook_data":900001}'
SIGNATURE = "dTD1rAXf2uA/8VmlMnQGOiDD1bD9RHfI3CX2Pk8i/Gk="
AT = datetime(2026, 3, 1, 8, 15, 31, tzinfo=UTC)

read = BudgetInsightPushes().read


def signed(body: bytes, *, date: str = DATE, path: str = PATH, secret: str = SECRET) -> str:
    said = b"POST." + path.encode() + b"." + date.encode() + b"." + body
    return base64.b64encode(hmac.digest(secret.encode(), said, "sha256")).decode()


def delivered(
    body: bytes = BODY,
    *headers: tuple[str, str],
    event: str = "CONNECTION_DELETED",
    path: str = PATH,
    at: datetime = AT,
    signature: str | None = None,
    date: str = DATE,
) -> Delivery:
    said = (("BI-Signature", signed(body, date=date) if signature is None else signature),)
    return Delivery(
        path=path,
        event=event,
        headers=(*said, ("BI-Signature-Date", date), *headers),
        body=body,
        received_at=at,
    )


def refused(delivery: Delivery, secret: str = SECRET) -> str:
    with pytest.raises(PushForged) as forged:
        read(delivery, secret)
    return forged.value.reason


def of(event: str, **body: Any) -> Push:
    return read(delivered(msgspec.json.encode(body), event=event), SECRET)


def test_the_vector_of_the_reference() -> None:
    assert signed(BODY) == SIGNATURE
    push = read(delivered(signature=SIGNATURE), SECRET)
    assert (push.connections, push.user, push.whole_user) == (("42",), None, False)


# Whether it is theirs


@settings(max_examples=150, deadline=None)
@given(part=st.sampled_from(("body", "path", "date", "signature", "secret")), at=st.integers(0, 10_000))
def test_any_flipped_bit_makes_it_forged(part: str, at: int) -> None:
    parts = {"body": BODY, "path": PATH.encode(), "date": DATE.encode()}
    parts |= {"signature": SIGNATURE.encode(), "secret": SECRET.encode()}
    flipped = bytearray(parts[part])
    flipped[at // 8 % len(flipped)] ^= 1 << at % 8
    parts[part] = bytes(flipped)
    delivery = Delivery(
        path=parts["path"].decode("latin-1"),
        event="CONNECTION_DELETED",
        headers=(
            ("BI-Signature", parts["signature"].decode("utf-8", "surrogateescape")),
            ("BI-Signature-Date", parts["date"].decode("utf-8", "surrogateescape")),
        ),
        body=parts["body"],
        received_at=AT,
    )
    refused(delivery, parts["secret"].decode("latin-1"))


@pytest.mark.parametrize(
    "signature",
    [
        "", "é", "\udcff\udcfe", "=", "====", "a", SIGNATURE[:-1], SIGNATURE + "=", " " + SIGNATURE, SIGNATURE + " ",
        SIGNATURE.replace("/", "_").replace("+", "-"), SIGNATURE[:-2] + "l=", "sha256=" + SIGNATURE, "x" * 100_000,
        base64.b64decode(SIGNATURE).hex(), SIGNATURE.lower(), "\x00" * 44,
    ],
)  # fmt: skip
def test_a_malformed_signature_is_refused(signature: str) -> None:
    assert refused(delivered(signature=signature)) in ("signature", "unsigned")


@pytest.mark.parametrize(
    "date",
    [
        "", "é", "\udcff", "2026-03-01", "2026-03-01T08:15:30", "2026-03-01 08:15:30Z", "1772352930", "2026-02-30T08:15:30Z",
        "0000-00-00T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-01T25:15:30Z",
        "Sun, 01 Mar 2026 08:15:30 GMT", "２０２６-03-01T08:15:30Z", "2026-03-01T08:15:30Z" + "0" * 500, "NaN", "-1",
        "2026-03-01T08:15:30+99:99",
    ],
)  # fmt: skip
def test_a_malformed_date_is_refused_although_it_is_signed(date: str) -> None:
    said = b"POST." + PATH.encode() + b"." + date.encode("utf-8", "surrogateescape") + b"." + BODY
    signature = base64.b64encode(hmac.digest(SECRET.encode(), said, "sha256")).decode()
    refused(delivered(date=date, signature=signature))


def test_headers_that_are_missing_or_given_twice_are_refused() -> None:
    good = delivered()
    for headers in (
        (),
        good.headers[:1],
        good.headers[1:],
        (*good.headers, good.headers[0]),
        (*good.headers, good.headers[1]),
    ):
        assert refused(msgspec.structs.replace(good, headers=headers)) == "unsigned"
    lower = tuple((name.lower(), value) for name, value in good.headers)
    assert read(msgspec.structs.replace(good, headers=lower), SECRET).connections == ("42",)


def test_ages() -> None:
    day, ahead = timedelta(hours=24), timedelta(minutes=5)
    sent = datetime.fromisoformat(DATE)
    for at in (sent, sent + day, sent - ahead):
        assert read(delivered(at=at), SECRET)
    moment = timedelta(microseconds=1)
    assert refused(delivered(at=sent + day + moment)) == "too_old"
    assert refused(delivered(at=sent - ahead - moment)) == "too_new"
    zoned = "2026-03-01T09:15:30.123456+01:00"
    assert read(delivered(date=zoned), SECRET)


# Compressed


def test_a_compressed_body_may_be_signed_either_way() -> None:
    packed = gzip.compress(BODY)
    for coding in ("gzip", "GZIP", " gzip ", "x-gzip"):
        header = ("Content-Encoding", coding)
        for signature in (signed(packed), signed(BODY)):
            assert read(delivered(packed, header, signature=signature), SECRET).connections == ("42",)
        assert refused(delivered(packed, header, signature=signed(BODY + b" "))) == "signature"
        assert refused(delivered(b"\x1f\x8bx", header, signature=signed(BODY))) == "signature"


def test_what_is_signed_and_no_gzip_is_refused_by_name() -> None:
    packed = gzip.compress(BODY)
    for body in (BODY, packed[:-1], packed[:-9], packed + b"x", packed + packed, b""):
        with pytest.raises(PushUnreadable, match="not_gzip"):
            read(delivered(body, ("Content-Encoding", "gzip")), SECRET)
    for coding in ("br", "deflate", "gzip, gzip", "zstd", ""):
        with pytest.raises(PushUnreadable, match="unknown_encoding"):
            read(delivered(packed, ("Content-Encoding", coding)), SECRET)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * (PUSH_SIZE_MAX + 1))
    assert len(bomb) < 20_000
    with pytest.raises(PushTooLarge):
        read(delivered(bomb, ("Content-Encoding", "gzip")), SECRET)
    assert refused(delivered(bomb, ("Content-Encoding", "gzip"), signature=signed(BODY))) == "signature"
    most = gzip.compress(BODY + b" " * (PUSH_SIZE_MAX - len(BODY)))
    assert read(delivered(most, ("Content-Encoding", "gzip")), SECRET).connections == ("42",)


# What it may be about


def test_where_the_ids_lie() -> None:
    connection = {"id": 512, "id_user": 7301, "accounts": [{"id": 2318, "transactions": [{"id": 1}]}]}
    synced = of("CONNECTION_SYNCED", id_webhook_data=1, user={"id": 7301}, connection=connection)
    assert (synced.connections, synced.user, synced.whole_user) == (("512",), "7301", False)
    assert of("CONNECTION_SYNCED", user={"id": 7}, connection={"id": 5, "id_user": None}).user == "7"
    assert of("ACCOUNTS_FETCHED", user=None, connection={"id": "5"}).connections == ("5",)
    account = of("ACCOUNT_SYNCED", id=2318, id_connection=512, id_user=7301, transactions=[])
    assert (account.connections, account.user) == (("512",), "7301")
    assert of("CONNECTION_DELETED", id=512, id_user=7301).connections == ("512",)
    gone = of("USER_DELETED", id=7301)
    assert (gone.connections, gone.user, gone.whole_user) == ((), "7301", True)
    many = of("USER_SYNCED", user={"id": 7}, connections=[{"id": 1}, {"id": 2}, {"id": 1}], total=3)
    assert (many.connections, many.user) == (("1", "2"), "7")
    assert of("PAYMENT_STATE_UPDATED", id=1, id_connection=2, id_user=3).connections == ()


@pytest.mark.parametrize("id", [None, 0, -1, 1.5, True, "", "x", "1/../2", "01", 10**40, [], {}, {"x": 1}])
@pytest.mark.parametrize("event", EVENTS)
def test_odd_ids_say_nothing(event: str, id: Any) -> None:
    for body in (
        {"id": id, "id_user": id, "id_connection": id, "user": id, "connection": id, "connections": id},
        {"user": {"id": id}, "connection": {"id": id, "id_user": id}, "connections": [{"id": id}]},
    ):
        push = of(event, **body)
        assert (push.connections, push.user) == ((), None)


def test_one_notification_has_one_mark() -> None:
    first = of("CONNECTION_SYNCED", id_webhook_data=1, connection={"id": 5})
    assert first.mark == of("CONNECTION_SYNCED", connection={"id": 6}, id_webhook_data=1).mark
    assert first.mark == of("CONNECTION_SYNCED", id_webhook_data="1").mark
    assert first.mark != of("CONNECTION_SYNCED", id_webhook_data=2, connection={"id": 5}).mark
    for none in (None, 1.5, "x", [], -1):
        without = of("CONNECTION_SYNCED", id_webhook_data=none, connection={"id": 5})
        assert without.mark == of("CONNECTION_SYNCED", id_webhook_data=none, connection={"id": 5}).mark
        assert without.mark != of("CONNECTION_SYNCED", id_webhook_data=none, connection={"id": 6}).mark


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"null", "not_json"),
        (b"[]", "not_json"),
        (b'{"id": ', "not_json"),
        (b'{"id": 1} x', "not_json"),
        (b"\xff\xfe", "not_json"),
        ('{"id": 1}'.encode("utf-16"), "not_json"),
        (b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "too_deep"),
        (b'{"connection": ' + b'{"a":' * 200_000, "too_deep"),
        (b"0130004    00001EUR2 00012345678  280226".ljust(120), "cfonb"),
        (b"0412345678900001EUR2", "cfonb"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(body: bytes, reason: str) -> None:
    with pytest.raises(PushUnreadable) as unreadable:
        read(delivered(body, event="CONNECTION_SYNCED"), SECRET)
    assert unreadable.value.reason == reason
    assert read(delivered(body, event="SOMETHING_NEW"), SECRET).connections == ()


@settings(max_examples=200, deadline=None)
@given(body=st.binary(max_size=200), event=st.sampled_from((*EVENTS, "OTHER")), packed=st.booleans())
def test_no_signed_body_is_a_defect(body: bytes, event: str, packed: bool) -> None:
    headers = (("Content-Encoding", "gzip"),) if packed else ()
    try:
        push = read(delivered(body, *headers, event=event), SECRET)
    except (PushUnreadable, PushTooLarge):
        return
    assert len(push.mark) == 32
