"""The doors: how each of them knows its callers, and the shape of its problems."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from aiohttp import web

from adapters.http.browser.pages import problem_page
from adapters.http.problems import Problem
from adapters.http.routing import Answer, Caller, Door
from adapters.http.services import HttpServices
from projections.answers import encode

API_KEY = "X-API-KEY"
CORRELATION_ID = "Klarna-Correlation-Id"
KEY_SIZE_MAX = 512
_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,128}", re.ASCII)

# The shapes of problems


class QardError(msgspec.Struct, kw_only=True):
    error_code: str
    error_message: str
    error_details: dict[str, Any]


class InsightsErrorDetail(msgspec.Struct, kw_only=True):
    code: str
    message: str
    location: str


class InsightsError(msgspec.Struct, kw_only=True):
    code: str
    message: str
    errors: list[InsightsErrorDetail]


class Error(msgspec.Struct, kw_only=True):
    """A problem at the native door and beside the doors."""

    code: str
    message: str
    details: dict[str, Any]


def _qard(problem: Problem) -> Answer:
    error = QardError(error_code=problem.code, error_message=problem.message, error_details=problem.details)
    return Answer(body=encode(error))


#: The Insights contract has its own words for these.
_INSIGHTS_CODES = {"INTERNAL_ERROR": "TECHNICAL"}


def _insights(problem: Problem) -> Answer:
    errors = [
        InsightsErrorDetail(code=problem.detail_code, message=str(message), location=location)
        for location, messages in problem.details.items()
        for message in (messages if isinstance(messages, list) else [messages])
    ]
    code = _INSIGHTS_CODES.get(problem.code, problem.code)
    return Answer(body=encode(InsightsError(code=code, message=problem.message, errors=errors)))


def _native(problem: Problem) -> Answer:
    error = Error(code=problem.code, message=problem.message, details=problem.details)
    return Answer(body=encode(error))


# Who asks


def _token(request: web.Request) -> str | None:
    """The token of `Authorization: Token …`; `Bearer` is let pass as well."""
    values = request.headers.getall("Authorization", [])
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    return token.strip() or None if scheme.lower() in ("token", "bearer") else None


def _api_key(request: web.Request) -> str | None:
    values = request.headers.getall(API_KEY, [])
    return values[0] if len(values) == 1 else None


def _caller(http: HttpServices, key: str | None) -> Caller | None:
    if not key or len(key) > KEY_SIZE_MAX or not key.isascii() or not key.isprintable():
        return None
    found = http.authenticate(key)
    return None if found is None else Caller(*found)


def _by_api_key(request: web.Request, http: HttpServices) -> Caller:
    caller = _caller(http, _api_key(request))
    if caller is None:
        raise Problem(401, "INVALID_API_KEY", "The X-API-KEY header is missing or not valid.")
    return caller


def _by_token(request: web.Request, http: HttpServices) -> Caller:
    token = _token(request)
    if token is None:
        raise Problem(
            401,
            "API_TOKEN_MISSING",
            "The Authorization header must be: Token, a space, and an API token.",
            headers={"WWW-Authenticate": "Token"},
        )
    caller = _caller(http, token)
    if caller is None:
        raise Problem(403, "API_TOKEN_INVALID", "The API token is not valid.")
    return caller


def _by_either(request: web.Request, http: HttpServices) -> Caller:
    caller = _caller(http, _api_key(request) if API_KEY in request.headers else _token(request))
    if caller is None:
        raise Problem(
            401,
            "INVALID_API_KEY",
            "Send a valid key as X-API-KEY, or as Authorization: Token.",
            headers={"WWW-Authenticate": "Token"},
        )
    return caller


def _correlation(request: web.Request, request_id: str) -> dict[str, str]:
    given = request.headers.get(CORRELATION_ID, "")
    return {CORRELATION_ID: given if _CORRELATION.fullmatch(given) else request_id}


QARD = Door(
    prefix="/api/v6",
    authenticate=_by_api_key,
    security=("apiKey",),
    render=_qard,
    error=QardError,
)
INSIGHTS = Door(
    prefix="/insights/v1",
    authenticate=_by_token,
    security=("token",),
    render=_insights,
    error=InsightsError,
    echo=_correlation,
    not_found=("PATH_NOT_FOUND", "There is nothing at this address."),
)
NATIVE = Door(
    prefix="/v1",
    authenticate=_by_either,
    security=("apiKey", "token"),
    render=_native,
    error=Error,
)
CONNECT = Door(prefix="/connect", render=problem_page, error=None)
CALLBACK = Door(prefix="/callback", render=problem_page, error=None)
OPEN = Door(prefix="", render=_native, error=Error)

#: The rest is for the last one.
DOORS = (QARD, INSIGHTS, NATIVE, CONNECT, CALLBACK, OPEN)
