"""Quoted spread relative to the price."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, SPREAD, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import ROLLING_SUM, roll_sum
from trader.features.windows import rolling

__all__ = ["Spread", "spread_step"]

FloatArray = NDArray[np.float64]


class Spread(Family):
    """`relative_spread` = spread / close of the bar, and `relative_spread_21d`, its mean."""

    name = "spread"
    inputs = ("close", "spread")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(21, bars_per_day)
        names = ["relative_spread", "relative_spread_21d"]
        self._describe(names, self.window, (self.window,), ROLLING_SUM + self.window)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        relative = bars.spread / bars.close
        return stack(relative, rolling(relative, self.window, "mean"))


@compiled
def spread_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; rolling sum of relative spreads."""
    window = int(mem[at])
    relative = bar[SPREAD] / bar[CLOSE]
    row[column] = relative
    row[column + 1] = roll_sum(mem, at + 1, window, relative) / window
