"""Reading what people send: JSON bodies and queries, refused without repeating any of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from adapters.http.problems import VALIDATION_ERROR, Problem

BODY_SIZE_MAX = 65_536
BODY_SECONDS_MAX = 15.0
MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"

Model = TypeVar("Model", bound=BaseModel)

#: What is said of each kind of error. What is not here is said in general terms.
_MESSAGES = {
    "missing": "is required",
    "extra_forbidden": "holds a field that is not known",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "date_type": "must be a date, YYYY-MM-DD",
    "date_parsing": "must be a date, YYYY-MM-DD",
    "date_from_datetime_parsing": "must be a date, YYYY-MM-DD",
    "string_too_long": "is too long",
    "string_too_short": "is too short",
    "string_pattern_mismatch": "is not of the expected form",
    "too_long": "holds too many",
    "too_short": "holds too few",
    "literal_error": "is not one of the values allowed here",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
}


def too_large(size_max: int) -> Problem:
    return Problem(
        413,
        "PAYLOAD_TOO_LARGE",
        f"The body is larger than {size_max} bytes.",
        headers={"Connection": "close"},
    )


async def read_body(request: web.Request, size_max: int = BODY_SIZE_MAX) -> bytes:
    """The bytes of the body, within the limits of size and time.

    Raises:
        Problem: 400, 408, 413 or 415.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Problem(
            415,
            MEDIA_TYPE,
            "The body must not be compressed.",
            headers={"Accept-Encoding": "identity", "Connection": "close"},
        )
    raw = await read_raw(request, size_max)
    if raw and request.headers.get("Content-Type", "").strip() and not _is_json(request):
        raise Problem(415, MEDIA_TYPE, "The body must be JSON in UTF-8.")
    return raw


async def read_raw(request: web.Request, size_max: int) -> bytes:
    """The bytes of the body as they came, compressed or not, whatever they are.

    Raises:
        Problem: 400, 408 or 413.
    """
    # Announced to be too large, it need not arrive first.
    if (request.content_length or 0) > size_max:
        raise too_large(size_max)
    try:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            return await request.clone(client_max_size=size_max).read()
    except TimeoutError:
        raise Problem(
            408, "REQUEST_TIMEOUT", "The body did not arrive in time.", headers={"Connection": "close"}
        ) from None
    except web.HTTPRequestEntityTooLarge:
        raise too_large(size_max) from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError, ValueError):
        raise Problem(
            400, VALIDATION_ERROR, "The body could not be read.", headers={"Connection": "close"}
        ) from None


def _is_json(request: web.Request) -> bool:
    try:
        charset = (request.charset or "utf-8").lower()
        return request.content_type == "application/json" and charset in ("utf-8", "utf8", "us-ascii")
    except ValueError:
        return False


def parse_body(raw: bytes, model: type[Model], *, optional: bool) -> Model:
    """The body as a model.

    Raises:
        Problem: 400; no name, value or position of the input is in it.
    """
    if not raw.strip(b" \t\r\n") and optional:
        raw = b"{}"
    _check_json(raw)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _refusal("The body is not valid.", error, model, "body") from None


def _check_json(raw: bytes) -> None:
    """Refuse what strict readers refuse, and what readers disagree about: keys that are given twice."""
    try:
        msgspec.json.decode(raw)
        json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise Problem(
            400,
            VALIDATION_ERROR,
            "The body is not JSON, or an object in it has a key twice.",
            details={"body": ["is not valid JSON"]},
        ) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def parse_query(
    query: Iterable[tuple[str, str]], model: type[Model] | None, *, lenient: bool = False
) -> Model | None:
    """The query as a model; a route without one takes no parameters.

    Raises:
        Problem: 400 for an unknown, repeated or invalid parameter.
    """
    found: dict[str, str] = {}
    known = set(model.model_fields) if model else set()
    for name, value in query:
        if name not in known:
            if lenient:
                continue
            raise _bad_query("query", "holds a parameter that is not known")
        if name in found:
            raise _bad_query(name, "is given more than once")
        if not value.isprintable() or "\ufffd" in value:
            raise _bad_query(name, "holds characters that are not allowed")
        found[name] = value
    if model is None:
        return None
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise _refusal("The query is not valid.", error, model, "query") from None


def _bad_query(location: str, message: str) -> Problem:
    return Problem(400, VALIDATION_ERROR, "The query is not valid.", details={location: [message]})


def _refusal(message: str, error: ValidationError, model: type[BaseModel], whole: str) -> Problem:
    known = set(_names(model))
    details: dict[str, list[str]] = {}
    for problem in error.errors(include_input=False, include_context=False, include_url=False):
        location = _location(problem["loc"], known) or whole
        if problem["type"] == "value_error":
            said = problem["msg"].removeprefix("Value error, ")
        else:
            said = _MESSAGES.get(problem["type"], "is not valid")
        messages = details.setdefault(location, [])
        if said not in messages:
            messages.append(said)
    return Problem(400, VALIDATION_ERROR, message, details=details)


def _location(parts: Iterable[int | str], known: set[str]) -> str:
    """The path to a field, as far as its names are ours."""
    path: list[str] = []
    for part in parts:
        if not isinstance(part, int) and part not in known:
            break
        path.append(str(part))
    return ".".join(path)


def _names(model: type[BaseModel]) -> Iterable[str]:
    schema = model.model_json_schema()
    yield from schema.get("properties", {})
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    for definition in definitions.values():
        yield from definition.get("properties", {})
