"""Volatility from the range of each bar.

Source: M. Parkinson, *The extreme value method for estimating the variance of the rate of return*, Journal of
Business 53, 1980.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import HIGH, LOW, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import ROLLING_SUM, roll_sum
from trader.features.windows import rolling

__all__ = ["Parkinson", "parkinson_step"]

FloatArray = NDArray[np.float64]


class Parkinson(Family):
    """`parkinson_21d` = root of the mean of ln(high / low)² / (4 ln 2), a day."""

    name = "parkinson"
    inputs = ("high", "low")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(21, bars_per_day)
        self.scale = math.sqrt(bars_per_day)
        self._describe(["parkinson_21d"], self.window, (self.window, self.scale), ROLLING_SUM + self.window)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        terms = np.log(bars.high / bars.low) ** 2 / (4.0 * math.log(2.0))
        return stack(self.scale * np.sqrt(rolling(terms, self.window, "mean").clip(0.0)))


@compiled
def parkinson_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window, scale; rolling sum of the bars' variances."""
    window = int(mem[at])
    reach = math.log(bar[HIGH] / bar[LOW])
    term = reach * reach / (4.0 * math.log(2.0))
    mean = roll_sum(mem, at + 2, window, term) / window
    row[column] = mem[at + 1] * math.sqrt(max(mean, 0.0))
