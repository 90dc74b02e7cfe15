"""Consumer: a person or a company whose bank accounts are read, and which accounts are theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec

from domain.fact import Erased, Fact
from domain.refusals import InvalidRequest, NotFound

LEGAL = "LEGAL"
NATURAL = "NATURAL"

# Facts


class Details(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a tenant told us of a consumer. Sealed under the consumer's key wherever it is stored."""

    name: str
    first_name: str | None = None
    last_name: str | None = None
    birthdate: date | None = None
    email: str | None = None
    siren: str | None = None
    postal_code: str | None = None
    ape_code: str | None = None
    country: str = "FR"
    group: str = "default"
    return_url: str | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a provider's account is one of ours: a keyed hash of its IBAN, or of its number and bank."""

    kind: str
    """`iban`, `number_and_bank`, or `none` where the source gave neither."""
    digest: bytes = b""


class ConsumerRegistered(Fact, frozen=True):
    type: str
    details: Details


class ConsumerDetailsChanged(Fact, frozen=True):
    details: Details
    """All details as they are from now on."""


class AccountLinked(Fact, frozen=True):
    """A provider's account, seen through a connection, is this account of ours."""

    account_id: str
    connection_id: str
    reference: str
    evidence: Evidence


class AccountUnlinked(Fact, frozen=True):
    account_id: str
    connection_id: str
    reference: str
    reason: str


class ConsumerErased(Fact, frozen=True):
    pass


# States


class Unknown(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    pass


class Registered(msgspec.Struct, frozen=True, tag_field="state", tag=True, kw_only=True):
    type: str
    details: Details
    links: tuple[AccountLinked, ...] = ()


class Gone(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    """Erased: the id stays taken."""


Consumer = Unknown | Registered | Gone
initial: Consumer = Unknown()

# Decisions

_SIREN = re.compile(r"[0-9]{9}", re.ASCII)
#: What may be said of each type of consumer; a natural person's `name` is made from first and last name.
FIELDS = {
    LEGAL: frozenset({"name", "siren", "postal_code", "ape_code", "country", "group", "return_url"}),
    NATURAL: frozenset(
        {"first_name", "last_name", "birthdate", "email", "postal_code", "country", "group", "return_url"}
    ),
}


def describe(type: str, fields: Mapping[str, Any], before: Details | None = None) -> Details:
    """Details made from fields, on top of what was known `before`.

    Raises:
        InvalidRequest: a field does not belong to this type, or has a value that cannot be.
    """
    foreign = sorted(set(fields) - FIELDS[type])
    if foreign:
        problems = {name: ["does not belong to this type of user"] for name in foreign}
        raise InvalidRequest("a field does not belong to this type of user", **problems)
    known = {} if before is None else {name: getattr(before, name) for name in FIELDS[type]}
    known.update(fields)
    # Blank or absent, these two have a value of their own.
    known["country"] = known.get("country") or "FR"
    known["group"] = known.get("group") or "default"
    if type == NATURAL:
        known["name"] = f"{known['first_name']} {known['last_name']}"
    details = Details(**known)
    if details.siren is not None and details.country == "FR" and not _SIREN.fullmatch(details.siren):
        raise InvalidRequest("siren is not valid", siren=["must have nine digits where the country is FR"])
    return details


def register(consumer: Consumer, *, type: str, details: Details) -> tuple[ConsumerRegistered, ...]:
    match consumer:
        case Unknown():
            return (ConsumerRegistered(type=type, details=details),)
        case Registered():
            return ()
    raise NotFound


def registered(consumer: Consumer) -> Registered:
    """The consumer, if there is one.

    Raises:
        NotFound: never registered, or erased.
    """
    if not isinstance(consumer, Registered):
        raise NotFound
    return consumer


def change_details(consumer: Consumer, details: Details) -> tuple[ConsumerDetailsChanged, ...]:
    if registered(consumer).details == details:
        return ()
    return (ConsumerDetailsChanged(details=details),)


def account_for(consumer: Registered, connection_id: str, reference: str, evidence: Evidence) -> str | None:
    """Which of our accounts a provider's account is: the one it was linked to, else one with the same evidence."""
    for link in consumer.links:
        if (link.connection_id, link.reference) == (connection_id, reference):
            return link.account_id
    if evidence.digest:
        for link in consumer.links:
            if link.evidence == evidence:
                return link.account_id
    return None


def link_account(
    consumer: Consumer, *, account_id: str, connection_id: str, reference: str, evidence: Evidence
) -> tuple[AccountLinked, ...]:
    for link in registered(consumer).links:
        if (link.connection_id, link.reference) == (connection_id, reference):
            return ()
    link = AccountLinked(
        account_id=account_id, connection_id=connection_id, reference=reference, evidence=evidence
    )
    return (link,)


def unlink_connection(consumer: Consumer, connection_id: str, reason: str) -> tuple[AccountUnlinked, ...]:
    """Undo the links that came through a connection."""
    return tuple(
        AccountUnlinked(
            account_id=link.account_id, connection_id=connection_id, reference=link.reference, reason=reason
        )
        for link in registered(consumer).links
        if link.connection_id == connection_id
    )


def erase(consumer: Consumer) -> tuple[ConsumerErased, ...]:
    match consumer:
        case Registered():
            return (ConsumerErased(),)
        case Gone():
            return ()
    raise NotFound


def apply(consumer: Consumer, fact: object) -> Consumer:
    match fact:
        case ConsumerRegistered():
            return Registered(type=fact.type, details=fact.details)
        case ConsumerErased() | Erased():
            return Gone()
    if not isinstance(consumer, Registered):
        return consumer
    match fact:
        case ConsumerDetailsChanged():
            return msgspec.structs.replace(consumer, details=fact.details)
        case AccountLinked():
            return msgspec.structs.replace(consumer, links=(*consumer.links, fact))
        case AccountUnlinked():
            kept = tuple(
                link
                for link in consumer.links
                if (link.connection_id, link.reference) != (fact.connection_id, fact.reference)
            )
            return msgspec.structs.replace(consumer, links=kept)
    return consumer
