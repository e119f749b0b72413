"""A small HTTP/1.1 client for measuring: keep-alive connections over asyncio streams, one request at a time on each."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

__all__ = ["Answers", "closed_loop", "open_loop"]

_HEADER_END = b"\r\n\r\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Answers:
    """What came back.

    Parameters
    ----------
    wall_s : float
        Of all requests together.
    latency_s : ndarray of shape (n_requests,)
        From when a request was due to be sent to the end of its answer.
    failed : int
        Answers whose status was not 200.
    """

    wall_s: float
    latency_s: NDArray[np.float64]
    failed: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.latency_s) / self.wall_s

    def ms(self, percentile: float) -> float:
        """Return a percentile of the latency, in ms."""
        return float(1e3 * np.percentile(self.latency_s, percentile))


def closed_loop(url: str, body: bytes, n: int, connections: int = 1) -> Answers:
    """Send `n` requests, each connection its next one when it has the answer to the last."""
    return asyncio.run(_closed(url, body, n, connections))


def open_loop(url: str, body: bytes, rate: float, seconds: float, connections: int = 32) -> Answers:
    """Send requests at a steady rate, whether answers come or not; waiting for a free connection counts as latency."""
    return asyncio.run(_open(url, body, rate, seconds, connections))


async def _closed(url: str, body: bytes, n: int, connections: int) -> Answers:
    latency: list[float] = []
    failed = 0
    left = n

    async def work(connection: _Connection) -> None:
        nonlocal failed, left
        while left > 0:
            left -= 1
            began = time.perf_counter()
            failed += await connection.post(body) != 200
            latency.append(time.perf_counter() - began)

    opened = [_Connection(url) for _ in range(connections)]
    began = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in opened))
    wall_s = time.perf_counter() - began
    for connection in opened:
        connection.close()
    return Answers(wall_s, np.array(latency), failed)


async def _open(url: str, body: bytes, rate: float, seconds: float, connections: int) -> Answers:
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(_Connection(url))
    latency: list[float] = []
    failed = 0

    async def send(due: float) -> None:
        nonlocal failed
        connection = await free.get()
        failed += await connection.post(body) != 200
        latency.append(time.perf_counter() - due)
        free.put_nowait(connection)

    began = time.perf_counter()
    tasks = []
    for number in range(int(rate * seconds)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(send(due)))
    await asyncio.gather(*tasks)
    wall_s = time.perf_counter() - began
    while not free.empty():
        free.get_nowait().close()
    return Answers(wall_s, np.array(latency), failed)


class _Connection:
    """One connection, kept alive; opened again where the server has closed it before it answered anything."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname, parts.port)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        self._head = head.encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, body: bytes) -> int:
        """Send a body and return the status of the answer, read to its end."""
        message = self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        try:
            return await self._exchange(message)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close()
            return await self._exchange(message)

    async def _exchange(self, message: bytes) -> int:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._place)
        reader, writer = self._streams
        writer.write(message)
        head = (await reader.readuntil(_HEADER_END)).lower()
        status = int(head.split(b" ", 2)[1])
        if b"transfer-encoding: chunked" in head:
            while (size := int(await reader.readline(), 16)) > 0:
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length))
        return status

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
