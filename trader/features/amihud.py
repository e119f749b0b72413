"""Illiquidity: how far a traded million moves the price.

Source: Y. Amihud, *Illiquidity and stock returns: cross-section and time-series effects*, Journal of Financial
Markets 5, 2002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, LOG_RETURN, VOLUME, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import ROLLING_SUM, roll_sum
from trader.features.windows import only_where, rolling

__all__ = ["Amihud", "amihud_step"]

FloatArray = NDArray[np.float64]

PER_TRADED = 1e6


class Amihud(Family):
    """`amihud_21d` = mean of |log return| a million of traded value; bars without trades are skipped."""

    name = "amihud"
    inputs = ("close", "volume", "log_return")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(21, bars_per_day)
        self._describe(["amihud_21d"], self.window + 1, (self.window,), ROLLING_SUM + self.window)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        traded = bars.volume > 0
        moved = PER_TRADED * np.abs(bars.log_return[traded]) / (bars.close * bars.volume)[traded]
        return only_where(traded, stack(rolling(moved, self.window, "mean")))


@compiled
def amihud_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; rolling sum of moves a million."""
    window = int(mem[at])
    if bar[VOLUME] > 0.0:
        move = PER_TRADED * abs(bar[LOG_RETURN]) / (bar[CLOSE] * bar[VOLUME])
        row[column] = roll_sum(mem, at + 1, window, move) / window
