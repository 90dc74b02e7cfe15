"""What the rows of a batch say beside their amount and their days, and what they are for: column by column.

A rebuild goes through here with every row: most batches have nothing but wordings, and wordings come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from domain.categories import categorise, tree
from domain.categories.categorise import Label
from domain.row_details import FIELDS, NOTHING, STATES, RowDetails, details_in
from domain.transactions import Batch

#: The rule of a label that whoever brought the row gave it.
STATED = "stated"
#: What has no details is kept as no bytes.
NO_DETAILS = b""

_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(RowDetails).decode


def details_of(batch: Batch) -> list[RowDetails]:
    """What each row of a batch says beside its wording; `NOTHING` for most."""
    size = len(batch)
    columns = {
        name: column if len(column) == size else column * size
        for name in FIELDS
        if (column := batch.fields.get(name)) is not None and _says_something(name, column)
    }
    if not columns:
        return [NOTHING] * size
    absent = {name: frozenset(batch.absent.get(name, ())) for name in columns}
    return [
        details_in({name: column[index] for name, column in columns.items() if index not in absent[name]})
        for index in range(size)
    ]


def _says_something(name: str, column: Sequence[Any]) -> bool:
    if name == "state":
        return any(isinstance(value, str) and value.strip() in STATES for value in column)
    return any(column)


def written(details: RowDetails) -> bytes:
    """As a row keeps it."""
    return NO_DETAILS if details is NOTHING or details == NOTHING else _encode(details)


def read(more: bytes) -> RowDetails:
    return NOTHING if more == NO_DETAILS else _decode(more)


def labels_of(batch: Batch, details: Sequence[RowDetails]) -> list[str]:
    """The labels of each row of a batch, as `categorise.write_labels` has them."""
    return [
        categorise.write_labels(
            stated(said.category_ids)
            or categorise.labels_of(
                wording, kind, amount, "" if said.counterparty is None else said.counterparty.name or ""
            )
        )
        for wording, kind, amount, said in zip(
            batch.wordings, batch.kinds, batch.amounts, details, strict=True
        )
    ]


def stated(category_ids: Sequence[str]) -> tuple[Label, ...]:
    """The labels that whoever brought a row gave it: the rules have no say then."""
    if not category_ids:
        return ()
    names = dict.fromkeys(name for id in category_ids if (name := tree.label_of(id.lower())) is not None)
    return tuple(Label(name, STATED) for name in names)
