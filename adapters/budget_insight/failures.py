"""What went wrong at Powens, as errors of ours.

Their `code` decides, in any spelling; the status only where the code says no more than it. Of their text
nothing is kept: it may hold addresses, tokens and a bank's words to a person.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from adapters.budget_insight.states import STATES
from application.ports import (
    AuthorisationNeeded,
    ProviderError,
    ProviderRefused,
    ProviderUnreachable,
    UnexpectedAnswer,
)

#: The longest wait that is believed, in seconds: a day.
WAIT_MAX = 86_400.0


class TryAgain(ProviderUnreachable):
    """Passes by itself, perhaps in a moment."""


class AlreadyFresh(ProviderUnreachable):
    """A forced fetch came too soon after another, or while one runs."""


class ListMoved(ProviderUnreachable):
    """A list changed while it was walked: what was read may not be the whole."""


class ListRepeated(UnexpectedAnswer):
    """A list came back to where it had been."""


class NoAccount(ProviderRefused):
    """The user has no enabled account: it comes in place of an empty list, as 400 or as 409."""


_OF_CODE: dict[str, tuple[type[ProviderError], str]] = {
    # The states of a connection are error codes too.
    **{
        word: (AuthorisationNeeded if state.needs_person else ProviderUnreachable, state.reason)
        for word, state in STATES.items()
    },
    "noaccount": (NoAccount, "no_account"),
    "conflict": (AlreadyFresh, "conflict"),
    "connectionlocked": (AlreadyFresh, "conflict"),
    "forbidden": (AuthorisationNeeded, "token_refused"),
    "unauthorized": (AuthorisationNeeded, "token_refused"),
    "authfailure": (AuthorisationNeeded, "token_refused"),
    "invalidtoken": (AuthorisationNeeded, "token_refused"),
    "bankmessage": (AuthorisationNeeded, "action_needed"),
    "config": (ProviderRefused, "credentials_refused"),
    "notfound": (ProviderRefused, "not_found"),
    "notsupported": (ProviderRefused, "not_supported"),
    "toomanysync": (ProviderUnreachable, "rate_limited"),
    "keymanager": (ProviderUnreachable, "provider_bug"),
    "dataerror": (ProviderUnreachable, "provider_bug"),
}

_OF_STATUS: dict[int, tuple[type[ProviderError], str]] = {
    401: (AuthorisationNeeded, "token_refused"),
    403: (AuthorisationNeeded, "token_refused"),
    404: (ProviderRefused, "not_found"),
    408: (ProviderUnreachable, "timeout"),
    409: (AlreadyFresh, "conflict"),
    429: (ProviderUnreachable, "rate_limited"),
}


def failure_of(status: int, code: object, retry_after: float | None = None) -> ProviderError:
    """The error that an answer of 400 or more stands for."""
    word = code.lower() if isinstance(code, str) else ""
    of_status = (
        (ProviderUnreachable, "unavailable") if status >= 500 else (ProviderRefused, "invalid_request")
    )
    kind, reason = _OF_CODE.get(word) or _OF_STATUS.get(status) or of_status
    if kind is ProviderUnreachable and (status == 429 or status >= 500):
        kind = TryAgain
    return kind(reason, retry_after=retry_after)


def seconds_to_wait(header: str | None, now: datetime) -> float | None:
    """Read `Retry-After`: seconds, or the date of HTTP. None where it says neither."""
    if header is None:
        return None
    if re.fullmatch(r"[0-9]{1,99}", header.strip(), re.ASCII):
        return min(float(header), WAIT_MAX)
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max(0.0, (until - now).total_seconds()), WAIT_MAX)
