"""Average true range, relative to the price.

Source: J. W. Wilder, *New concepts in technical trading systems*, 1978.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, HIGH, LOW, PREVIOUS_CLOSE, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.windows import wilder

__all__ = ["Atr", "atr_step"]

FloatArray = NDArray[np.float64]


class Atr(Family):
    """`atr_14d` = Wilder's average of max(high, close before) - min(low, close before), over the close."""

    name = "atr"
    inputs = ("high", "low", "close", "previous_close")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(14, bars_per_day)
        self._describe(["atr_14d"], self.window + 1, (self.window,), 2)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        reach = np.maximum(bars.high, bars.previous_close) - np.minimum(bars.low, bars.previous_close)
        return stack(wilder(reach, self.window) / bars.close)


@compiled
def atr_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; ranges seen, their average."""
    reach = max(bar[HIGH], bar[PREVIOUS_CLOSE]) - min(bar[LOW], bar[PREVIOUS_CLOSE])
    mem[at + 1] += 1.0
    mem[at + 2] += (reach - mem[at + 2]) / min(mem[at + 1], mem[at])
    if mem[at + 1] >= mem[at]:
        row[column] = mem[at + 2] / bar[CLOSE]
