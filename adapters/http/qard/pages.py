"""Lists: a page of rows under their counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from adapters.http.fields import Paging
from adapters.http.routing import Answer
from projections.answers import encode

Row = TypeVar("Row")


class Page(msgspec.Struct, Generic[Row], kw_only=True):
    """The envelope of every list. A page past the end is empty; an empty list has one page."""

    total: int
    per_page: int
    current_page: int
    last_page: int
    result: list[Row]


def page_of(paging: Paging, total: int, rows: Iterable[Any]) -> Answer:
    return encoded_page(paging, total, [encode(row) for row in rows])


def encoded_page(paging: Paging, total: int, rows: Sequence[bytes]) -> Answer:
    """A page of rows that were encoded when they were written."""
    last_page = max(1, -(-total // paging.size))
    head = b'{"total":%d,"per_page":%d,"current_page":%d,"last_page":%d,"result":[' % (
        total,
        paging.size,
        paging.page,
        last_page,
    )
    return Answer(body=b"".join((head, b",".join(rows), b"]}")))
