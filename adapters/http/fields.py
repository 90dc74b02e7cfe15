"""The kinds of values that people send. Every string has a bound and holds no control characters."""

from __future__ import annotations

import re
from datetime import date
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from domain.data_types import ALL

#: No control character and no separator that a log or a terminal would take for one.
PLAIN = "^[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]*$"
PAGE_MAX = 999_999_999
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?", re.ASCII | re.IGNORECASE)
PER_PAGE_DEFAULT = 20
PER_PAGE_MAX = 100


def text(longest: int, shortest: int = 0) -> Any:
    return StringConstraints(min_length=shortest, max_length=longest, pattern=PLAIN)


class Body(BaseModel):
    """What is sent as JSON: nothing is converted, and nothing unknown is let in."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True, frozen=True)

    def sent(self) -> dict[str, Any]:
        """The fields that were sent, by name."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Nothing(Body):
    """An empty object, or no body at all."""


class Query(BaseModel):
    """What is sent behind the question mark."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True)


def whole(value: object) -> object:
    """Read a number of a query: digits and nothing else."""
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII):
            raise ValueError("must be a whole number, at least 1")
        return int(value)
    return value


def _day(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII):
            raise ValueError("must be a date, YYYY-MM-DD")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("must be a date, YYYY-MM-DD") from None
    return value


def _is_host(host: str) -> bool:
    """A name of dot-separated labels, or an IP address; `urlsplit` lets anything pass."""
    if ":" in host:
        return bool(ip_address(host))
    return bool(_HOST.fullmatch(host))


def _stands_alone(netloc: str) -> bool:
    """Nothing but a port may follow a bracket: what else does, `urlsplit` drops in silence."""
    return "[" not in netloc or bool(
        re.fullmatch(r"\[[0-9a-f:.]+\](:[0-9]+)?", netloc, re.ASCII | re.IGNORECASE)
    )


def _web_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = _is_host(parts.hostname or "") and _stands_alone(parts.netloc)
        usable = usable and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be a web address, https://…")
    return value


Count = Annotated[int, Field(ge=1, le=PAGE_MAX), BeforeValidator(whole)]
Day = Annotated[date, BeforeValidator(_day)]
WebAddress = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048, pattern=r"^https?://[!#-;=?-\[\]_a-z~]+$"),
    AfterValidator(_web_address),
]
DataType = Annotated[str, text(64), Field(json_schema_extra={"enum": list(ALL)})]


class Paging(Query):
    """Which page of a list. More than 100 a page are clamped to 100."""

    page: Count = 1
    per_page: Count = PER_PAGE_DEFAULT

    @property
    def size(self) -> int:
        return min(self.per_page, PER_PAGE_MAX)
