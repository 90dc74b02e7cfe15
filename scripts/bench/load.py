"""The load, in a process of its own: so many requests over so many connections, on this machine only.

Reads an order from standard input and writes what it saw to standard output, both JSON. A client of its own
making: one that understood more of HTTP would take longer to ask than the service to answer.
"""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec

LOOPBACK = frozenset({"127.0.0.1", "::1"})
CONNECTIONS_MAX = 64
REQUESTS_MAX = 100_000
SECONDS_MAX = 30.0


class Order(msgspec.Struct, kw_only=True):
    host: str
    port: int
    request: bytes
    """As it goes over the wire."""
    connections: int
    requests: int
    warm_up: int
    """Requests before those that count."""


class Seen(msgspec.Struct, kw_only=True):
    seconds: float
    latencies: list[float]
    """Of each request that counts, in seconds, sorted."""
    body: bytes
    """Of one answer."""


class LoadFailed(Exception):
    """An answer was not 200, or not as long as the one before it."""


class Load:
    """What is left to be asked, shared by the connections."""

    def __init__(self, request: bytes, count: int) -> None:
        self.request = request
        self.left = count
        self.latencies: list[float] = []
        self.body = b""
        self.size = 0


class Connection(asyncio.Protocol):
    """Asks, waits for the whole answer, and asks again."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = bytearray()
        self._asked = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        load = self._load
        if load.left == 0:
            self._transport.close()
            self.done.set_result(None)
            return
        load.left -= 1
        self._asked = time.perf_counter()
        self._transport.write(load.request)

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        load = self._load
        if load.size == 0:
            load.size = _size_of(received)
        if len(received) < load.size or load.size == 0:
            return
        load.latencies.append(time.perf_counter() - self._asked)
        if len(received) > load.size or not received.startswith(b"HTTP/1.1 200"):
            self._fail(received.partition(b"\r\n")[0].decode("latin-1"))
            return
        if not load.body:
            load.body = bytes(received.partition(b"\r\n\r\n")[2])
        received.clear()
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._fail("the connection was closed")

    def _fail(self, why: str) -> None:
        self._transport.close()
        if not self.done.done():
            self.done.set_exception(LoadFailed(why))


def _size_of(received: bytearray) -> int:
    """How long the whole answer is; 0 while its head is not there yet. All answers are equally long."""
    head, end, _ = received.partition(b"\r\n\r\n")
    if not end:
        return 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(head) + len(end) + int(value)
    raise LoadFailed("the answer does not tell its length")


async def _drive(order: Order, count: int) -> Load:
    load = Load(order.request, count)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(load), order.host, order.port)
        for _ in range(order.connections)
    ]
    await asyncio.gather(*(connection.done for _, connection in made))
    return load


async def drive(order: Order) -> Seen:
    """Send what was ordered.

    Raises:
        LoadFailed, OSError, TimeoutError: it did not come to its end.
        ValueError: the order is out of bounds.
    """
    if order.host not in LOOPBACK:
        raise ValueError("loads are for this machine only")
    if not (0 < order.connections <= CONNECTIONS_MAX and 0 < order.requests <= REQUESTS_MAX):
        raise ValueError("the order is too large")
    async with asyncio.timeout(SECONDS_MAX):
        if order.warm_up:
            await _drive(order, order.warm_up)
        started = time.perf_counter()
        load = await _drive(order, order.requests)
        seconds = time.perf_counter() - started
    return Seen(seconds=seconds, latencies=sorted(load.latencies), body=load.body)


def main() -> None:
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    try:
        seen = asyncio.run(drive(order))
    except KeyboardInterrupt:
        sys.exit(130)
    except (LoadFailed, OSError, TimeoutError) as error:
        sys.exit(f"the load came to no end: {error or type(error).__name__}")
    sys.stdout.buffer.write(msgspec.json.encode(seen))


if __name__ == "__main__":
    main()
