"""Relative strength index.

Source: J. W. Wilder, *New concepts in technical trading systems*, 1978.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, PREVIOUS_CLOSE, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.windows import undefined_where, wilder

__all__ = ["Rsi", "rsi_step"]

FloatArray = NDArray[np.float64]


class Rsi(Family):
    """`rsi_14d` = 100 · gain / (gain + loss), of Wilder's averages of rises and falls; NaN if there were none."""

    name = "rsi"
    inputs = ("close", "previous_close")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(14, bars_per_day)
        self._describe(["rsi_14d"], self.window + 1, (self.window,), 3)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        change = bars.close - bars.previous_close
        gain, loss = wilder(change.clip(min=0.0), self.window), wilder((-change).clip(min=0.0), self.window)
        with np.errstate(invalid="ignore"):
            return stack(undefined_where(gain + loss == 0, 100.0 * gain / (gain + loss)))


@compiled
def rsi_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; changes seen, average gain, average loss."""
    window = mem[at]
    change = bar[CLOSE] - bar[PREVIOUS_CLOSE]
    mem[at + 1] += 1.0
    # The first `window` changes make a plain mean: weight 1 / n of the n-th.
    weight = 1.0 / min(mem[at + 1], window)
    mem[at + 2] += weight * (max(change, 0.0) - mem[at + 2])
    mem[at + 3] += weight * (max(-change, 0.0) - mem[at + 3])
    moved = mem[at + 2] + mem[at + 3]
    if mem[at + 1] >= window and moved > 0.0:
        row[column] = 100.0 * mem[at + 2] / moved
