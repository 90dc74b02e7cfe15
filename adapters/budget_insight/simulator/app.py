"""The simulator as a program: its routes, its middlewares, and how it is served."""

import logging
import time
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from adapters.budget_insight.simulator import (
    accounts,
    auth,
    balances,
    connections,
    connectors,
    control,
    transactions,
    webhooks,
    webview,
)
from adapters.budget_insight.simulator.edge import REQUEST_ID, SIMULATION, refusal_status, reply, simulator
from adapters.budget_insight.simulator.options import SimulatorOptions
from adapters.budget_insight.simulator.refusals import Refused
from adapters.budget_insight.simulator.simulation import Simulation

log = logging.getLogger("passbook.simulator")

HOME = """A simulated bank behind the Budget Insight API.

/2.0/…                     the API
/{lang}/connect            the webview; also /reconnect and /manage
/simulator/logins          who can log in; the password is 1234
/simulator/clock           read and move the clock
/simulator/webhooks        where to push, and what was pushed
"""


def create_app(options: SimulatorOptions, faults: Sequence[Middleware] = ()) -> web.Application:
    """Build one simulated bank.

    `faults` are middlewares around every route of the protocol: they may delay, alter or refuse. The test's
    own door under `/simulator` stays out of their reach, so that a test can always look and mend.

    Raises:
        UnknownDataSet: the options name a folder whose files nothing here can read.
    """
    app = web.Application(middlewares=[journal, refusals, *map(only_protocol, faults)])
    app[SIMULATION] = Simulation(options)
    app[webhooks.PUSHES] = webhooks.Pushes(options.webhooks)
    app[SIMULATION].listener = app[webhooks.PUSHES].told
    app.on_cleanup.append(webhooks.closing)
    for room in (auth, connectors, connections, accounts, balances, transactions, webview, control, webhooks):
        app.add_routes(room.ROUTES)
    app.add_routes([web.get("/", home)])
    return app


async def serve(
    options: SimulatorOptions,
    host: str = "127.0.0.1",
    port: int = 0,
    faults: Sequence[Middleware] = (),
) -> tuple[web.AppRunner, str]:
    """Serve until `await runner.cleanup()`; port 0 takes a free one. Returns the runner and the base URL."""
    runner = web.AppRunner(create_app(options, faults), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    bound = runner.addresses[0][1]
    return runner, f"http://{f'[{host}]' if ':' in host else host}:{bound}"


async def home(_: web.Request) -> web.Response:
    return web.Response(text=HOME)


@web.middleware
async def journal(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count and log each request by its route: addresses and headers hold codes and tokens."""
    simulation = simulator(request)
    request[REQUEST_ID] = simulation.next_request_id()
    route = route_of(request)
    if not is_control(request):
        simulation.calls[route] += 1
    began = time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        return response
    finally:
        log.info("%s %d %.1f ms", route, status, (time.perf_counter() - began) * 1000)


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write every refusal in the protocol's envelope."""
    try:
        return await handler(request)
    except Refused as refused:
        return refusal(request, refused, refusal_status(request, refused))
    except web.HTTPNotFound:
        return refusal(request, Refused("notFound", "No such route."), 404)
    except web.HTTPMethodNotAllowed as error:
        not_allowed = Refused("methodNotAllowed", f"{request.method} is not allowed here.")
        response = refusal(request, not_allowed, 405)
        response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return response
    except web.HTTPRequestEntityTooLarge:
        return refusal(request, Refused("tooLarge", "The body is too large."), 413)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("%s failed", route_of(request))
        return refusal(request, Refused("bug", "The simulator failed."), 500)


def refusal(request: web.Request, refused: Refused, status: int) -> web.Response:
    return reply(
        {
            "code": refused.code,
            "description": refused.description,
            "message": refused.message,
            "request_id": request[REQUEST_ID],
        },
        status=status,
    )


def only_protocol(fault: Middleware) -> Middleware:
    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_control(request):
            return await handler(request)
        return await fault(request, handler)

    return guarded


def is_control(request: web.Request) -> bool:
    return request.path.startswith("/simulator/")


def route_of(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return f"{request.method} {resource.canonical if resource else 'unknown'}"
