"""Skewness of returns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import LOG_RETURN, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import MOMENTS, RING_HEAD, SUM, add_moments, count, exchange, mean, push, variance
from trader.features.windows import rolling

__all__ = ["Skewness", "skewness_step"]

FloatArray = NDArray[np.float64]


class Skewness(Family):
    """`skew_63d` = √(n (n - 1)) / (n - 2) · m₃ / m₂^1.5 of log returns; NaN if all are equal."""

    name = "skewness"
    inputs = ("log_return",)

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(63, bars_per_day, 3)
        self._describe(["skew_63d"], self.window + 1, (self.window,), RING_HEAD + self.window + MOMENTS + SUM)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        return stack(rolling(bars.log_return, self.window, "skew"))


@compiled
def skewness_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; ring of returns, moments, sum of cubes."""
    n = mem[at]
    ring = at + 1
    sums = ring + RING_HEAD + int(n)
    new = bar[LOG_RETURN]
    old = push(mem, ring, int(n), new)
    add_moments(mem, sums, new, old)
    exchange(mem, sums + MOMENTS, new * new * new, old * old * old, 0.0)
    m2 = variance(mem, sums, ring, n, 0.0)
    if count(mem, ring) >= n and m2 > 0.0:
        center = mean(mem, sums, n)
        m3 = mean(mem, sums + MOMENTS, n) - center * (3.0 * m2 + center * center)
        row[column] = math.sqrt(n * (n - 1.0)) / (n - 2.0) * m3 / (m2 * math.sqrt(m2))
