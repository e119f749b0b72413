"""Log returns over horizons of one day to one year."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import LOG_CLOSE, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import RING_HEAD, count, lag, newest_place, push
from trader.features.windows import shifted

__all__ = ["Returns", "returns_step"]

FloatArray = NDArray[np.float64]

DAYS = (1, 2, 5, 10, 21, 63, 126, 252)
N_HORIZONS = len(DAYS)


class Returns(Family):
    """`return_{h}d` = ln(close / close h days before)."""

    name = "returns"
    inputs = ("log_close",)

    def __init__(self, bars_per_day: float) -> None:
        self.horizons = tuple(bars_of(days, bars_per_day) for days in DAYS)
        size = max(self.horizons) + 1
        self._describe([f"return_{days}d" for days in DAYS], size, (*self.horizons, size), RING_HEAD + size)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        return stack(*(bars.log_close - shifted(bars.log_close, horizon) for horizon in self.horizons))


@compiled
def returns_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: horizons, ring size; ring of log closes."""
    size = int(mem[at + N_HORIZONS])
    ring = at + N_HORIZONS + 1
    push(mem, ring, size, bar[LOG_CLOSE])
    seen = count(mem, ring)
    newest = newest_place(mem, ring)
    for i in range(N_HORIZONS):
        if seen > mem[at + i]:
            row[column + i] = bar[LOG_CLOSE] - lag(mem, ring, size, newest, int(mem[at + i]))
