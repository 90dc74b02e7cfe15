"""Stream ids: `{tenant}/{consumer}/{aggregate}/{uuid}`, and `{tenant}/-/provider/{name}`.

A consumer's whole history is one range of the key. Nothing personal is in an id.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PROVIDER = "provider"
CONSUMER = "consumer"
DATA_CONNECTION = "data_connection"
CONSUMER_ACCOUNT = "consumer_account"

#: The one tenant of an installation that makes no others.
DEFAULT_TENANT = "default"
TENANT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)


class Stream(NamedTuple):
    """The four parts of a stream id. `consumer` is "-" where the stream belongs to none."""

    tenant: str
    consumer: str
    aggregate: str
    id: str

    def __str__(self) -> str:
        return "/".join(self)


def parse(stream: str) -> Stream:
    """Split a stream id.

    Raises:
        ValueError: the text is no stream id.
    """
    tenant, consumer, aggregate, id = stream.split("/")
    return Stream(tenant, consumer, aggregate, id)


def provider(tenant: str, name: str) -> str:
    return f"{tenant}/-/{PROVIDER}/{name}"


def consumer(tenant: str, consumer_id: str) -> str:
    return f"{tenant}/{consumer_id}/{CONSUMER}/{consumer_id}"


def data_connection(tenant: str, consumer_id: str, connection_id: str) -> str:
    return f"{tenant}/{consumer_id}/{DATA_CONNECTION}/{connection_id}"


def consumer_account(tenant: str, consumer_id: str, account_id: str) -> str:
    return f"{tenant}/{consumer_id}/{CONSUMER_ACCOUNT}/{account_id}"


def scope_of(stream: str) -> str:
    """The scope of the key that seals a stream: its tenant's, its consumer's, or its own beneath the consumer's.

    Raises:
        ValueError: the text is no stream id, or names an aggregate that does not exist.
    """
    tenant, consumer, aggregate, id = parse(stream)
    if consumer == "-":
        return tenant
    match aggregate:
        case "consumer":
            return f"{tenant}/{consumer}"
        case "data_connection" | "consumer_account":
            return f"{tenant}/{consumer}/{id}"
    raise ValueError("the stream is of no known aggregate")


def of_consumer(tenant: str, consumer_id: str, aggregate: str = "") -> str:
    """The prefix of all streams of a consumer, or of those of one aggregate."""
    prefix = f"{tenant}/{consumer_id}/"
    return f"{prefix}{aggregate}/" if aggregate else prefix
