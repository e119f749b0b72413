"""Momentum that leaves out the last month, whose returns tend to reverse.

Source: N. Jegadeesh and S. Titman, *Returns to buying winners and selling losers*, Journal of Finance 48, 1993.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import LOG_CLOSE, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import RING_HEAD, count, lag, newest_place, push
from trader.features.windows import shifted

__all__ = ["Momentum", "momentum_step"]

FloatArray = NDArray[np.float64]


class Momentum(Family):
    """`momentum_{a}_{b}` = ln(close b months before / close a months before), months of 21 days."""

    name = "momentum"
    inputs = ("log_close",)

    def __init__(self, bars_per_day: float) -> None:
        self.skip = bars_of(21, bars_per_day)
        self.spans = bars_of(252, bars_per_day, self.skip + 1), bars_of(126, bars_per_day, self.skip + 1)
        size = self.spans[0] + 1
        self._describe(["momentum_12_1", "momentum_6_1"], size, (self.skip, *self.spans, size), RING_HEAD + size)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        recent = shifted(bars.log_close, self.skip)
        return stack(*(recent - shifted(bars.log_close, span) for span in self.spans))


@compiled
def momentum_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: months left out, two spans, ring size; ring of log closes."""
    size = int(mem[at + 3])
    ring = at + 4
    push(mem, ring, size, bar[LOG_CLOSE])
    newest = newest_place(mem, ring)
    recent = lag(mem, ring, size, newest, int(mem[at]))
    for i in range(2):
        if count(mem, ring) > mem[at + 1 + i]:
            row[column + i] = recent - lag(mem, ring, size, newest, int(mem[at + 1 + i]))
