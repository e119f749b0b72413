"""What the decoders of all vendors share: rows collected, checked and counted."""

from __future__ import annotations

import abc
import collections
import dataclasses
import struct
from collections.abc import Iterable
from collections.abc import Sequence as Ordered
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.market import QuoteBatch, TradeBatch, Universe
from trader.data.boundary import validate_quotes, validate_trades
from trader.data.live.clock import SourceClock
from trader.data.live.sequence import Sequence

__all__ = ["Decoder", "LiveKind", "LostRows", "Mark", "Refusal"]

LiveKind = Literal["trades", "quotes"]

_SETTLE_NS = 20_000_000
"""How often numbers that are missing are looked through."""
_CODES = {"int64": "q", "int32": "i", "int8": "b", "float64": "d"}


@dataclasses.dataclass(frozen=True, slots=True)
class LostRows:
    """Numbered messages of a symbol that never came."""

    symbol: str
    first: int
    last: int

    @property
    def count(self) -> int:
        """How many."""
        return self.last - self.first + 1


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """How far a symbol has come: the vendor's time and number of its newest row; number 0 where there are none."""

    event_ns: int
    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Refusal:
    """What a vendor said when it refused something; `is_final` where asking again cannot help, as with a wrong key."""

    text: str
    is_final: bool


