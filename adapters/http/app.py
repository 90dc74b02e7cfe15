"""The application: the routes on the router, and the edge around them."""

from __future__ import annotations

from collections import defaultdict

import msgspec
from aiohttp import web

from adapters.http.bodies import BODY_SIZE_MAX
from adapters.http.doors import DOORS
from adapters.http.edge import EDGE, Edge, endpoint, journal, problems
from adapters.http.openapi import document
from adapters.http.routes import ROUTES
from adapters.http.services import HttpServices


def create_app(http: HttpServices) -> web.Application:
    """Put the doors in front of the service. `adapters.http.server.Runner` serves what this returns."""
    app = web.Application(middlewares=[journal, problems], client_max_size=BODY_SIZE_MAX)
    methods: dict[str, list[str]] = defaultdict(list)
    resources: dict[str, web.Resource] = {}
    for route in ROUTES:
        resource = resources.get(route.path)
        if resource is None:
            resource = resources[route.path] = app.router.add_resource(route.path)
        handler = endpoint(route)
        for method in (route.method, "HEAD") if route.method == "GET" and route.head else (route.method,):
            resource.add_route(method, handler)
            methods[route.path].append(method)
    allowed = {path: sorted(found) for path, found in methods.items() if "{" not in path}
    app[EDGE] = Edge(http=http, doors=DOORS, allowed=allowed, document=msgspec.json.encode(document(ROUTES)))
    return app
