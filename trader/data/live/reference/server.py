"""The reference server: replays a capture over WebSockets as the vendor would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Literal

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from trader.core.errors import OperationError, SettingsError
from trader.data.live.capture import CapturedMessage, read_capture
from trader.data.live.reference.faults import Fault, FaultPlan
from trader.data.live.reference.protocol import Keys, RestKind, WireProtocol, WireSession
from trader.data.live.reference.protocols import PROTOCOLS

__all__ = ["ReplayServer"]

_YIELD_EVERY = 64
_IDLE_S = 0.01
_PATIENCE_S = 10.0
"""A client that has not shown its key by then is sent away."""


class ReplayServer:
    """Speaks a vendor's protocol and replays a capture, once, to all clients alike.

    The replay begins with the first subscription and does not wait for those who leave: who reconnects has missed what
    was sent meanwhile, as in life, and may ask for it over REST. When the capture is used up the server stays, silent.

    Parameters
    ----------
    capture : Path
        See `trader.data.live.capture`.
    protocol : {"binance", "alpaca", "massive"}
    keys : Keys, optional
        Whom to let in; the default is anybody who shows a key where the protocol asks for one.
    host, port : str, int
        Where to listen; port 0 takes a free one, `url` names it.
    speed : float, default=1.0
        Times the capture's own; 0 is as fast as clients take it.
    stamps : {"now", "recorded"}, default="now"
        Whether the messages' times are moved to the present.
    start_at : float, optional
        When the replay begins, in seconds since 1970, with whoever is there; None waits for the first subscription.
        Servers that begin at one time tell the same times, as sources of one market do.
    faults : sequence of Fault
        Misdeeds.

    Raises
    ------
    SettingsError
        If the protocol is unknown, or has no place for one of the misdeeds.
    """

    def __init__(
        self,
        capture: Path,
        *,
        protocol: str = "binance",
        keys: Keys | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        stamps: Literal["now", "recorded"] = "now",
        start_at: float | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        if speed < 0:
            raise ValueError(f"speed={speed}; 0 (full speed) or more is allowed")
        if protocol not in PROTOCOLS:
            raise SettingsError(f"protocol={protocol!r}; {', '.join(PROTOCOLS)} are allowed")
        self._protocol: WireProtocol = PROTOCOLS[protocol](keys or Keys())
        for fault in faults:
            if fault.kind in self._protocol.without:
                raise SettingsError(f"misbehave={fault.kind!r}; {protocol} has no place for it")
        self._capture = capture
        self._host = host
        self._port = port
        self._speed = speed
        self._restamps = stamps == "now"
        self._start_at = start_at
        self._plan = FaultPlan(faults)
        self._clients: dict[ServerConnection, WireSession] = {}
        self._muted: set[ServerConnection] = set()
        self._refused: dict[ServerConnection, int] = {}
        self._held: list[tuple[int, str, bytes]] = []
        self._server: Server | None = None
        self._first_ns: int | None = None
        self._began_ns = 0
        self.url = ""
        """Base address; set by `start`."""
        self.sent = 0
        """Messages of the capture that at least one client was due to get."""
        self.connections = 0
        """Connections that were let in."""
        self.finished = asyncio.Event()
        """Set when the capture is used up."""

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        OperationError
            If the port cannot be had.
        """
        try:
            self._server = await serve(
                self._serve, self._host, self._port, process_request=self._on_request, compression=None
            )
        except OSError as error:
            raise OperationError(f"cannot listen at {self._host}:{self._port}: {error.strerror or error}") from None
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://{self._host}:{port}"

    async def run(self) -> None:
        """Replay; then stay until cancelled."""
        try:
            await self._replay()
            self.finished.set()
            await asyncio.get_running_loop().create_future()
        finally:
            if self._server is not None:
                self._server.close()
                await self._server.wait_closed()

    async def _replay(self) -> None:
        self._plan.due(0)  # refusals from the beginning
        if self._start_at is not None:
            await asyncio.sleep(self._start_at - time.time())
        while self._start_at is None and not any(session.wants_any for session in self._clients.values()):
            await asyncio.sleep(_IDLE_S)
        self._began_ns = time.time_ns() if self._start_at is None else round(self._start_at * 1e9)
        began_s, first_ns, free_s = time.monotonic() - (time.time_ns() - self._began_ns) / 1e9, None, 0.0
        for number, message in enumerate(read_capture(self._capture)):
            first_ns = message.recv_ns if first_ns is None else first_ns
            due_s = began_s + (message.recv_ns - first_ns) / 1e9 / self._speed if self._speed else 0.0
            if self._plan.per_second is not None:
                due_s = max(due_s, free_s)
            if due_s and (wait_s := due_s - time.monotonic()) > 0:
                await self._flush()
                await asyncio.sleep(wait_s)
            if number % _YIELD_EVERY == 0:
                await self._flush()
                await asyncio.sleep(0)
            self._protocol.on_message(message)
            if topic := self._protocol.topic(message):
                await self._send(topic, message)
                if self._plan.per_second is not None:
                    free_s = max(free_s, time.monotonic() - _IDLE_S) + 1.0 / self._plan.per_second
        for _, topic, payload in self._held:
            self._put(topic, payload, 1)
        await self._flush()

    async def _send(self, topic: str, message: CapturedMessage) -> None:
        payload = self._restamped(message.payload)
        self._protocol.keep(topic, payload)
        if not any(session.wants(topic) for session in self._clients.values()):
            return
        for fault in self._plan.due(self.sent):
            if fault.kind == "reorder":
                self._held.append((self.sent + int(fault.value), topic, payload))
                self.sent += 1
                return
            await self._misbehave(fault)
        self._put(topic, payload, self._plan.copies())
        self.sent += 1
        while self._held and self._held[0][0] < self.sent:
            self._put(*self._held.pop(0)[1:], 1)

    def _put(self, topic: str, payload: bytes, copies: int) -> None:
        for client, session in self._clients.items():
            if client not in self._muted and session.wants(topic):
                session.outbox += [payload] * copies

    async def _flush(self) -> None:
        for client, session in list(self._clients.items()):
            for frame in session.take():
                await self._send_to(client, session, frame)

    async def _misbehave(self, fault: Fault) -> None:
        await self._flush()
        clients = list(self._clients.items())
        if fault.kind == "mute":
            self._muted.update(self._clients)
        elif fault.kind == "garbage":
            for client, session in clients:
                for _ in range(int(fault.value)):
                    await self._send_to(client, session, self._protocol.garbage)
        elif fault.kind == "close":
            for client, _ in clients:
                self._drop(client)
                if fault.value == 1006:
                    client.transport.abort()
                else:
                    await client.close(int(fault.value), "on request")

    async def _send_to(self, client: ServerConnection, session: WireSession, frame: bytes) -> None:
        try:
            await client.send(frame, text=not session.is_binary)
        except ConnectionClosed:
            self._drop(client)

    def _restamped(self, payload: bytes) -> bytes:
        skew_ns = int(self._plan.skew_s * 1e9)
        if self._first_ns is None:
            self._first_ns = self._protocol.first_stamp(payload)
        if self._first_ns is None or not (self._restamps or skew_ns):
            return payload
        if not self._restamps:
            return self._protocol.restamp(payload, self._first_ns, self._first_ns + skew_ns, 1.0)
        # At full speed a message is as old as its sending.
        now_ns, speed = (self._began_ns, self._speed) if self._speed else (time.time_ns(), 1e18)
        return self._protocol.restamp(payload, self._first_ns, now_ns + skew_ns, speed)

    def _drop(self, client: ServerConnection) -> None:
        session = self._clients.pop(client, None)
        self._muted.discard(client)
        if session is not None:
            self._protocol.leave(session)

    async def _serve(self, client: ServerConnection) -> None:
        assert client.request is not None  # noqa: S101 - the handshake is over
        refusal = self._refused.pop(client, None)
        session = self._protocol.session(client.request.path, client.request.headers, refusal)
        self._clients[client] = session
        self.connections += 1
        hurry = asyncio.create_task(self._hurry(client, session))
        try:
            await self._say(client, session, session.greeting())
            async for command in client:
                await self._say(client, session, session.answer(command))
        except ConnectionClosed:
            pass
        finally:
            hurry.cancel()
            self._drop(client)

    async def _hurry(self, client: ServerConnection, session: WireSession) -> None:
        await asyncio.sleep(_PATIENCE_S)
        if not session.is_let_in:
            await self._say(client, session, session.too_late())

    async def _say(self, client: ServerConnection, session: WireSession, frames: Sequence[bytes]) -> None:
        for frame in frames:
            await client.send(frame, text=not session.is_binary)
        if session.close_code is not None:
            await client.close(session.close_code)

    def _on_request(self, client: ServerConnection, request: Request) -> Response | None:
        kind = self._protocol.rest_kind(request.path)
        if kind is not None:
            return self._on_rest(client, request, kind)
        refusal = self._plan.refusal()
        if refusal is not None and refusal not in self._protocol.refusals:
            return client.respond(HTTPStatus(refusal), "refused on request\n")
        if not self._protocol.is_known(request.path):
            return client.respond(HTTPStatus.NOT_FOUND, f"paths {self._protocol.paths} are allowed\n")
        if refusal is not None:
            self._refused[client] = refusal
        return None

    def _on_rest(self, client: ServerConnection, request: Request, kind: RestKind) -> Response:
        refused = self._plan.rest_refusal(kind)
        if refused is not None:
            status, body = HTTPStatus(refused), self._protocol.rest_refusal(refused)
        else:
            now_ns = time.time_ns() + int(self._plan.skew_s * 1e9)
            status, body = self._protocol.get(request.path, request.headers, now_ns)
        response = client.respond(status, body.decode())
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response
