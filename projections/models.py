"""All read models, in the order in which a fact goes through them.

The directory comes first: which source leads an account depends on the status of its connection. A model that asks
what another held before a fact comes before it: the rows of what is forgotten are dropped while it is still known
as a source, and the accounts are put together without it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable

from domain import streams
from domain.data_connection import SyncSucceeded
from domain.fact import Recorded
from projections import (
    accounts,
    balances,
    banking_accounts,
    cashflow,
    confirmed,
    directory,
    health,
    insights,
    linking,
    merging,
    own_transfers,
    pending,
    quality,
    shown,
    stalled,
    transactions,
    uploads,
)
from projections.erasure import stream_of
from projections.ports import Rows, Table

MODELS = (
    *(directory, health, confirmed, quality, linking, merging, pending, shown, cashflow),
    *(balances, banking_accounts, insights, own_transfers, accounts, uploads),
)
ALL_TABLES: tuple[Table, ...] = tuple(table for model in (stalled, *MODELS) for table in model.TABLES)

_project = (
    *(directory.project, health.project, confirmed.project, quality.project),
    *(transactions.project, merging.project, accounts.project, uploads.project),
)
#: Made from rows that are as many as there are accounts and months.
SMALL_DOCUMENTS = (banking_accounts.finish, balances.finish, cashflow.finish)
#: Figures are made from the rows of 24 months. The cash flow tells what they find of own transfers.
_finish = (insights.finish, *SMALL_DOCUMENTS)

Consumer = tuple[str, str]
"""Tenant and consumer."""


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into all read models. Their documents are made afterwards, by `finish`."""
    for step in _project:
        step(recorded, rows)


def changed_by(recorded: Recorded) -> Consumer | None:
    """The consumer whose documents a fact may change."""
    stream = stream_of(recorded.stream)
    of_accounts = stream.aggregate in (streams.CONSUMER, streams.CONSUMER_ACCOUNT)
    # A sync that found nothing new says how fresh the figures are.
    if of_accounts or isinstance(recorded.fact, SyncSucceeded) or merging.may_move(recorded):
        return stream.tenant, stream.consumer
    return None


def finish(rows: Rows, consumers: Iterable[Consumer]) -> None:
    """Make the documents of these consumers from their rows."""
    for tenant, consumer in sorted(consumers):
        for step in _finish:
            step(rows, tenant, consumer)


def fold(facts: Iterable[Recorded], rows: Rows) -> None:
    """Fold facts into rows and make the documents, all at once: a write's answer, or a moment in the past."""
    consumers: set[Consumer] = set()
    for recorded in facts:
        project(recorded, rows)
        consumer = changed_by(recorded)
        if consumer is not None:
            consumers.add(consumer)
    finish(rows, consumers)
