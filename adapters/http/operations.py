"""What an operator asks: is it alive, is it ready, how is it doing."""

from __future__ import annotations

import msgspec

from adapters.http.doors import OPEN
from adapters.http.edge import EDGE
from adapters.http.routing import TEXT, Answer, Asked, Route, ok
from adapters.http.services import Readiness
from domain.data_connection import AUTH_ERROR, AUTH_REQUIRED, CONNECTED, CONNECTING, DISCONNECTED

TAG = "Operations"
#: Each is counted, also where there is none.
STATUSES = (AUTH_REQUIRED, CONNECTING, CONNECTED, AUTH_ERROR, DISCONNECTED)


class Health(msgspec.Struct):
    status: str = "ok"


async def read_health(asked: Asked) -> Answer:
    return ok(Health())


async def read_readiness(asked: Asked) -> Answer:
    readiness = await asked.http.readiness()
    return ok(readiness, 200) if readiness.ready else ok(readiness, 503, **{"Retry-After": "1"})


async def read_metrics(asked: Asked) -> Answer:
    requests = asked.request.app[EDGE].requests
    lines = ["# TYPE passbook_requests_total counter"]
    for (route, status), count in sorted(requests.items()):
        lines.append(f'passbook_requests_total{{route="{route}",status="{status}"}} {count}')
    gauges = {
        "passbook_log_head": await asked.services.log.head(),
        "passbook_projection_position": asked.http.read_models.position(),
        "passbook_pending_syncs": len(await asked.services.read_models.pending_syncs()),
    }
    counts = asked.http.read_models.connection_counts(asked.now())
    gauges |= {
        "passbook_connections_failing": counts.failing,
        "passbook_connections_silent": counts.silent,
        "passbook_consents_expiring": counts.expiring,
    }
    for name, value in gauges.items():
        lines += [f"# TYPE {name} gauge", f"{name} {value}"]
    lines.append("# TYPE passbook_connections gauge")
    for status in STATUSES:
        lines.append(f'passbook_connections{{status="{status}"}} {counts.by_status.get(status, 0)}')
    return Answer(body=("\n".join(lines) + "\n").encode(), content_type=TEXT)


ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        door=OPEN,
        handler=read_health,
        tag=TAG,
        summary="Whether the process answers",
        answers={200: Health},
    ),
    Route(
        method="GET",
        path="/readyz",
        door=OPEN,
        handler=read_readiness,
        tag=TAG,
        summary="Whether requests may be sent here",
        answers={200: Readiness, 503: Readiness},
    ),
    Route(
        method="GET",
        path="/metrics",
        door=OPEN,
        handler=read_metrics,
        tag=TAG,
        summary="Counts and positions, for Prometheus",
        answers={200: TEXT},
        problems=(503,),
    ),
)
