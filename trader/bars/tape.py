"""Time bars of the consolidated tape, where not every trade may set every price."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.bars.builder import BarBuilder
from trader.core.market import BarBatch, TradeBatch

__all__ = ["tape_bars"]


def tape_bars(
    last: TradeBatch, high_low: TradeBatch, volume: TradeBatch, n_symbols: int, seconds: float, *, max_late_ns: int = 0
) -> BarBatch:
    """Return time bars: open and close of one set of trades, high, low and vwap of another, the rest of a third.

    There is a bar where there is volume. One without a trade that may set its prices takes those of the next wider set,
    as vendors do: a minute of average-price trades alone has their price.

    Parameters
    ----------
    last, high_low, volume : TradeBatch
        Trades that may set each; every one of `last` is in `high_low` too, or its price may lie outside the bar.
    n_symbols, seconds, max_late_ns
        As of `BarBuilder`.

    Examples
    --------
    >>> trades = TradeBatch([0, 1, 2], [0, 1, 2], [0, 0, 0], [10.0, 12.0, 10.5], [100, 100, 50], [0, 0, 0])
    >>> regular = trades.take(np.array([True, False, True]))
    >>> bars = tape_bars(regular, regular, trades, 1, 60.0)
    >>> bars.high.tolist(), bars.close.tolist(), bars.volume.tolist()
    ([10.5], [10.5], [250.0])
    """
    base, ranges, lasts = (_build(trades, n_symbols, seconds, max_late_ns) for trades in (volume, high_low, last))
    columns = dict(base.columns())
    for bars, names in ((ranges, ("open", "high", "low", "close", "vwap")), (lasts, ("open", "close"))):
        ours, theirs = _same(base, bars, n_symbols, seconds)
        for name in names:
            column = columns[name].copy()
            column[ours] = getattr(bars, name)[theirs]
            columns[name] = column
    return BarBatch(**columns)


def _build(trades: TradeBatch, n_symbols: int, seconds: float, max_late_ns: int) -> BarBatch:
    builder = BarBuilder(n_symbols, "time", seconds, max_late_ns=max_late_ns)
    bars = BarBatch.concat([builder.update(trades), builder.finish()])
    return bars.take(np.lexsort((bars.symbol_id, bars.ts_ns)))


def _same(one: BarBatch, other: BarBatch, n_symbols: int, seconds: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the places of the bars that both have, in each; a bar is known by its close and symbol."""
    size_ns = round(seconds * 1e9)
    key, other_key = (bars.ts_ns // size_ns * n_symbols + bars.symbol_id for bars in (one, other))
    _, ours, theirs = np.intersect1d(key, other_key, assume_unique=True, return_indices=True)
    return ours, theirs
