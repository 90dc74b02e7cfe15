"""Consumer: a person or a company whose bank accounts are read, and which accounts are theirs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import msgspec

from domain.fact import Erased, Fact
from domain.money import NO_CURRENCY
from domain.refusals import InvalidRequest, NotFound, NotLinked

LEGAL = "LEGAL"
NATURAL = "NATURAL"

#: Why a source left an account: somebody said that it is another one.
BY_REQUEST = "by_request"

#: Whence a consumer is that nobody registered: a client brought data of theirs, and they exist as long as that does.
STORAGE = "storage"
#: What stands for a connection where data was brought and not fetched.
NO_CONNECTION = ""

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
    origin: str = ""
    """`STORAGE`, or empty where they were registered by name."""
    client_id: str | None = None
    """The id that the client chose for them: personal, and in no other place of the log."""


class ConsumerDetailsChanged(Fact, frozen=True):
    details: Details
    """All details as they are from now on."""


class AccountLinked(Fact, frozen=True):
    """A provider's account, seen through a connection, is this account of ours: one of its sources."""

    account_id: str
    connection_id: str
    reference: str
    evidence: Evidence
    source_id: str = ""
    """The stream of the source's own facts, so that what was linked can be undone; empty where it is the account's."""
    currency: str = ""
    """What the source counts in: the same reference in another currency is another source. Empty where unsaid."""
    provider_user: str = ""
    """Whose reference it is: another user of the provider's has references of their own. Empty where unsaid."""

    @property
    def source(self) -> str:
        """The id of the ConsumerAccount whose facts are this source's."""
        return self.source_id or self.account_id


class AccountUnlinked(Fact, frozen=True):
    account_id: str
    connection_id: str
    reference: str
    reason: str
    source_id: str = ""

    @property
    def source(self) -> str:
        return self.source_id or self.account_id


class ConsumerErased(Fact, frozen=True):
    pass


# States


