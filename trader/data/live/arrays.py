"""What the decoders of vendors share whose frames are arrays of tagged messages."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from trader.core.errors import DataError
from trader.core.market import Universe
from trader.data.live.decoder import Decoder, LiveKind, Mark
from trader.data.live.sales import SaleRule
from trader.data.live.seen import Seen

__all__ = ["LOT", "MOST_AHEAD_NS", "SHARES_SINCE_NS", "ArrayDecoder", "check_symbols", "lot_of"]

SHARES_SINCE_NS = 1_762_128_000_000_000_000
"""Quotes of US stocks from before 3 November 2025 give sizes in round lots, taken to be 100 shares; later ones in
shares, as the tapes do since that day. This is assumed of both vendors."""
LOT = 100.0
"""Shares of a round lot."""
MOST_AHEAD_NS = 60_000_000_000
"""Stamps further in the future do not count for how far a symbol has come."""


def lot_of(event_ns: int) -> float:
    """Return how many shares a quote's size of 1 means.

    >>> lot_of(SHARES_SINCE_NS - 1), lot_of(SHARES_SINCE_NS)
    (100.0, 1.0)
    """
    return LOT if event_ns < SHARES_SINCE_NS else 1.0


def check_symbols(universe: Universe, vendor: str) -> None:
    """Raise DataError if a symbol is not of the form of US stocks."""
    unlike = [symbol for symbol in universe.symbols if not symbol.replace(".", "").isalnum()]
    if unlike:
        raise DataError(f"symbols {unlike} are not {vendor}'s; letters, digits and points are allowed, e.g. BRK.B")


class ArrayDecoder(Decoder):
    """Takes frames apart; a message that does not fit is refused alone, and the others of its frame are taken.

    These vendors give no consecutive numbers, so what is missing shows as a disconnection and not as a count; what
    comes twice is known by the vendor's ids, for as long as `Seen` remembers.

    Parameters
    ----------
    universe : Universe
    kind : {"trades", "quotes"}
    message : type
        Union of tagged structs, one for each kind of message.
    sales : SaleRule, optional
        Which trades may set a price. Others have been seen like any, but make no row: they count as `sale_condition`,
        and trades with a condition that is not known as `unknown_condition`.
    """

    def __init__(self, universe: Universe, kind: LiveKind, message: Any, sales: SaleRule | None = None) -> None:
        super().__init__(universe, kind)
        self._sales = sales
        self._barred_ids: set[int] = set()
        self._decode: Callable[[bytes | memoryview], list[Any]] = msgspec.json.Decoder(
            list[message], strict=False
        ).decode
        self._decode_one: Callable[[Any], Any] = msgspec.json.Decoder(message, strict=False).decode
        self._seen = Seen()
        self._share = 0  # of each message in the size of its frame
        self._last_event_ns = [0] * len(universe)

    def marks(self) -> dict[int, Mark]:
        """Return how far each symbol has come, by id."""
        return {symbol_id: Mark(event_ns, 0) for symbol_id, event_ns in enumerate(self._last_event_ns) if event_ns}

    def barred_marks(self) -> dict[int, int]:
        """Return how far symbols have come, by id, of which the rule left trades out since the last call."""
        barred, self._barred_ids = self._barred_ids, set()
        return {symbol_id: self._last_event_ns[symbol_id] for symbol_id in barred}

    def on_message(self, raw: bytes | memoryview, recv_ns: int) -> bytes | None:
        """Take in one frame, received at `recv_ns`; return what to answer, if anything."""
        self.bytes += len(raw)
        try:
            messages = self._decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            messages = self._one_by_one(raw)
        self.messages += len(messages)
        self._share = len(raw) // max(1, len(messages))
        # Times of receipt rise strictly, so a recording sorted by them is in the order of receipt.
        recv_ns = max(recv_ns, self._last_recv_ns + 1)
        others = (
            self._take_trades(messages, recv_ns) if self._kind == "trades" else self._take_quotes(messages, recv_ns)
        )
        answer = None
        for other in others:
            answer = self._on_other(other) or answer
        return answer

    def on_messages(self, raws: Sequence[bytes], recv_ns: Sequence[int]) -> list[bytes]:
        """Take in frames that came together as one, which takes a fraction of the time of small ones."""
        if len(raws) == 1 or not all(raw.startswith(b"[{") and raw.endswith(b"}]") for raw in raws):
            return super().on_messages(raws, recv_ns)
        whole = b"[%b]" % b",".join([raw[1:-1] for raw in raws])
        self.bytes += sum(map(len, raws)) - len(whole)
        # They were read from the socket at one go: all count as received with the last of them.
        answer = self.on_message(whole, recv_ns[-1])
        return [] if answer is None else [answer]

    @abc.abstractmethod
    def _take_trades(self, messages: Sequence[Any], recv_ns: int) -> list[Any]:
        """Take in trades received from `recv_ns` on; return the messages that are none."""

    @abc.abstractmethod
    def _take_quotes(self, messages: Sequence[Any], recv_ns: int) -> list[Any]:
        """Take in quotes received from `recv_ns` on; return the messages that are none."""

    @abc.abstractmethod
    def _on_other(self, message: Any) -> bytes | None:
        """Take in a message that is no tick of the kind asked for; return what to answer, if anything."""

    def _came(self, symbol_ids: Sequence[int], last_recv_ns: int) -> None:
        """Note the rows of a frame, the last of which was received at `last_recv_ns`."""
        if not symbol_ids:
            return
        self._last_recv_ns = last_recv_ns
        first_ns = last_recv_ns - len(symbol_ids) + 1
        for symbol_id, place in dict(zip(symbol_ids, range(len(symbol_ids)), strict=True)).items():
            self._seen_ns[symbol_id] = first_ns + place
        if len(symbol_ids) == 1:
            self.bytes_by_symbol[symbol_ids[0]] += self._share
        else:
            self.bytes_by_symbol += self._share * np.bincount(symbol_ids, minlength=len(self._symbols))

    def _passes(self, conditions: msgspec.Raw, tape: msgspec.Raw, symbol_id: int) -> bool:
        """Return whether a trade of these conditions makes a row; count what is to be counted."""
        if self._sales is None:
            return True
        verdict = self._sales.judge(conditions, tape)
        if not verdict.is_known:
            self._count("unknown_condition")
        if not verdict.passes:
            self.barred_by_symbol[symbol_id] += 1
            self._barred_ids.add(symbol_id)
        return verdict.passes

    def _are_known(self, symbol_ids: list[int], events: list[int], recv_ns: int) -> bool:
        """Return whether all symbols and times are known, and no time is far ahead."""
        return min(symbol_ids) >= 0 and min(events) >= 0 and max(events) < recv_ns + MOST_AHEAD_NS

    def _are_rising(self, symbol_ids: list[int], events: list[int]) -> bool:
        """Return whether the times rise, also above those before."""
        last_ns = self._last_event_ns
        return sorted(events) == events and all(last_ns[symbol_id] <= events[0] for symbol_id in set(symbol_ids))

    def _add(
        self,
        symbol_ids: Sequence[int],
        events: Sequence[int],
        recv_ns: int,
        kept: Sequence[bool] | None = None,
        **columns: Any,
    ) -> None:
        """Take in rows as columns of the table's other fields; those not `kept` are only seen."""
        records = np.empty(len(events), self._dtype)
        records["ts_event_ns"], records["symbol_id"] = events, symbol_ids
        records["ts_recv_ns"] = np.arange(recv_ns, recv_ns + len(events))
        for name, column in columns.items():
            records[name] = column
        self._rows += (records if kept is None else records[np.array(kept)]).tobytes()
        self._came(symbol_ids, recv_ns + len(events) - 1)
        last_ns = self._last_event_ns
        for symbol_id, event_ns in zip(symbol_ids, events, strict=True):
            if event_ns > last_ns[symbol_id]:
                last_ns[symbol_id] = event_ns

    @staticmethod
    def _sorted(messages: Sequence[Any], tick: type) -> tuple[Sequence[Any], list[Any]]:
        """Return the ticks, and the other messages."""
        others = [message for message in messages if type(message) is not tick]
        return ([message for message in messages if type(message) is tick] if others else messages), others

    def _one_by_one(self, raw: bytes | memoryview) -> list[Any]:
        try:
            parts = msgspec.json.decode(raw, type=list[msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.messages += 1
            self._count("malformed")
            return []
        messages = []
        for part in parts:
            try:
                messages.append(self._decode_one(part))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                self.messages += 1
                self._count("unexpected" if str(error).startswith("Invalid value") else "malformed")
        return messages
