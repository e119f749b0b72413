"""What two sources both bring around a switch from one to the other, taken once."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trader.core.market import QuoteBatch, TradeBatch

__all__ = ["Overlap"]

Rows = TradeBatch | QuoteBatch
_Key = tuple[int, float, float]
_MS = 1_000_000
_BEFORE_MS = 100
"""Rows so much older than the newest passed on are of the time of the source before, and left to it."""
_AFTER_MS = 2_000
"""A source so much further than the newest passed on at the switch has nothing in common with the one before."""


class Overlap:
    """Remembers what was passed on lately, to tell after a switch what of the new source's rows are the same trades.

    Vendors number trades differently, but stamp them with the times of the same tape. A trade is the same if
    millisecond, price and size agree; where several do, as many count as the same as were passed on. Of quotes, those
    older than the newest passed on are left out.

    Parameters
    ----------
    keep_ns : int
        How long rows are remembered, by time of receipt.
    """

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._passed: collections.deque[tuple[Rows, int]] = collections.deque()
        self._open: dict[int, tuple[collections.Counter[_Key], int]] = {}
        self.duplicates = 0
        """Trades that a second source brought again."""
        self.superseded = 0
        """Rows left out because they are of the time of the source before."""

    def begin(self, symbol_id: int) -> None:
        """Begin to compare the rows of a symbol with what was passed on: it comes from another source now."""
        passed: collections.Counter[_Key] = collections.Counter()
        newest = None
        for rows, ahead_ns in self._passed:
            of_symbol = rows.take(rows.symbol_id == symbol_id)
            if len(of_symbol):
                passed.update(_keys(of_symbol, ahead_ns))
                newest = max(newest or 0, int(_stamps(of_symbol, ahead_ns).max()))
        if newest is not None:
            self._open[symbol_id] = (passed, newest)

    def new_of(self, rows: Rows, ahead_ns: int) -> Rows:
        """Return the rows that were not passed on; `ahead_ns` is how far their event times were moved back."""
        is_new = np.ones(len(rows), bool)
        for symbol_id in list(self._open) if self._open else ():
            places = np.flatnonzero(rows.symbol_id == symbol_id)
            if places.size:
                is_new[places] = self._compare(rows.take(places), symbol_id, ahead_ns)
        if not is_new.all():
            rows = rows.take(is_new)
        if len(rows):
            self._passed.append((rows, ahead_ns))
            now_ns = int(rows.ts_recv_ns[-1])
            while now_ns - int(self._passed[0][0].ts_recv_ns[-1]) > self._keep_ns:
                self._passed.popleft()
        return rows

    def _compare(self, rows: Rows, symbol_id: int, ahead_ns: int) -> NDArray[np.bool_]:
        passed, newest = self._open[symbol_id]
        stamps = _stamps(rows, ahead_ns)
        is_new = np.ones(len(rows), bool)
        if isinstance(rows, QuoteBatch):
            is_new = stamps > newest
            self.superseded += int((~is_new).sum())
        else:
            for place, key in enumerate(_keys(rows, ahead_ns)):
                if passed[key] > 0:
                    passed[key] -= 1
                    self.duplicates += 1
                    is_new[place] = False
                elif stamps[place] < newest - _BEFORE_MS:
                    self.superseded += 1
                    is_new[place] = False
        if stamps[-1] > newest + _AFTER_MS:
            del self._open[symbol_id]
        return is_new


def _stamps(rows: Rows, ahead_ns: int) -> NDArray[np.int64]:
    """Return the vendor's own stamps in milliseconds, the coarsest that vendors give."""
    return (rows.ts_event_ns + ahead_ns) // _MS


def _keys(rows: Rows, ahead_ns: int) -> Iterator[_Key]:
    if isinstance(rows, QuoteBatch):
        return iter(())
    return zip(_stamps(rows, ahead_ns).tolist(), rows.price.tolist(), rows.size.tolist(), strict=True)