class Unknown(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    pass


class Registered(msgspec.Struct, frozen=True, tag_field="state", tag=True, kw_only=True):
    type: str
    details: Details
    links: tuple[AccountLinked, ...] = ()
    past: tuple[tuple[str, str], ...] = ()
    """Accounts with sources that feed them no more, and are their history still."""
    origin: str = ""
    """`STORAGE` while they exist through data that a client brought, and through nothing else that was said."""


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
        # Of whom data was brought, no name may be known.
        known["name"] = " ".join(filter(None, (known.get("first_name"), known.get("last_name"))))
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


def register_by_data(consumer: Consumer, client_id: str | None) -> tuple[ConsumerRegistered, ...]:
    """Register somebody of whom data is brought, and nothing else is known."""
    match consumer:
        case Unknown():
            nobody = Details(name="")
            return (ConsumerRegistered(type=NATURAL, details=nobody, origin=STORAGE, client_id=client_id),)
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


def link_of(
    consumer: Registered, connection_id: str, reference: str, *, currency: str, provider_user: str
) -> AccountLinked | None:
    """The link of a provider's account. One whose currency the provider leaves out is still the one it was."""
    for link in reversed(consumer.links):
        same = (link.connection_id, link.reference) == (connection_id, reference)
        theirs = link.provider_user in ("", provider_user)
        in_it = link.currency in ("", currency) or currency == NO_CURRENCY
        if same and theirs and in_it:
            return link
    return None


def account_for(consumer: Registered, evidence: Evidence, connection_id: str) -> str | None:
    """Which of our accounts has this evidence already: of several that were told apart, the one that this
    connection feeds."""
    if not evidence.digest:
        return None
    same = [link for link in consumer.links if link.evidence == evidence]
    ours = [link for link in same if link.connection_id == connection_id]
    return next((link.account_id for link in (*reversed(ours), *same)), None)


def link_account(
    consumer: Consumer,
    *,
    connection_id: str,
    reference: str,
    evidence: Evidence,
    currency: str,
    provider_user: str,
    new_id: str,
) -> tuple[AccountLinked, ...]:
    """Link a provider's account: to the account with the same evidence, as a source of its own, or to a new one."""
    known = registered(consumer)
    if link_of(known, connection_id, reference, currency=currency, provider_user=provider_user):
        return ()
    link = AccountLinked(
        account_id=account_for(known, evidence, connection_id) or new_id,
        connection_id=connection_id,
        reference=reference,
        evidence=evidence,
        source_id=new_id,
        currency=currency,
        provider_user=provider_user,
    )
    return (link,)


def renew_source(consumer: Consumer, link: AccountLinked, new_id: str, reason: str) -> tuple[Fact, ...]:
    """Let a provider's account begin anew, as another source of the same account: its rows have new names."""
    if link not in registered(consumer).links:
        return ()
    gone = AccountUnlinked(
        account_id=link.account_id,
        connection_id=link.connection_id,
        reference=link.reference,
        reason=reason,
        source_id=link.source_id,
    )
    # In this order the account is fed all the time, and keeps its history.
    return (msgspec.structs.replace(link, source_id=new_id), gone)


def unlink_source(consumer: Consumer, account_id: str, source_id: str) -> tuple[Fact, ...]:
    """Take a source out of an account with its history: from now on it is an account of its own, and stays one.

    Raises:
        NotFound: the account has no such source.
        NotLinked: it is the account itself, or all that feeds it: nothing would be left to be taken apart from.
    """
    facts: tuple[Fact, ...] = ()
    for link in registered(consumer).links:
        if (link.account_id, link.source) == (account_id, source_id):
            if source_id == account_id:
                raise NotLinked
            gone = AccountUnlinked(
                account_id=account_id,
                connection_id=link.connection_id,
                reference=link.reference,
                reason=BY_REQUEST,
                source_id=source_id,
            )
            facts += (gone, msgspec.structs.replace(link, account_id=source_id, source_id=source_id))
    if not facts:
        raise NotFound
    left = [link for link in registered(consumer).links if link.source != source_id]
    if not any(link.account_id == account_id for link in left):
        raise NotLinked
    return facts


def sources_of(consumer: Registered, account_id: str) -> list[str]:
    """The ids of all sources that an account has, or had: together they are its history."""
    feeding = [link.source for link in consumer.links if link.account_id == account_id]
    past = [source for account, source in consumer.past if account == account_id]
    return list(dict.fromkeys([*past, *feeding]))


def unlink_connection(consumer: Consumer, connection_id: str, reason: str) -> tuple[AccountUnlinked, ...]:
    """Undo the links that came through a connection."""
    return tuple(
        AccountUnlinked(
            account_id=link.account_id,
            connection_id=connection_id,
            reference=link.reference,
            reason=reason,
            source_id=link.source_id,
        )
        for link in registered(consumer).links
        if link.connection_id == connection_id
    )


def unlink_sources(
    consumer: Consumer, source_ids: Collection[str], reason: str
) -> tuple[AccountUnlinked, ...]:
    """Undo the links of sources whose data is destroyed."""
    return tuple(
        AccountUnlinked(
            account_id=link.account_id,
            connection_id=link.connection_id,
            reference=link.reference,
            reason=reason,
            source_id=link.source_id,
        )
        for link in registered(consumer).links
        if link.source in source_ids
    )


def is_left(consumer: Registered, source_ids: Collection[str]) -> bool:
    """Whether anything is left of a consumer without these sources: only of those who exist through them, nothing is."""
    return consumer.origin != STORAGE or any(link.source not in source_ids for link in consumer.links)


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
            return Registered(type=fact.type, details=fact.details, origin=fact.origin)
        case ConsumerErased() | Erased():
            return Gone()
    if not isinstance(consumer, Registered):
        return consumer
    match fact:
        case ConsumerDetailsChanged():
            # Somebody says who they are: they are there for more than what was brought.
            return msgspec.structs.replace(consumer, details=fact.details, origin="")
        case AccountLinked():
            return msgspec.structs.replace(consumer, links=(*consumer.links, fact))
        case AccountUnlinked():
            return _without(consumer, fact)
    return consumer


def _without(consumer: Registered, fact: AccountUnlinked) -> Registered:
    gone = (fact.source, fact.connection_id, fact.reference)
    links = tuple(
        link for link in consumer.links if (link.source, link.connection_id, link.reference) != gone
    )
    fed = {link.account_id for link in links}
    # With the last connection of an account its history goes, too.
    past, entry = tuple(entry for entry in consumer.past if entry[0] in fed), (fact.account_id, fact.source)
    if fact.reason != BY_REQUEST and fact.account_id in fed and entry not in past:
        past = (*past, entry)
    return msgspec.structs.replace(consumer, links=links, past=past)
