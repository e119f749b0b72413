"""From a decoder's rows to batches: in order, counted, and with the time up to which they are complete."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trader.core.market import QuoteBatch, TradeBatch
from trader.data.live.decoder import Decoder, LostRows
from trader.data.live.reorder import ReorderBuffer
from trader.telemetry.feed_metrics import FeedCounters, FeedTally, Stage

__all__ = ["Intake"]

Rows = TradeBatch | QuoteBatch
_COUNTED_ROWS = 8192
_QUIET_NS = 1_000_000_000
"""While nothing comes, time is still known to pass, less this much."""


class Intake:
    """Takes rows from a decoder, puts them in order where that is asked for, and counts them by symbol.

    Parameters
    ----------
    name : str
        Of the source.
    decoder : Decoder
    symbols : sequence of str
    reorder_ns : int
        How long rows wait for earlier ones; 0 passes them on as they come.
    """

    def __init__(self, name: str, decoder: Decoder, symbols: Sequence[str], reorder_ns: int) -> None:
        self._decoder = decoder
        self._reorder_ns = reorder_ns
        self._order: ReorderBuffer[TradeBatch] | ReorderBuffer[QuoteBatch] = ReorderBuffer(reorder_ns)
        self._symbol_ids = {symbol: place for place, symbol in enumerate(symbols)}
        self._tally = FeedTally(name, tuple(symbols))
        self._lock = threading.Lock()
        self._uncounted: dict[Stage, list[tuple[NDArray[np.int32], NDArray[np.int64]]]] = {
            "exchange_to_receive": [],
            "receive_to_passed": [],
        }
        self._n_uncounted = 0
        self._received_ns = 0
        self.watermark_ns = 0
        """No later row happened before or at this time, but for late ones."""
        self.lost: list[LostRows] = []
        """What was found to be lost by the last `take`."""

    @property
    def too_late(self) -> int:
        """Rows left out because later ones had been passed on."""
        return self._order.late

    def take(self, now_ns: int, *, is_open: bool, at_end: bool = False) -> Rows | None:
        """Return what may be passed on, or no rows where only time has passed; None where there is nothing to say."""
        rows = self._decoder.take(now_ns, at_end=at_end)
        self.lost = self._decoder.lost()
        for lost in self.lost:
            self._tally.add("gap_rows", np.array([self._symbol_ids[lost.symbol]]), lost.count)
        if len(rows):
            self._count("exchange_to_receive", rows.symbol_id, rows.ts_recv_ns - rows.ts_event_ns)
            newest_ns = int(rows.ts_event_ns.max())
        elif is_open and self.watermark_ns and now_ns - _QUIET_NS >= self.watermark_ns + _QUIET_NS:
            newest_ns = now_ns - _QUIET_NS + 1
        elif at_end:
            newest_ns = 0
        else:
            return None
        out = self._in_order(rows, newest_ns, at_end=at_end)
        self.watermark_ns = max(self.watermark_ns, newest_ns - 1 - self._reorder_ns)
        if len(out):
            self._count("receive_to_passed", out.symbol_id, now_ns - out.ts_recv_ns)
        return None if at_end and not len(out) else out

    def count_dropped(self, symbol_id: NDArray[np.int32]) -> None:
        """Count rows that a slow consumer did not take, by their symbols."""
        with self._lock:
            self._tally.add("dropped", symbol_id)

    def counters(self, reconnects: int) -> FeedCounters:
        """Return the totals."""
        with self._lock:
            self._settle()
            found, decoder = self._tally.counters(), self._decoder
        counts = dict(found.counts) | {"bytes": decoder.bytes_by_symbol.copy()}
        counts |= {"duplicates": decoder.duplicates_by_symbol(), "late": decoder.late_by_symbol()}
        counts |= {"sale_condition": decoder.barred_by_symbol.copy()} | decoder.book_counts()
        return dataclasses.replace(
            found, counts=counts, reconnects=reconnects, clock_offset_s=decoder.clock.shift_ns / 1e9
        )

    def _count(self, stage: Stage, symbol_id: NDArray[np.int32], taken_ns: NDArray[np.int64]) -> None:
        """Count rows a few thousand at a time: each count costs as much as that of one row."""
        with self._lock:
            self._uncounted[stage].append((symbol_id, taken_ns))
            self._n_uncounted += len(symbol_id)
            if self._n_uncounted >= _COUNTED_ROWS:
                self._settle()

    def _settle(self) -> None:
        for stage, held in self._uncounted.items():
            if held:
                ids, taken_ns = (np.concatenate(parts) for parts in zip(*held, strict=True))
                self._tally.observe(stage, ids, taken_ns)
                if stage == "exchange_to_receive":
                    self._tally.add("messages", ids)
                held.clear()
        self._n_uncounted = 0

    def _in_order(self, rows: Rows, newest_ns: int, *, at_end: bool) -> Rows:
        if not self._reorder_ns:
            return rows
        released: list[Rows | None] = [self._order.push(rows)] if len(rows) else []  # type: ignore[arg-type]
        if at_end:
            released.append(self._order.flush())
        elif not len(rows):
            released.append(self._order.advance(newest_ns))
        kept = [each for each in released if each is not None and len(each)]
        if not kept:
            return type(rows).empty()
        whole = type(rows).concat(kept)  # type: ignore[arg-type]
        # A row counts as received when those that had to come before it were.
        steps = np.arange(len(whole))
        received = np.maximum.accumulate(np.maximum(whole.ts_recv_ns, self._received_ns + 1) - steps) + steps
        self._received_ns = int(received[-1])
        return type(rows)(**(whole.columns() | {"ts_recv_ns": received}))
