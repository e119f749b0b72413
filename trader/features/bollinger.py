"""Bollinger bands: where the price is in them, and how wide they are.

Source: J. Bollinger, *Bollinger on Bollinger bands*, 2001 (20 days, two population standard deviations).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import MOMENTS, ROLLING_MOMENTS, exact_deviation, exact_variance, mean, roll_exact_moments
from trader.features.windows import rolling, undefined_where

__all__ = ["Bollinger", "bollinger_step"]

FloatArray = NDArray[np.float64]


class Bollinger(Family):
    """`bollinger_position_20d` = (close - mean) / 2σ, ±1 at the bands; `bollinger_width_20d` = 4σ / mean."""

    name = "bollinger"
    inputs = ("close",)

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(20, bars_per_day, 2)
        names = ["bollinger_position_20d", "bollinger_width_20d"]
        self._describe(names, self.window, (self.window,), ROLLING_MOMENTS + self.window)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        mean, std = rolling(bars.close, self.window, "mean"), rolling(bars.close, self.window, "std", ddof=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            position = (bars.close - mean) / (2.0 * std)
        return stack(undefined_where(std == 0, position), 4.0 * std / mean)


@compiled
def bollinger_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; rolling moments of closes."""
    window = int(mem[at])
    if roll_exact_moments(mem, at + 1, window, bar[CLOSE]):
        std = math.sqrt(exact_variance(mem, at + 1, at + 1 + MOMENTS, window, 0.0))
        if std > 0.0:
            row[column] = exact_deviation(mem, at + 1, window, bar[CLOSE]) / (2.0 * std)
        row[column + 1] = 4.0 * std / mean(mem, at + 1, window)
