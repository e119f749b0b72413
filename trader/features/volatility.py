"""Close-to-close volatility over several windows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import LOG_RETURN, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import MOMENTS, RING_HEAD, add_moments, count, lag, newest_place, push, variance
from trader.features.windows import rolling, undefined_where

__all__ = ["Volatility", "volatility_step"]

FloatArray = NDArray[np.float64]

DAYS = (5, 21, 63, 252)
N_WINDOWS = len(DAYS)


class Volatility(Family):
    """`volatility_{w}d` = standard deviation of log returns, a day; and the ratio of a short to a long one."""

    name = "volatility"
    inputs = ("log_return",)

    def __init__(self, bars_per_day: float) -> None:
        self.windows = tuple(bars_of(days, bars_per_day, 2) for days in DAYS)
        self.scale = math.sqrt(bars_per_day)
        size = max(self.windows) + 1
        names = [*(f"volatility_{days}d" for days in DAYS), "volatility_ratio_5d_63d"]
        parameters = (*self.windows, size, self.scale)
        self._describe(names, size, parameters, RING_HEAD + size + N_WINDOWS * MOMENTS)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        columns = [self.scale * rolling(bars.log_return, window, "std") for window in self.windows]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = columns[0] / columns[2]
        return stack(*columns, undefined_where(columns[2] == 0, ratio))


@compiled
def volatility_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: windows, ring size, scale; ring of returns, moments a window."""
    size = int(mem[at + N_WINDOWS])
    scale = mem[at + N_WINDOWS + 1]
    ring = at + N_WINDOWS + 2
    moments = ring + RING_HEAD + size
    push(mem, ring, size, bar[LOG_RETURN])
    seen = count(mem, ring)
    newest = newest_place(mem, ring)
    for i in range(N_WINDOWS):
        window = mem[at + i]
        block = moments + i * MOMENTS
        add_moments(mem, block, bar[LOG_RETURN], lag(mem, ring, size, newest, int(window)))
        if seen >= window:
            row[column + i] = scale * math.sqrt(variance(mem, block, ring, window, 1.0))
    if row[column + 2] > 0.0:
        row[column + N_WINDOWS] = row[column] / row[column + 2]
