"""Health: what to do about each reason that a run ends with, or that a connection is marked with.

Reasons are ours, machine-readable, and stable; the texts are for people and may change. A reason that is not
listed asks for a human look: never for a step of the person whose bank it is.
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from domain.data_connection import (
    AUTH_REQUIRED,
    CONNECTED,
    CONNECTING,
    CONSENT_NOTICES,
    DISCONNECTED,
)

# What may be done

NONE = "none"
WAIT = "wait"
"""It is tried again by schedule."""
RECONNECT = "reconnect"
"""The person goes through the connection's `redirect_url`; everything that was fetched stays."""
SYNC_ATTENDED = "sync_attended"
"""Request a sync with `PSU-Requested: true` while the person is there."""
ACT_AT_BANK = "act_at_bank"
"""The person has something to do at the bank itself, and reconnects then."""
FIX_CREDENTIALS = "fix_credentials"
ENABLE_PROVIDER = "enable_provider"
CONTACT_SUPPORT = "contact_support"
ACTIONS = (
    NONE,
    WAIT,
    RECONNECT,
    SYNC_ATTENDED,
    ACT_AT_BANK,
    FIX_CREDENTIALS,
    ENABLE_PROVIDER,
    CONTACT_SUPPORT,
)

# What follows from time alone, and not from a run

SILENT = "silent"
CONSENT_EXPIRING = "consent_expiring"
#: Within this time of its end a consent is worth renewing.
CONSENT_NEAR = timedelta(days=max(CONSENT_NOTICES))


class Remedy(msgspec.Struct, frozen=True):
    action: str
    """One of `ACTIONS`."""
    text: str


UNKNOWN = Remedy(CONTACT_SUPPORT, "The reason is not known to this version: have somebody look at it.")
NOTHING = Remedy(NONE, "Nothing is to be done.")

_REPORT = "If it lasts, report it with the reason and the time of the failure."

