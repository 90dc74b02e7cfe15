"""Two answers over HTTP: `passbook serve` against a bare aiohttp handler that returns the same bytes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import msgspec

from scripts.bench.bare import Bodies
from scripts.bench.folder import Folder
from scripts.bench.load import Order, Seen
from scripts.bench.measure import Benchmark, Case, Figure, Line, Sample
from scripts.bench.statements import SEED, TENANT, Person, fetched, person

NAME = "http"
SUMMARY = "GET banking-accounts and the balances report, against a bare handler with the same bytes"

PEOPLE = 50
ACCOUNTS_EACH = 5
TRANSACTIONS_EACH = 200
CONNECTIONS = 16
REQUESTS = 6_000
REQUESTS_QUICK = 1_500
WARM_UP = 300
READY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 15.0
MILLISECONDS = 1_000
MICROSECONDS = 1_000_000


class ServerFailed(Exception):
    """A server did not start, or did not answer as it should."""


class Server(NamedTuple):
    """A process that answers, and where."""

    process: subprocess.Popen[str]
    port: int


class Ask(NamedTuple):
    """A request as it goes over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    def bytes_for(self, port: int) -> bytes:
        headers = {"Host": f"127.0.0.1:{port}", **self.headers}
        if self.body:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        lines = [
            f"{self.method} {self.path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def prepare(stack: ExitStack, scratch: Path, *, quick: bool) -> Benchmark:
    data = scratch / NAME
    asked, key = asyncio.run(_fill(data))
    service = _service(stack, data, scratch / "service.log")
    get = Ask("GET", f"/api/v6/users/{asked.id}/banking-accounts", {"X-API-KEY": key})
    post = Ask(
        "POST",
        "/insights/v1/reports/balances/create",
        {"Authorization": f"Token {key}"},
        msgspec.json.encode({"insights_consumer_id": asked.id}),
    )
    bodies = Bodies(get=_one(service.port, get), post=_one(service.port, post))
    bare = _bare(stack, bodies)
    # The same headers and body, so that both read as much as they write.
    pairs = (
        ("GET banking-accounts", get, len(bodies.get)),
        ("POST balances report", post, len(bodies.post)),
    )
    requests = REQUESTS_QUICK if quick else REQUESTS
    cases: list[Case] = []
    lines: list[Line] = []
    for what, ask, size in pairs:
        ours, theirs = f"{NAME}: {what}", f"{NAME}: {what}, bare"
        cases += [
            Case(ours, _case(service, ask, requests)),
            Case(theirs, _case(bare, ask._replace(path="/"), requests)),
        ]
        lines += [
            Line(f"{what}, {size:,} bytes{more}", unit, Figure(ours, figure), Figure(theirs, figure))
            for more, unit, figure in (
                ("", "requests/s", "rate"),
                (", processor time of the server", "µs/request", "processor"),
                (", p50", "ms", "p50"),
                (", p99", "ms", "p99"),
            )
        ]
    return Benchmark(NAME, cases, lines)


def _case(server: Server, ask: Ask, requests: int) -> Callable[[], Sample]:
    def run() -> Sample:
        before = _processor_seconds(server.process.pid)
        seen = _load(server.port, ask, requests, WARM_UP)
        after = _processor_seconds(server.process.pid)
        sample = {
            "rate": requests / seen.seconds,
            "p50": seen.latencies[requests // 2] * MILLISECONDS,
            "p99": seen.latencies[requests * 99 // 100] * MILLISECONDS,
        }
        if before is not None and after is not None:
            sample["processor"] = (after - before) / (requests + WARM_UP) * MICROSECONDS
        return sample

    return run


def _load(port: int, ask: Ask, requests: int, warm_up: int) -> Seen:
    order = Order(
        host="127.0.0.1",
        port=port,
        request=ask.bytes_for(port),
        connections=min(CONNECTIONS, requests),
        requests=requests,
        warm_up=warm_up,
    )
    command = [sys.executable, "-m", "scripts.bench.load"]
    done = subprocess.run(command, input=msgspec.json.encode(order), capture_output=True)
    if done.returncode:
        raise ServerFailed(done.stderr.decode(errors="replace").strip())
    return msgspec.json.decode(done.stdout, type=Seen)


def _one(port: int, ask: Ask) -> bytes:
    """The body of one answer."""
    return _load(port, ask, requests=1, warm_up=0).body


def _processor_seconds(pid: int) -> float | None:
    """What a process has used so far; None where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# What is started


async def _fill(data: Path) -> tuple[Person, str]:
    """A log of some people. The one in the middle is asked about, with a key that is kept as others are."""
    random = Random(SEED)
    people = [person(random, ACCOUNTS_EACH) for _ in range(PEOPLE)]
    folder = Folder(data)
    try:
        await folder.begin(random, people)
        for someone in people:
            for account in someone.accounts:
                for fact in fetched(random, TRANSACTIONS_EACH):
                    await folder.append(account.stream, (fact,))
        return people[PEOPLE // 2], folder.vault.api_keys.create(TENANT)
    finally:
        folder.close()


def _service(stack: ExitStack, data: Path, log: Path) -> Server:
    """`passbook serve` as an operator starts it, once it is ready.

    Raises:
        ServerFailed
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PASSBOOK_")}
    environment["PASSBOOK_MASTER_KEY_FILE"] = str(data.with_name(f"{data.name}.key"))
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.cli", "serve", "--data", str(data), "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=stack.enter_context(log.open("wb")),
        text=True,
    )
    stack.callback(_stop, process)
    line = process.stdout.readline() if process.stdout else ""
    if "http://127.0.0.1:" not in line:
        raise ServerFailed(f"the service did not start: {log.read_text()[-2_000:]}")
    port = int(line.partition("http://127.0.0.1:")[2].partition(",")[0])
    _wait_until_ready(port)
    return Server(process, port)


def _wait_until_ready(port: int) -> None:
    give_up = time.monotonic() + READY_SECONDS_MAX
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (HTTPError, URLError):
            if time.monotonic() > give_up:
                raise ServerFailed("the service is not ready") from None
            time.sleep(0.05)


def _bare(stack: ExitStack, bodies: Bodies) -> Server:
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.bench.bare"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    stack.callback(_stop, process)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the bare server has no pipes")
    process.stdin.write(msgspec.json.encode(bodies).decode() + "\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise ServerFailed("the bare server did not start")
    return Server(process, int(line))


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
