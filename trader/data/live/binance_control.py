"""Binance's messages that carry no rows."""

from __future__ import annotations

from typing import Annotated

import msgspec

from trader.core.market import Universe
from trader.data.live.decoder import Decoder, LiveKind, Refusal

__all__ = ["ControlDecoder", "Millis"]

Millis = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
"""Beyond these, nanoseconds do not fit into 64 bits."""


class _Event(msgspec.Struct):
    e: str = ""
    s: str = ""


class _Control(_Event):
    """Events that were not asked for, and answers to commands."""

    data: _Event | None = None
    id: int | str | None = None
    error: dict[str, int | str] | None = None


class ControlDecoder(Decoder):
    """Knows what Binance says besides rows.

    Parameters
    ----------
    universe : Universe
    kind : {"trades", "quotes"}
    event : str
        Binance's name of the events that rows are made of.
    """

    def __init__(self, universe: Universe, kind: LiveKind, event: str) -> None:
        super().__init__(universe, kind)
        self._event = event
        self._decode_control = msgspec.json.Decoder(_Control).decode

    def _on_control(self, raw: bytes | memoryview) -> None:
        """Take in a message that was not taken for a row; what is not understood is counted."""
        try:
            message = self._decode_control(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._count("malformed")
            return
        event = message.data or message
        if message.error is not None:
            self.refusal = Refusal(str(message.error.get("msg", message.error)), is_final=False)
        elif event.e == "serverShutdown":
            self.closing = True
        elif event.s and event.s not in self._ids:
            self._count("unknown_symbol")
        elif event.e and event.e != self._event:
            self._count("unexpected")
        elif message.id is None:
            self._count("malformed")
