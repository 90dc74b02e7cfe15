"""The states of a connection at Powens, and what we call them."""

from __future__ import annotations

import msgspec


class State(msgspec.Struct, frozen=True):
    """`reason` is our name of it; `settled` says that the provider is done with fetching, for now."""

    reason: str
    needs_person: bool = False
    settled: bool = True


#: By their name in lower case: they are not consistent in its spelling. The same words are error codes.
STATES = {
    "scarequired": State("sca_required", needs_person=True),
    "webauthrequired": State("webauth_required", needs_person=True),
    "additionalinformationneeded": State("additional_information_needed", needs_person=True),
    "decoupled": State("decoupled", needs_person=True),
    "validating": State("validating", settled=False),
    "actionneeded": State("action_needed", needs_person=True),
    "passwordexpired": State("password_expired", needs_person=True),
    "wrongpass": State("wrong_password", needs_person=True),
    "ratelimiting": State("rate_limited"),
    "websiteunavailable": State("bank_unavailable"),
    "bug": State("provider_bug"),
    "notsupported": State("not_supported"),
}
#: They add states without notice. One that we do not know is never success, and asks nothing of a person.
UNKNOWN_STATE = State("unknown_state")
#: Nobody fetches an inactive connection any more, whatever its state says.
INACTIVE = State("inactive")


def state_of(word: object) -> State | None:
    """Our state for their word; None where they say that all is well."""
    if word is None or word == "":
        return None
    return STATES.get(word.lower(), UNKNOWN_STATE) if isinstance(word, str) else UNKNOWN_STATE
