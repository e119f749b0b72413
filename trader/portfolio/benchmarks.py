"""What doing nothing clever would have earned: an index, and equal-weight buy-and-hold of the same names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.data.datasets import Benchmark

__all__ = ["buy_and_hold", "index_equity"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_WEEK_NS = 7 * 86_400 * 10**9


def index_equity(index: Benchmark, ts_ns: IntArray, initial_equity: float) -> FloatArray | None:
    """Return what `initial_equity` put into an index at `ts_ns[0]` is worth at each stamp, shape of `ts_ns`.

    Each stamp reads the last level at or before it, so nothing from the future is used. None when the index does
    not cover the stamps: it starts after the first, or ends a week or more before the last.
    """
    row = np.searchsorted(index.ts_ns, ts_ns, side="right") - 1
    if not ts_ns.size or row[0] < 0 or ts_ns[-1] - index.ts_ns[-1] >= _WEEK_NS:
        return None
    equity: FloatArray = initial_equity * index.close[row] / index.close[row[0]]
    return equity


def buy_and_hold(prices: FloatArray, initial_equity: float, *, cost_rate: float, entry_row: int = 1) -> FloatArray:
    """Return the equity of buying every name in equal parts once, and never trading again.

    Parameters
    ----------
    prices : ndarray of shape (n_instants, n_symbols)
        NaN where unknown: before its first price a name's part stays in cash, later the last price is used.
        A name that never has a price stays in cash.
    initial_equity : float
        In currency; split evenly over the names.
    cost_rate : float
        Entry costs as a fraction of the value bought, taken out of each part.
    entry_row : int, default 1
        Row of the first purchase. A decision on row 0 fills on row 1 at the earliest, so this is the start a
        strategy has.

    Returns
    -------
    ndarray of shape (n_instants,)

    Examples
    --------
    >>> buy_and_hold(np.array([[10.0, 20.0], [10.0, 20.0], [20.0, 20.0]]), 100.0, cost_rate=0.0).tolist()
    [100.0, 100.0, 150.0]
    """
    n_instants, n_symbols = prices.shape
    part = initial_equity / max(n_symbols, 1)
    equity = np.full(n_instants, float(initial_equity))
    for column in prices.T:
        known = np.flatnonzero(np.isfinite(column[entry_row:])) + entry_row
        if not known.size:
            continue
        entry = int(known[0])
        units = part / (column[entry] * (1.0 + cost_rate))
        last_known = np.maximum.accumulate(np.where(np.isfinite(column), np.arange(n_instants), -1))
        equity[entry:] += units * column[last_known[entry:]] - part
    return equity
