"""Volatility from open, high, low and close of each bar.

Source: M. Garman and M. Klass, *On the estimation of security price volatilities from historical data*, Journal
of Business 53, 1980 (the practical estimator: without overnight moves and drift).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import LOG_BODY, LOG_DOWN, LOG_UP, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import ROLLING_SUM, roll_sum
from trader.features.windows import rolling

__all__ = ["GarmanKlass", "garman_klass_step"]

FloatArray = NDArray[np.float64]


class GarmanKlass(Family):
    """`garman_klass_21d` = root of the mean of ½ ln(high / low)² - (2 ln 2 - 1) ln(close / open)², a day."""

    name = "garman_klass"
    inputs = ("log_body", "log_up", "log_down")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(21, bars_per_day)
        self.scale = math.sqrt(bars_per_day)
        self._describe(["garman_klass_21d"], self.window, (self.window, self.scale), ROLLING_SUM + self.window)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        body = np.log(bars.close / bars.open)
        terms = 0.5 * np.log(bars.high / bars.low) ** 2 - (2.0 * math.log(2.0) - 1.0) * body**2
        return stack(self.scale * np.sqrt(rolling(terms, self.window, "mean").clip(0.0)))


@compiled
def garman_klass_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window, scale; rolling sum of the bars' variances."""
    window = int(mem[at])
    reach = bar[LOG_UP] - bar[LOG_DOWN]
    term = 0.5 * reach * reach - (2.0 * math.log(2.0) - 1.0) * bar[LOG_BODY] * bar[LOG_BODY]
    mean = roll_sum(mem, at + 2, window, term) / window
    row[column] = mem[at + 1] * math.sqrt(max(mean, 0.0))
