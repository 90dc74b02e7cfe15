"""The document of all routes, and a page to read and try it that needs nothing from outside."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from adapters.http.doors import OPEN
from adapters.http.edge import EDGE
from adapters.http.problems import not_found
from adapters.http.routing import HTML, Answer, Asked, Route

TAG = "Documents"
PNG = "image/png"

_TYPES = {".css": "text/css", ".js": "text/javascript", ".png": PNG}
_BUNDLED = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Passbook API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
#: `validatorUrl` is an address of somebody else's unless it is null.
_START = b"""window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  deepLinking: true,
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis]
});
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def read_docs(asked: Asked) -> Answer:
    return Answer(body=_PAGE, content_type=HTML, headers={"Content-Security-Policy": _POLICY})


async def read_asset(asked: Asked) -> Answer:
    name = asked.ids["asset"]
    if name == "start.js":
        return Answer(body=_START, content_type=_TYPES[".js"])
    if name not in _BUNDLED:
        raise not_found()
    headers = {"Cache-Control": "public, max-age=86400"}
    return Answer(body=_bundled(name), content_type=_TYPES[Path(name).suffix], headers=headers)


@cache
def _bundled(name: str) -> bytes:
    package = find_spec("swagger_ui")
    if package is None or package.origin is None:
        raise not_found()
    return (Path(package.origin).parent / "static" / name).read_bytes()


async def read_logo(asked: Asked) -> Answer:
    return Answer(body=_logo(), content_type=PNG, headers={"Cache-Control": "public, max-age=86400"})


@cache
def _logo() -> bytes:
    """A plain mark in place of a logo that belongs to somebody else: three bars, 64 pixels wide."""
    size = 64
    rows = bytearray()
    for y in range(size):
        rows.append(0)
        for x in range(size):
            bar = (x - 12) // 14
            inside = 12 <= x < 54 and (x - 12) % 14 < 10 and 52 - 12 * (bar + 1) <= y < 52
            rows += bytes((30, 96, 84) if inside else (236, 241, 238))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 9))
        + chunk(b"IEND", b"")
    )


async def read_document(asked: Asked) -> Answer:
    return Answer(body=asked.request.app[EDGE].document)


def _route(path: str, handler: object, summary: str, answers: dict[int, object], *problems: int) -> Route:
    return Route(
        method="GET",
        path=path,
        door=OPEN,
        handler=handler,  # type: ignore[arg-type]
        tag=TAG,
        summary=summary,
        answers=answers,
        problems=problems,
    )


ROUTES = (
    _route("/openapi.json", read_document, "This document", {200: dict}),
    _route("/docs", read_docs, "A page to read and try the API", {200: HTML}),
    _route("/docs/{asset}", read_asset, "What that page is made of", {200: "*/*"}, 404),
    _route("/static/budget_insight.png", read_logo, "The mark of a provider", {200: PNG}),
)
