"""One WebSocket connection that listens, and answers where a vendor's protocol asks for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

__all__ = ["ConnectFailedError", "Connection", "OnMessages", "connect"]

OnMessages = Callable[[Sequence[bytes], Sequence[int]], Sequence[bytes]]
"""Given messages and the times of their receipt; returns what to answer."""

_PING_S = 10.0
"""An idle connection is pinged so often, and given up if no answer comes for as long."""
_TEXT = WSMsgType.TEXT
_TOGETHER = 256
"""More messages at a time would no longer fit into the processor's cache when they are decoded."""
_MAX_FRAME = 10 * 1024 * 1024


class ConnectFailedError(Exception):
    """No connection was made; the message says why, in a line."""


class Connection(WSListener):
    """An open connection; what comes together goes to `on_messages` together, at once.

    Parameters
    ----------
    on_messages : callable
        Its answers are sent back.
    """

    def __init__(self, on_messages: OnMessages) -> None:
        self._on_messages = on_messages
        self._parts: list[bytes] = []
        self._came: list[bytes] = []
        self._came_at_ns = 0
        self._transport: WSTransport | None = None
        self._last_ns = 0
        self._loop = asyncio.get_running_loop()
        self.opened_s = time.monotonic()
        """When it was made, by the monotonic clock."""
        self.messages = 0
        """Messages that came."""
        self.close_code: int | None = None
        """What the other side closed with; None where it sent no close frame."""

    @property
    def is_open(self) -> bool:
        """Whether messages may still come."""
        return self._transport is not None and not self._transport.is_disconnected

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        return "lost without a close frame" if self.close_code is None else f"closed with code {self.close_code}"

    def close(self) -> None:
        """End it; what is on the way is let go of."""
        if self._transport is not None:
            self._transport.disconnect()

    def send(self, message: bytes) -> None:
        """Send a text message; nothing happens where the connection has ended."""
        if self._transport is not None and self.is_open:
            self._transport.send(_TEXT, message)

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Keep what ends the connection."""
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Pass on whole messages; parts wait for the last one."""
        kind = frame.msg_type
        if kind == _TEXT and frame.fin and not self._parts:
            self._came.append(frame.get_payload_as_bytes())
            if len(self._came) == 1 or len(self._came) == _TOGETHER:
                self._look()
        elif kind == WSMsgType.CLOSE:
            self._pass_on()
            code = frame.get_close_code()
            self.close_code = code.value
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()
        elif kind in (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._came.append(whole)
                self._look()

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 - the library's form
        """Pass on what came last."""
        self._pass_on()

    def _look(self) -> None:
        """Look at the messages that came after the first one, and where there may be enough."""
        if len(self._came) >= _TOGETHER:
            self._pass_on()
        elif len(self._came) == 1:
            # Frames that were read at one go are all handed over before the loop turns to this; they came together.
            self._came_at_ns = time.time_ns()
            self._loop.call_soon(self._pass_on)

    def _pass_on(self) -> None:
        if not self._came:
            return
        came, self._came = self._came, []
        first_ns = max(self._came_at_ns, self._last_ns + 1)
        came_ns = list(range(first_ns, first_ns + len(came)))
        self._last_ns = came_ns[-1]
        self.messages += len(came)
        for answer in self._on_messages(came, came_ns):
            self.send(answer)


async def connect(
    url: str, on_messages: OnMessages, timeout_s: float, headers: Mapping[str, str] | None = None
) -> Connection:
    """Return a connection to `url`, which pings and answers pings by itself; `headers` go with the handshake.

    Raises
    ------
    ConnectFailedError
        If none is made in time, or the server refuses.
    """
    try:
        async with asyncio.timeout(timeout_s):
            _, listener = await ws_connect(
                lambda: Connection(on_messages),
                url,
                websocket_handshake_timeout=timeout_s,
                enable_auto_ping=True,
                auto_ping_idle_timeout=_PING_S,
                auto_ping_reply_timeout=_PING_S,
                max_frame_size=_MAX_FRAME,
                extra_headers=dict(headers or {}),
            )
    except TimeoutError:
        raise ConnectFailedError(f"no answer within {timeout_s:g} s") from None
    except (OSError, WSError, ValueError) as error:
        raise ConnectFailedError(_why(error)) from None
    assert isinstance(listener, Connection)  # noqa: S101 - it is what the factory made
    return listener


def _why(error: BaseException) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        status = int(response.status)
        return f"refused with HTTP {status}{_ADVICE.get(status, '')}"
    return " ".join(str(error).split()) or type(error).__name__


_ADVICE = {
    403: " (forbidden: the address or network may be blocked)",
    404: " (no such path: look at feed.live.url)",
    418: " (banned for a while after too many requests; wait some minutes)",
    429: " (too many requests; wait a minute, and use one connection)",
    451: " (not served where you are)",
}
