"""Moving average convergence/divergence, relative to the price.

Source: G. Appel, *The moving average convergence-divergence trading method*, 1979.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.windows import exponential, undefined_where

__all__ = ["Macd", "macd_step"]

FloatArray = NDArray[np.float64]


class Macd(Family):
    """`macd`, `macd_signal`, `macd_histogram`: EMA(12) - EMA(26), its EMA(9), and their difference, over the close.

    An EMA of n days starts at its first value and has weight 2 / (n + 1).
    """

    name = "macd"
    inputs = ("close",)

    def __init__(self, bars_per_day: float) -> None:
        fast, slow, signal = (bars_of(days, bars_per_day) for days in (12, 26, 9))
        self.weights = tuple(2.0 / (span + 1.0) for span in (fast, slow, signal))
        warmup = slow + signal - 1
        self._describe(["macd", "macd_signal", "macd_histogram"], warmup, (*self.weights, warmup), 4)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        fast, slow = (exponential(bars.close, weight) for weight in self.weights[:2])
        line = fast - slow
        signal = exponential(line, self.weights[2])
        cold = np.arange(len(bars)) < self.warmup - 1
        return stack(*(undefined_where(cold, x / bars.close) for x in (line, signal, line - signal)))


@compiled
def macd_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: three weights, warm-up; bars seen, fast, slow, signal."""
    close = bar[CLOSE]
    if mem[at + 4] == 0.0:
        mem[at + 5] = close
        mem[at + 6] = close
    mem[at + 4] += 1.0
    mem[at + 5] += mem[at] * (close - mem[at + 5])
    mem[at + 6] += mem[at + 1] * (close - mem[at + 6])
    line = mem[at + 5] - mem[at + 6]
    mem[at + 7] += mem[at + 2] * (line - mem[at + 7])  # starts at 0, which is the first line
    if mem[at + 4] >= mem[at + 3]:
        scale = 1.0 / close
        row[column] = scale * line
        row[column + 1] = scale * mem[at + 7]
        row[column + 2] = scale * (line - mem[at + 7])
