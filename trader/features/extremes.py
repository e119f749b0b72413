"""Distance of the close from its rolling highest and lowest.

Source for the year's high: T. George and C. Hwang, *The 52-week high and momentum investing*, Journal of Finance
59, 2004.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import HIGHEST_HEAD, roll_highest
from trader.features.windows import rolling

__all__ = ["Extremes", "extremes_step"]

FloatArray = NDArray[np.float64]


class Extremes(Family):
    """`high_distance_21d`, `low_distance_21d`, `low_distance_252d` = close / extreme close of the window - 1."""

    name = "extremes"
    inputs = ("close",)

    def __init__(self, bars_per_day: float) -> None:
        self.short, self.long = bars_of(21, bars_per_day), bars_of(252, bars_per_day)
        names = ["high_distance_21d", "low_distance_21d", "low_distance_252d"]
        memory = 3 * HIGHEST_HEAD + 4 * self.short + 2 * self.long
        self._describe(names, self.long, (self.short, self.long), 1 + memory)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        high, low = rolling(bars.close, self.short, "max"), rolling(bars.close, self.short, "min")
        return stack(*(bars.close / x - 1.0 for x in (high, low, rolling(bars.close, self.long, "min"))))


@compiled
def extremes_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: short and long window; bars seen, three extremes."""
    short = int(mem[at])
    long = int(mem[at + 1])
    close = bar[CLOSE]
    mem[at + 2] += 1.0
    first = at + 3
    second = first + HIGHEST_HEAD + 2 * short
    high = roll_highest(mem, first, short, close)
    low = -roll_highest(mem, second, short, -close)
    long_low = -roll_highest(mem, second + HIGHEST_HEAD + 2 * short, long, -close)
    if mem[at + 2] >= short:
        row[column] = close / high - 1.0
        row[column + 1] = close / low - 1.0
    if mem[at + 2] >= long:
        row[column + 2] = close / long_low - 1.0
