"""The OpenAPI 3.1 document, assembled from the table of routes and the models that validate and encode."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import msgspec
from pydantic import BaseModel

from adapters.http.doors import API_KEY, Error
from adapters.http.edge import IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_FORM, LOG_POSITION
from adapters.http.routing import HTML, JSON, Header, Route
from projections.answers import encode

_REF = "#/components/schemas/{name}"
_GENERIC = re.compile(r"(\w+?)_(\w+?)_+")

#: What any route may answer, whatever it is for.
_ALWAYS = (400, 500)
_WITH_KEY = (401, 429, 503)
_WITH_BODY = (408, 413, 415)
_WRITES = (409, 422)

#: `Log-Position` is told here and not as a parameter: a position that was made up is never reached.
_DESCRIPTION = """Bank accounts, transactions, cash flow, credit insights and balances reports.

Every write answers with `Log-Position`. Send it along with a later request to read what was written; if it
is not reached within two seconds, that request answers 503 with `Retry-After`. Send an `Idempotency-Key`
with a write to be able to repeat it: it is carried out once, and answered the same."""

_SECURITY = {
    "apiKey": {"type": "apiKey", "in": "header", "name": API_KEY},
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The word Token, a space, and an API key.",
    },
}
_IDEMPOTENCY_KEY = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "description": "Makes the request safe to repeat: the same key with the same request is carried out once.",
    "schema": {"type": "string", "pattern": f"^{IDEMPOTENCY_KEY_FORM}$"},
}
_LOG_POSITION_ANSWERED = {
    "description": "Send this along to read what was written here.",
    "schema": {"type": "integer", "minimum": 0},
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    schemas, components = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Passbook",
            "version": _version(),
            "description": _DESCRIPTION,
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SECURITY},
    }


def _version() -> str:
    try:
        return version("passbook")
    except PackageNotFoundError:
        return "0"


# Operations


def statuses(route: Route) -> list[int]:
    """Every status that a route can answer with."""
    found = {*route.answers, *route.problems, *_ALWAYS}
    if route.door.authenticate is not None:
        found.update(_WITH_KEY)
    if route.method not in ("GET", "HEAD"):
        found.update(_WITH_BODY)
    if route.writes:
        found.update(_WRITES)
    return sorted(found)


def _operation(route: Route, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "security": [{name: []} for name in route.door.security],
        "responses": {str(status): _response(route, status, schemas) for status in statuses(route)},
    }
    parameters = [*_path_parameters(route), *_query_parameters(route)]
    if route.writes:
        parameters.append(_IDEMPOTENCY_KEY)
    parameters += [_header(header) for header in route.headers]
    if parameters:
        operation["parameters"] = parameters
    if route.body is not None:
        content: dict[str, Any] = {"schema": {"$ref": _REF.format(name=route.body.__name__)}}
        if route.body_example is not None:
            content["example"] = route.body_example
        operation["requestBody"] = {"required": not route.body_optional, "content": {JSON: content}}
    elif route.accepts:
        operation["requestBody"] = {"required": True, "content": {route.accepts: {}}}
    return operation


def _header(header: Header) -> dict[str, Any]:
    return {
        "name": header.name,
        "in": "header",
        "required": False,
        "description": header.description,
        "schema": {"type": "string", "enum": list(header.values)},
    }


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"} if name.endswith("_id") else {"type": "string"},
        }
        for name in route.parameters
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema()
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "schema": _without_null(_without_titles(field)),
        }
        for name, field in schema["properties"].items()
    ]


def _response(route: Route, status: int, schemas: Mapping[Any, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if status in route.answers:
        type = route.answers[status]
        if isinstance(type, str):
            response["content"] = {type: {"schema": {"type": "string"}}}
        elif type is not None:
            response["content"] = {JSON: {"schema": schemas[_key(type)]}}
            if route.example is not None and status == next(iter(route.answers)):
                response["content"][JSON]["example"] = msgspec.json.decode(encode(route.example))
        if route.writes:
            response["headers"] = {LOG_POSITION: _LOG_POSITION_ANSWERED}
    elif route.door.error is None:
        response["content"] = {HTML: {"schema": {"type": "string"}}}
        if status == 400:
            # What is no HTTP is refused before anybody knows which door it was meant for.
            response["content"][JSON] = {"schema": schemas[_key(Error)]}
    else:
        response["content"] = {JSON: {"schema": schemas[_key(route.door.error)]}}
    return response


# Schemas


def _schemas(routes: Iterable[Route]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each type that is answered, and the components that all schemas refer to."""
    answered: dict[Any, Any] = {}
    bodies: dict[str, type[BaseModel]] = {}
    for route in routes:
        for type in (*route.answers.values(), route.door.error):
            if type is not None and not isinstance(type, str):
                answered.setdefault(_key(type), type)
        if route.body is not None:
            bodies[route.body.__name__] = route.body
    made, components = msgspec.json.schema_components(list(answered.values()), ref_template=_REF)
    components = {_plain(name): _exact(schema) for name, schema in components.items()}
    for name, body in sorted(bodies.items()):
        schema = _without_titles(body.model_json_schema(ref_template=_REF.format(name="{model}")))
        for part, described in {**schema.pop("$defs", {}), name: schema}.items():
            # Bodies may share their parts.
            if components.setdefault(part, described) != described:
                raise RuntimeError(f"two schemas are named {part}")
    return dict(zip(answered, map(_exact, made), strict=True)), components


def _key(type: Any) -> str:
    return repr(type)


def _plain(name: str) -> str:
    """`Page[answers.User]` is called `PageOfUser`: msgspec would say `Page_User_`."""
    made = _GENERIC.fullmatch(name)
    return f"{made[1]}Of{made[2]}" if made else name


def _exact(schema: Any) -> Any:
    """Decimals are sent as numbers, with exactly their digits; msgspec describes them as text."""
    match schema:
        case {"type": "string", "format": "decimal"}:
            return {"type": "number"}
        case {"$ref": str(ref)}:
            return {**schema, "$ref": "/".join((*ref.split("/")[:-1], _plain(ref.split("/")[-1])))}
        case dict():
            return {name: _exact(value) for name, value in schema.items()}
        case list():
            return [_exact(value) for value in schema]
    return schema


def _without_titles(schema: Any) -> Any:
    """Drop what repeats the name, and the defaults that only stand for "not sent"."""
    match schema:
        case dict():
            return {
                name: {key: _without_titles(field) for key, field in value.items()}
                if name == "properties"
                else _without_titles(value)
                for name, value in schema.items()
                if not (name == "title" and isinstance(value, str))
                and not (name == "default" and value in (None, "", []))
            }
        case list():
            return [_without_titles(value) for value in schema]
    return schema


def _without_null(schema: Any) -> Any:
    """A parameter that may be left out is not null: it is not there."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    said = {"description": schema["description"]} if "description" in schema else {}
    return {**options[0], **said}