REMEDIES: dict[str, Remedy] = {
    # The bank wants to see the person.
    "sca_required": Remedy(
        RECONNECT, "The bank asks the person to identify again: send them to the connection's redirect_url."
    ),
    "webauth_required": Remedy(
        RECONNECT, "The person must log in on the bank's own page: send them to the redirect_url."
    ),
    "additional_information_needed": Remedy(
        RECONNECT, "The bank asks the person for a code or an answer: send them to the redirect_url."
    ),
    "decoupled": Remedy(
        RECONNECT, "The person must confirm in the bank's app: send them to the redirect_url, and have them confirm."
    ),
    "wrong_password": Remedy(
        RECONNECT, "The bank refuses the person's login: send them to the redirect_url to give it anew."
    ),
    "not_authorised": Remedy(
        RECONNECT, "Nothing was authorised at the provider yet: send the person to the redirect_url."
    ),
    "token_refused": Remedy(
        RECONNECT, "The provider does not accept the person's token any more: send them to the redirect_url."
    ),
    "not_found": Remedy(
        RECONNECT, "The provider does not know the connection any more: send the person to the redirect_url."
    ),
    "no_account": Remedy(
        RECONNECT, "No account is released at the bank: send the person to the redirect_url to choose some."
    ),
    "disconnected": Remedy(
        RECONNECT, "It was disconnected on request: set its status to AUTH_REQUIRED to have it connected again."
    ),
    # The person has something to do at the bank.
    "action_needed": Remedy(
        ACT_AT_BANK, "The bank has something for the person to read or accept: have them log in at the bank."
    ),
    "password_expired": Remedy(
        ACT_AT_BANK, "The person must choose a new password at the bank, and then go to the redirect_url."
    ),
    # The way to the bank was not gone to its end.
    "access_denied": Remedy(
        RECONNECT, "The person gave up, or refused: send them to the redirect_url when they want to."
    ),
    "terms_declined": Remedy(
        RECONNECT, "The person declined the provider's terms: without them nothing can be connected."
    ),
    "session_expired": Remedy(
        RECONNECT, "The person took too long at the bank's page: send them to the redirect_url again."
    ),
    "provider_error": Remedy(
        RECONNECT, f"The bank's page broke off: send the person to the redirect_url again. {_REPORT}"
    ),
    "no_connection_returned": Remedy(
        RECONNECT, f"The bank's page named no connection: send the person to the redirect_url again. {_REPORT}"
    ),
    # It passes.
    "validating": Remedy(WAIT, "The provider is still working on what the person gave it."),
    "provider_still_fetching": Remedy(WAIT, "The provider is still fetching from the bank."),
    "conflict": Remedy(WAIT, "The provider is fetching already."),
    "rate_limited": Remedy(WAIT, "The bank or the provider was asked too often: it is tried again later."),
    "bank_unavailable": Remedy(WAIT, "The bank cannot be reached: it is tried again later."),
    "provider_bug": Remedy(WAIT, f"The provider has a defect with this bank. {_REPORT}"),
    "unavailable": Remedy(WAIT, "The provider cannot answer now: it is tried again later."),
    "timeout": Remedy(WAIT, "The provider did not answer in time: it is tried again later."),
    "network": Remedy(WAIT, "The provider could not be reached: it is tried again later."),
    "list_moved": Remedy(WAIT, "The bank's list changed while it was read: the next run reads it anew."),
    "conflicting_rows": Remedy(
        WAIT, f"The provider said two things about one row: the next run reads everything anew. {_REPORT}"
    ),
    "accounts_missing": Remedy(
        WAIT, f"The provider listed no account of a connection that has some: nothing was changed. {_REPORT}"
    ),
    "not_json": Remedy(WAIT, f"The provider's answer was a page, and no data. {_REPORT}"),
    "malformed": Remedy(WAIT, f"The provider's answer was broken off or spoilt. {_REPORT}"),
    "malformed_http": Remedy(WAIT, f"The provider's answer was broken off or spoilt. {_REPORT}"),
    # The tenant's setup.
    "provider_disabled": Remedy(ENABLE_PROVIDER, "The provider is not enabled: enable it."),
    "credentials_missing": Remedy(FIX_CREDENTIALS, "The provider has no credentials: set them."),
    "credentials_refused": Remedy(FIX_CREDENTIALS, "The provider refuses the credentials: replace them."),
    "domain_refused": Remedy(FIX_CREDENTIALS, "The domain among the credentials is none: replace them."),
    # Somebody has to look at it.
    "not_supported": Remedy(CONTACT_SUPPORT, "The provider does not support this bank, or not any more."),
    "inactive": Remedy(CONTACT_SUPPORT, "The provider has stopped fetching this connection: ask the provider."),
    "unknown_state": Remedy(CONTACT_SUPPORT, "The provider shows a state that this version does not know."),
    "invalid_request": Remedy(CONTACT_SUPPORT, "The provider does not understand what it was asked."),
    "foreign_connection": Remedy(CONTACT_SUPPORT, "The provider shows a connection of somebody else's."),
    "foreign_account": Remedy(CONTACT_SUPPORT, "The provider shows an account of another connection."),
    "foreign_token": Remedy(CONTACT_SUPPORT, "The provider answered with the token of another user."),
    "foreign_source": Remedy(CONTACT_SUPPORT, "The provider shows a source of another connection."),
    "foreign_row": Remedy(CONTACT_SUPPORT, "The provider shows a row of another account."),
    "foreign_link": Remedy(CONTACT_SUPPORT, "The provider's list goes on at another host: it is not followed."),
    "redirect": Remedy(CONTACT_SUPPORT, "The provider's answer leads elsewhere: it is not followed."),
    "repeated_link": Remedy(CONTACT_SUPPORT, f"The provider's list leads back to where it was. {_REPORT}"),
    "repeated_page": Remedy(CONTACT_SUPPORT, f"The provider's list shows one page again and again. {_REPORT}"),
    "too_many_pages": Remedy(CONTACT_SUPPORT, "The provider's list does not end."),
    "too_large": Remedy(CONTACT_SUPPORT, "The provider's answer is larger than any that is read."),
    "unknown_encoding": Remedy(CONTACT_SUPPORT, "The provider's answer is packed in a way that is not known."),
    "unexpected_shape": Remedy(
        CONTACT_SUPPORT, "The provider's answer is not as documented: nothing of it was recorded."
    ),
    "exponent_changed": Remedy(
        CONTACT_SUPPORT, "The provider counts an account in other decimals than before: nothing was recorded."
    ),
    "tls": Remedy(CONTACT_SUPPORT, "The provider could not prove who it is: check the certificates."),
    "too_many_attempts": Remedy(CONTACT_SUPPORT, "The service ended in the middle of this sync several times."),
    "internal_error": Remedy(CONTACT_SUPPORT, "It failed on our side: the log has the place."),
    "read_models_stalled": Remedy(
        CONTACT_SUPPORT, "The user's facts cannot be projected: /readyz names the fact that is in the way."
    ),
    # What follows from time alone.
    SILENT: Remedy(
        SYNC_ATTENDED,
        "The provider has had nothing new for days and does not say why: request a sync with PSU-Requested: true"
        " while the person is there; if that brings nothing, reconnect.",
    ),
    CONSENT_EXPIRING: Remedy(
        RECONNECT,
        "The person's consent ends soon: set the status to AUTH_REQUIRED and send them to the redirect_url.",
    ),
}  # fmt: skip

#: A connection in a status that needs no reason.
OF_STATUS: dict[str, Remedy] = {
    AUTH_REQUIRED: Remedy(RECONNECT, "The person has to authorise it: send them to the redirect_url."),
    CONNECTING: Remedy(
        RECONNECT, "The person is on the way; if they gave up, send them to the redirect_url."
    ),
    CONNECTED: NOTHING,
    DISCONNECTED: REMEDIES["disconnected"],
}


def remedy_of(reason: str) -> Remedy:
    """What to do about a reason."""
    return REMEDIES.get(reason, UNKNOWN)


def remedy_of_status(status: str) -> Remedy:
    """What to do about a connection that is in a status for no reason."""
    return OF_STATUS.get(status, UNKNOWN)
