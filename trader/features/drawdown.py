"""Depth and age of the present drawdown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import HIGHEST_HEAD, highest_age, roll_highest
from trader.features.windows import rolling

__all__ = ["Drawdown", "drawdown_step"]

FloatArray = NDArray[np.float64]


class Drawdown(Family):
    """`drawdown_252d` = close / highest close of a year - 1; `drawdown_age_252d` = bars since it / bars of a year."""

    name = "drawdown"
    inputs = ("close",)

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(252, bars_per_day)
        names = ["drawdown_252d", "drawdown_age_252d"]
        self._describe(names, self.window, (self.window,), 1 + HIGHEST_HEAD + 2 * self.window)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        high = rolling(bars.close, self.window, "max")
        age = np.full(len(bars), np.nan)
        for row in range(self.window - 1, len(bars)):
            age[row] = np.argmax(bars.close[row - self.window + 1 : row + 1][::-1] == high[row])
        return stack(bars.close / high - 1.0, age / self.window)


@compiled
def drawdown_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; bars seen, highest close."""
    window = int(mem[at])
    mem[at + 1] += 1.0
    high = roll_highest(mem, at + 2, window, bar[CLOSE])
    if mem[at + 1] >= window:
        row[column] = bar[CLOSE] / high - 1.0
        row[column + 1] = highest_age(mem, at + 2, window) / window
