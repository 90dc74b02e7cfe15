"""Why a request is not answered as asked, before a door has given it its own shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from application.refusals import IdempotencyKeyInFlight, IdempotencyKeyReused
from application.statement_files import StatementUnreadable
from domain import refusals
from domain.refusals import Refused

VALIDATION_ERROR = "VALIDATION_ERROR"
NOT_FOUND = "NOT_FOUND"
METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
UNAVAILABLE = "SERVICE_UNAVAILABLE"
INTERNAL_ERROR = "INTERNAL_ERROR"

#: The status and the code of every refusal, at every door.
STATUS_OF: dict[type[Refused], tuple[int, str]] = {
    refusals.NotFound: (404, NOT_FOUND),
    refusals.NoSuchConsumer: (404, "CONSUMER_NOT_FOUND"),
    refusals.NoSuchAccount: (404, "ACCOUNT_NOT_FOUND"),
    refusals.NoSuchTransaction: (404, "TRANSACTION_NOT_FOUND"),
    refusals.TransactionExists: (409, "TRANSACTION_EXISTS"),
    refusals.NotInStorage: (409, "ACCOUNT_NOT_IN_STORAGE"),
    refusals.InvalidRequest: (400, VALIDATION_ERROR),
    refusals.UnsupportedDataType: (400, "UNSUPPORTED_DATA_TYPE"),
    refusals.UnsupportedSetting: (400, VALIDATION_ERROR),
    refusals.CredentialsMissing: (409, "PROVIDER_CREDENTIALS_MISSING"),
    refusals.ProviderNotEnabled: (403, "PROVIDER_NOT_ENABLED"),
    refusals.ProviderNotAvailable: (403, "PROVIDER_NOT_AVAILABLE"),
    refusals.ConnectionExists: (409, "DATA_CONNECTION_EXISTS"),
    refusals.NoConnectedProvider: (400, "NO_CONNECTED_PROVIDER"),
    refusals.SyncAlreadyRunning: (409, "SYNC_ALREADY_RUNNING"),
    refusals.StatusChangeImpossible: (400, "STATUS_CHANGE_IMPOSSIBLE"),
    refusals.LinkInvalid: (400, "LINK_INVALID"),
    refusals.NotLinked: (409, "NOT_LINKED"),
    StatementUnreadable: (400, "STATEMENT_UNREADABLE"),
    IdempotencyKeyReused: (422, "IDEMPOTENCY_KEY_REUSED"),
    IdempotencyKeyInFlight: (409, "IDEMPOTENCY_KEY_IN_FLIGHT"),
}


class Problem(Exception):
    """A status, a code and a message for the client. Nothing in it repeats what was sent."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        detail_code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.detail_code = detail_code or code
        self.headers = dict(headers or {})


def invalid(message: str, **fields: list[str]) -> Problem:
    """400, with the messages of each field."""
    return Problem(400, VALIDATION_ERROR, message, details=fields)


def not_found() -> Problem:
    return of_refusal(refusals.NotFound())


def unavailable(retry_after: float = 1.0) -> Problem:
    """503: neither done nor refused."""
    return Problem(
        503,
        UNAVAILABLE,
        "The service cannot answer this now. Send the same request again.",
        headers={"Retry-After": str(max(1, round(retry_after)))},
    )


def internal() -> Problem:
    return Problem(500, INTERNAL_ERROR, "Something went wrong on our side.")


def of_refusal(refused: Refused) -> Problem:
    status, code = STATUS_OF[type(refused)]
    return Problem(status, code, refused.message, details=refused.details)
