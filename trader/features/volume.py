"""How unusual volume and traded value are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, VOLUME, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import MOMENTS, ROLLING_MOMENTS, exact_deviation, exact_variance, roll_exact_moments
from trader.features.windows import rolling, undefined_where

__all__ = ["Volume", "volume_step"]

FloatArray = NDArray[np.float64]


class Volume(Family):
    """`volume_z_21d`, `dollar_volume_z_21d` = (x - mean) / σ of x = ln(1 + volume), ln(1 + close · volume)."""

    name = "volume"
    inputs = ("close", "volume")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(21, bars_per_day, 2)
        names = ["volume_z_21d", "dollar_volume_z_21d"]
        self._describe(names, self.window, (self.window,), 2 * (ROLLING_MOMENTS + self.window))

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        columns = []
        for x in (np.log(1.0 + bars.volume), np.log(1.0 + bars.close * bars.volume)):
            std = rolling(x, self.window, "std")
            with np.errstate(divide="ignore", invalid="ignore"):
                columns.append(undefined_where(std == 0, (x - rolling(x, self.window, "mean")) / std))
        return stack(*columns)


@compiled
def volume_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; rolling moments of log volume and of log value."""
    window = int(mem[at])
    for i in range(2):
        moments = at + 1 + i * (ROLLING_MOMENTS + window)
        x = math.log(1.0 + (bar[VOLUME] if i == 0 else bar[CLOSE] * bar[VOLUME]))
        if roll_exact_moments(mem, moments, window, x):
            std = math.sqrt(exact_variance(mem, moments, moments + MOMENTS, window, 1.0))
            if std > 0.0:
                row[column + i] = exact_deviation(mem, moments, window, x) / std
