"""Bodies that other clients of this API were written against: each is read, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.budget_insight import payloads, translate
from adapters.budget_insight.failures import failure_of
from adapters.budget_insight.payloads import lift
from application.ports import ProviderError, UnexpectedAnswer
from tests.conftest import SHARED_DATA

FOLDER = SHARED_DATA / "powens-payloads"
BODIES = sorted(FOLDER.glob("*.json")) if FOLDER.is_dir() else []

EXPONENTS = {"10": 2, "2318": 2}


def account(row: dict[str, Any]) -> object:
    return translate.account(row, connection="1", bank_name=None)


def transaction(row: dict[str, Any]) -> object:
    return translate.transaction({"id_account": 10, **row}, account=None, exponents=EXPONENTS)


def connection(content: Any) -> object:
    return translate.connection(lift(payloads.Connection, content), provider_user="1")


def rows(name: str, read: Callable[[dict[str, Any]], object]) -> Callable[[Any], object]:
    return lambda content: [read(row) for row in payloads.page_of(content, name).rows]


def reader_of(content: Any) -> Callable[[Any], object] | None:
    """How we would read a body, by what is in it; None for what we never ask for."""
    if "auth_token" in content:
        return lambda content: lift(payloads.InitialisedUser, content)
    if "code" in content and "expires_in" in content:
        return lambda content: payloads.secret_of(lift(payloads.TemporaryCode, content).code)
    if "token" in content:
        return lambda content: payloads.secret_of(lift(payloads.AccessToken, content).token)
    if "code" in content or set(content) <= {"error", "message"}:
        return lambda content: failure_of(400, content.get("code"))
    if "connection" in content:
        return lambda content: [account(row) for row in content["connection"]["accounts"]]
    for name, read in (("accounts", account), ("transactions", transaction), ("connections", connection)):
        if isinstance(content.get(name), list) and "id" not in content:
            return rows(name, connection if name == "connections" else read)
    if "wording" in content or "original_wording" in content:
        return transaction
    if "balance" in content or "original_name" in content:
        return account
    if {"state", "error"} & set(content) and "id_connection" not in content:
        return connection
    if "id" in content:
        return lambda content: payloads.reference_of(lift(payloads.User, content).id)
    return None


@pytest.mark.skipif(not BODIES, reason="the recorded bodies are not there: set PASSBOOK_SHARED_DATA")
def test_there_are_recorded_bodies() -> None:
    read = [path for path in BODIES if reader_of(payloads.decode(path.read_bytes()))]
    assert len(read) > len(BODIES) // 2


@pytest.mark.parametrize("path", BODIES, ids=lambda path: path.stem)
def test_a_recorded_body_is_read_or_refused_by_name(path: Path) -> None:
    content = payloads.decode(path.read_bytes())
    reader = reader_of(content)
    if reader is None:
        return
    try:
        read = reader(content)
    except UnexpectedAnswer as refusal:
        # Rows without a date, which are always there by the documentation, and dates that are none.
        assert refusal.reason == "unexpected_shape"
        assert "invalid" in path.stem or "date" not in str(content), path.stem
    else:
        assert "bank_accounts" not in path.stem or "invalid" not in path.stem
        assert read is not None and not (isinstance(read, ProviderError) and not read.reason)