class Decoder(abc.ABC):
    """Turns raw messages of one vendor into batches of ticks; what it leaves out is counted by reason.

    Event times are moved to our clock (`SourceClock`), and no row is received before it happened.

    Parameters
    ----------
    universe : Universe
        Symbols, as the vendor writes them in upper case.
    kind : {"trades", "quotes"}
        What rows are made of.
    """

    def __init__(self, universe: Universe, kind: LiveKind) -> None:
        self._kind = kind
        self._symbols = universe.symbols
        self._ids = {symbol.upper(): position for position, symbol in enumerate(universe.symbols)}
        self._table = TradeBatch if kind == "trades" else QuoteBatch
        self._dtype = self._table.record_dtype()
        # The layout of the records, filled by a quarter of the time that numpy takes for tuples.
        self._pack = struct.Struct("".join(_CODES[np.dtype(t).name] for t in self._table.DTYPES.values()) + "0q").pack
        self._sequences = [Sequence() for _ in universe.symbols]
        self._rows = bytearray()
        self._counts: collections.Counter[str] = collections.Counter()
        self._last_recv_ns = self._settled_ns = 0
        self._seen_ns = [0] * len(universe)
        self._lost: list[LostRows] = []
        self.grace_ns = 1_000_000_000
        """How long a number that was skipped may come late before it counts as lost."""
        self._duplicates = np.zeros(len(universe), np.int64)
        self._late = np.zeros(len(universe), np.int64)
        self.bytes_by_symbol = np.zeros(len(universe), np.int64)
        """Size of the messages of each symbol, shape (n_symbols,)."""
        self.barred_by_symbol = np.zeros(len(universe), np.int64)
        """Trades that the rule of sale conditions left out, shape (n_symbols,)."""
        self.messages = 0
        """Messages seen, of any form."""
        self.bytes = 0
        """Their size."""
        self.clock = SourceClock()
        """The vendor's."""
        self.refusal: Refusal | None = None
        """What the vendor refused last; None while it has refused nothing."""
        self.closing = False
        """Whether the vendor announced that it is about to shut down."""

    @abc.abstractmethod
    def on_message(self, raw: bytes | memoryview, recv_ns: int) -> bytes | None:
        """Take in one message, received at `recv_ns`; return what to answer, if anything."""

    def on_messages(self, raws: Ordered[bytes], recv_ns: Ordered[int]) -> list[bytes]:
        """Take in messages that came together, with the times of their receipt; return what to answer."""
        answers = [self.on_message(raw, at_ns) for raw, at_ns in zip(raws, recv_ns, strict=True)]
        return [answer for answer in answers if answer is not None]

    def greeting(self) -> bytes | None:
        """Return what is sent first on a new connection; None where the vendor speaks first, or the address says all.

        Called once for every connection, so state that belongs to one begins anew here.
        """
        return None

    def marks(self) -> dict[int, Mark]:
        """Return how far each symbol has come, by id; empty for those that brought nothing."""
        return {}

    def holes(self, before_ns: int) -> list[LostRows]:
        """Return numbers that are missing since before that time and not yet lost, each only once."""
        return [
            LostRows(symbol, hole.first, hole.last)
            for symbol, sequence in zip(self._symbols, self._sequences, strict=True)
            for hole in sequence.wanted(before_ns)
        ]

    def on_history(self, symbol_id: int, rows: Iterable[Any], now_ns: int) -> int:  # noqa: ARG002 - for vendors with a history
        """Take in rows that were fetched later, oldest first, in the vendor's own form; return how many were missing.

        They come before the rows that wait for `take`, and all of these count as received now.
        """
        return 0

    def __len__(self) -> int:
        return len(self._rows) // self._dtype.itemsize

    def last_seen(self) -> dict[str, int]:
        """Return the time of receipt of the last row by symbol; 0 before the first."""
        return dict(zip(self._symbols, self._seen_ns, strict=True))

    def counts(self) -> dict[str, int]:
        """Return how many messages and rows were left out, or taken with a reservation, by reason."""
        again, late = int(self.duplicates_by_symbol().sum()), int(self.late_by_symbol().sum())
        found = dict(self._counts) | {"duplicate": again, "came_late": late}
        found["sale_condition"] = int(self.barred_by_symbol.sum())
        return {reason: n for reason, n in found.items() if n}

    def duplicates_by_symbol(self) -> NDArray[np.int64]:
        """Return how many rows came again, shape (n_symbols,)."""
        numbered = [sequence.duplicates for sequence in self._sequences]
        return self._duplicates + np.array(numbered, np.int64)

    def late_by_symbol(self) -> NDArray[np.int64]:
        """Return how many rows came after a later one, shape (n_symbols,)."""
        return self._late + np.array([sequence.late for sequence in self._sequences], np.int64)

    def book_counts(self) -> dict[str, NDArray[np.int64]]:
        """Return what is counted of order books by symbol, by the names of `BOOK_COUNTS`; empty without books."""
        return {}

    def take(self, now_ns: int, *, at_end: bool = False) -> TradeBatch | QuoteBatch:
        """Return the rows since the last call, in order of receipt; those that cannot be true are refused.

        `at_end` gives up waiting for every number that is missing.
        """
        if at_end or now_ns - self._settled_ns >= _SETTLE_NS:
            self._settled_ns = now_ns
            self._settle(np.iinfo(np.int64).max if at_end else now_ns - self.grace_ns)
        rows, self._rows = self._rows, bytearray()
        if not rows:
            return self._table.empty()
        records = self._stamped(np.frombuffer(rows, self._dtype))
        records["ts_event_ns"] -= self.clock.update(records["ts_event_ns"], records["ts_recv_ns"])
        batch = self._table.from_records(records)
        good, refused = validate_trades(batch) if isinstance(batch, TradeBatch) else validate_quotes(batch)
        self._counts.update(refused)
        return good

    def barred_marks(self) -> dict[int, int]:
        """Return how far symbols have come, by id, of which a rule left trades out since the last call."""
        return {}

    def lost(self) -> list[LostRows]:
        """Return the numbered messages found to be lost since the last call."""
        lost, self._lost = self._lost, []
        return lost

    def _settle(self, before_ns: int) -> None:
        """Give up waiting for numbers that are missing since before that time."""
        for symbol, sequence in zip(self._symbols, self._sequences, strict=True):
            for hole in sequence.settle(before_ns):
                self._counts["lost"] += hole.missing
                self._lost.append(LostRows(symbol, hole.first, hole.last))

    def _put_first(self, rows: Iterable[tuple[Any, ...]], now_ns: int) -> None:
        """Put rows (event time, symbol, and the table's other fields) before those that wait for `take`."""
        packed = b"".join(self._pack(event_ns, 0, *fields) for event_ns, *fields in rows)
        if not packed:
            return
        held = self._stamped(np.frombuffer(self._rows, self._dtype))
        records = np.concatenate([np.frombuffer(packed, self._dtype), held])
        begin_ns = max(now_ns, self._last_recv_ns + 1)
        records["ts_recv_ns"] = begin_ns + np.arange(len(records))
        self._last_recv_ns = begin_ns + len(records) - 1
        self._rows = bytearray(records.tobytes())

    def _stamped(self, records: NDArray[Any]) -> NDArray[Any]:
        """Return the records with their event times; for vendors whose times are read many at a time."""
        return records

    def _count(self, reason: str, n: int = 1) -> None:
        self._counts[reason] += n
