"""Autocorrelation of returns at lag one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import LOG_RETURN, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import (
    EQUAL,
    MOMENTS,
    RING_HEAD,
    SUM,
    add_moments,
    count,
    equal_run,
    exchange,
    lag,
    newest_place,
    push,
    total,
)
from trader.features.windows import rolling, shifted, undefined_where

__all__ = ["Autocorrelation", "autocorrelation_step"]

FloatArray = NDArray[np.float64]


class Autocorrelation(Family):
    """`autocorrelation_63d` = Pearson's correlation of log returns with those one bar before; NaN if undefined."""

    name = "autocorrelation"
    inputs = ("log_return",)

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(63, bars_per_day, 3)
        memory = RING_HEAD + self.window + 2 + MOMENTS + SUM
        self._describe(["autocorrelation_63d"], self.window + 2, (self.window,), memory)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        n, now, before = self.window, bars.log_return[1:], shifted(bars.log_return, 1)[1:]
        covariance = rolling(now * before, n, "mean") - rolling(now, n, "mean") * rolling(before, n, "mean")
        scale = rolling(now, n, "std", ddof=0) * rolling(before, n, "std", ddof=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation = undefined_where(scale == 0, covariance / scale)
        return stack(np.concatenate(([np.nan], correlation)) if len(bars) else correlation)


@compiled
def autocorrelation_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; ring of returns, their moments, sum of products of neighbours."""
    n = mem[at]
    size = int(n) + 2
    ring = at + 1
    moments = ring + RING_HEAD + size
    products = moments + MOMENTS
    push(mem, ring, size, bar[LOG_RETURN])
    newest = newest_place(mem, ring)
    now, before = bar[LOG_RETURN], lag(mem, ring, size, newest, 1)
    # The first of `n` + 1 returns is in a pair only as the one before.
    first, older = lag(mem, ring, size, newest, int(n)), lag(mem, ring, size, newest, int(n) + 1)
    add_moments(mem, moments, now, first)
    exchange(mem, products, now * before, first * older, 0.0)
    if count(mem, ring) > n:
        s, q = total(mem, moments), total(mem, moments + SUM)
        s_before, q_before = s - now + first, q - now * now + first * first
        v, v_before = n * q - s * s, n * q_before - s_before * s_before
        if equal_run(mem, ring) < n and min(v, v_before) > EQUAL * n * (q + first * first):
            row[column] = (n * total(mem, products) - s * s_before) / math.sqrt(v * v_before)
