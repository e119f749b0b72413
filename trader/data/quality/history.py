"""Bars arranged for the checks: one clean series a symbol, and the calendar of the whole panel."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarBatch, Universe

__all__ = ["MarketHistory", "SymbolHistory", "local_scale"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MAD_TO_STD = 1.4826
"""Ratio of the standard deviation to the median absolute deviation of a normal law."""


@dataclasses.dataclass(frozen=True)
class SymbolHistory:
    """The usable bars of one symbol in order of time; arrays have shape (n_bars,).

    Left out are bars without a positive finite close and the second and later bars of one stamp.
    """

    symbol: str
    symbol_id: int
    ts_ns: IntArray
    open: FloatArray
    close: FloatArray
    volume: FloatArray

    def __len__(self) -> int:
        return int(self.ts_ns.size)

    @functools.cached_property
    def log_return(self) -> FloatArray:
        """Return of each bar against the bar before; the first is NaN."""
        return np.r_[np.nan, np.diff(np.log(self.close))] if len(self) else np.empty(0)

    @functools.cached_property
    def log_gap(self) -> FloatArray:
        """Move from the close before to the open; NaN for the first bar and where the open is unknown."""
        gap = np.full(len(self), np.nan)
        known = np.flatnonzero(np.isfinite(self.open) & (self.open > 0))
        known = known[known > 0]
        gap[known] = np.log(self.open[known] / self.close[known - 1])
        return gap

    @functools.cached_property
    def days_since_last(self) -> FloatArray:
        """Days since the bar before; the first is NaN."""
        return np.r_[np.nan, np.diff(self.ts_ns) / 86_400e9] if len(self) else np.empty(0)


@dataclasses.dataclass(frozen=True)
class MarketHistory:
    """What a check reads: the bars as they came, and each symbol's history."""

    bars: BarBatch
    universe: Universe
    symbols: tuple[SymbolHistory, ...]

    @classmethod
    def of(cls, bars: BarBatch, universe: Universe) -> MarketHistory:
        """Arrange the bars."""
        usable = np.flatnonzero(np.isfinite(bars.close) & (bars.close > 0))
        order = usable[np.lexsort((bars.ts_ns[usable], bars.symbol_id[usable]))]
        ids, stamps = bars.symbol_id[order], bars.ts_ns[order]
        repeated = np.r_[False, (np.diff(ids) == 0) & (np.diff(stamps) == 0)][: order.size]
        order, ids = order[~repeated], ids[~repeated]
        bounds = np.searchsorted(ids, np.arange(len(universe) + 1))
        histories = []
        for symbol_id, symbol in enumerate(universe.symbols):
            rows = order[bounds[symbol_id] : bounds[symbol_id + 1]]
            columns = (bars.ts_ns, bars.open, bars.close, bars.volume)
            histories.append(SymbolHistory(symbol, symbol_id, *(column[rows] for column in columns)))
        return cls(bars, universe, tuple(histories))

    def by_symbol(self, rows: NDArray[np.intp]) -> Iterator[tuple[str, NDArray[np.intp]]]:
        """Yield each symbol that has some of the `rows` of `bars`, with its own, in the order given."""
        ids = self.bars.symbol_id[rows]
        for symbol_id in np.unique(ids):
            yield self.universe.symbols[symbol_id], rows[ids == symbol_id]

    @functools.cached_property
    def calendar(self) -> IntArray:
        """Instants at which at least half of the listed symbols have a bar, increasing.

        A symbol is listed from its first bar to its last.
        """
        listed = [history for history in self.symbols if len(history)]
        if not listed:
            return np.empty(0, np.int64)
        stamps, present = np.unique(np.concatenate([history.ts_ns for history in listed]), return_counts=True)
        first = np.sort([history.ts_ns[0] for history in listed])
        last = np.sort([history.ts_ns[-1] for history in listed])
        alive = np.searchsorted(first, stamps, "right") - np.searchsorted(last, stamps, "left")
        return np.asarray(stamps[2 * present >= alive], np.int64)

    def others_move(self, symbol_id: int, ts_ns: int) -> float:
        """Return the median log return of the other symbols at one instant; 0 if none has a bar there."""
        moves = []
        for history in self.symbols:
            row = int(np.searchsorted(history.ts_ns, ts_ns))
            if history.symbol_id != symbol_id and 0 < row < len(history) and history.ts_ns[row] == ts_ns:
                moves.append(history.log_return[row])
        return float(np.median(moves)) if moves else 0.0


def local_scale(values: FloatArray, rows: IntArray, window: int = 60) -> FloatArray:
    """Return the robust standard deviation of the values around each of `rows`, that row left out.

    1.4826 times the median absolute value of up to `window` finite neighbours on each side; zeros are left out where
    they are the majority (a symbol that rarely trades). NaN with fewer than 10 neighbours.

    Parameters
    ----------
    values : ndarray of shape (n_bars,)
        Returns; NaN is no neighbour.
    rows : ndarray of int, shape (n_rows,)
        Positions in `values`.

    Returns
    -------
    ndarray of shape (n_rows,)
    """
    padded = np.abs(np.r_[np.full(window, np.nan), values, np.full(window, np.nan)])
    padded[~np.isfinite(padded)] = np.nan
    offsets = np.delete(np.arange(2 * window + 1), window)
    near = padded[rows[:, None] + offsets]
    scale = _row_medians(near)
    still = scale == 0
    scale[still] = _row_medians(np.where(near[still] > 0, near[still], np.nan))
    enough = np.isfinite(near).sum(axis=1) >= 10
    return np.where(enough, _MAD_TO_STD * scale, np.nan)


def _row_medians(values: FloatArray) -> FloatArray:
    """Return the median of each row, NaN left out; numpy's nanmedian goes row by row in Python."""
    count = np.isfinite(values).sum(axis=1)
    ordered = np.sort(values, axis=1)  # NaN last
    row = np.arange(values.shape[0])
    middle = ordered[row, np.maximum(count - 1, 0) // 2] + ordered[row, np.minimum(count // 2, values.shape[1] - 1)]
    return np.asarray(np.where(count > 0, middle / 2, np.nan))
