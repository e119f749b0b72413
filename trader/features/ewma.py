"""Exponentially weighted volatility.

Source: J.P. Morgan and Reuters, *RiskMetrics: technical document*, 4th edition, 1996 (decay 0.94 a day, mean 0).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import LOG_RETURN, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.windows import exponential

__all__ = ["EwmaVolatility", "ewma_step"]

FloatArray = NDArray[np.float64]

DAILY_DECAY = 0.94


class EwmaVolatility(Family):
    """`ewma_volatility` = root of the weighted mean of squared log returns, a day; weights 0.94 a day."""

    name = "ewma"
    inputs = ("log_return",)

    def __init__(self, bars_per_day: float) -> None:
        self.decay = DAILY_DECAY ** (1.0 / bars_per_day)
        self.least = bars_of(21, bars_per_day)
        self.scale = math.sqrt(bars_per_day)
        self._describe(["ewma_volatility"], self.least + 1, (self.decay, self.least, self.scale), 3)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        squares = exponential(bars.log_return**2, 1.0 - self.decay, adjust=True, least=self.least)
        return stack(self.scale * np.sqrt(squares))


@compiled
def ewma_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: decay, least returns, scale; returns seen, weighted squares, sum of weights."""
    decay = mem[at]
    mem[at + 3] += 1.0
    mem[at + 4] = decay * mem[at + 4] + bar[LOG_RETURN] * bar[LOG_RETURN]
    mem[at + 5] = decay * mem[at + 5] + 1.0
    if mem[at + 3] >= mem[at + 1]:
        row[column] = mem[at + 2] * math.sqrt(mem[at + 4] / mem[at + 5])
