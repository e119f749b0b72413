"""Distance of the close from volume-weighted prices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import CLOSE, VOLUME, VWAP, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import ROLLING_SUM, roll_sum
from trader.features.windows import only_where, rolling

__all__ = ["Vwap", "vwap_step"]

FloatArray = NDArray[np.float64]


class Vwap(Family):
    """`vwap_distance` of the bar and `vwap_distance_21d` of the window = close / vwap - 1.

    Bars without volume are skipped.
    """

    name = "vwap"
    inputs = ("close", "vwap", "volume")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(21, bars_per_day)
        memory = 2 * (ROLLING_SUM + self.window)
        self._describe(["vwap_distance", "vwap_distance_21d"], self.window, (self.window,), memory)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        traded = bars.volume > 0
        close, vwap, volume = bars.close[traded], bars.vwap[traded], bars.volume[traded]
        over = rolling(vwap * volume, self.window, "sum") / rolling(volume, self.window, "sum")
        return only_where(traded, stack(close / vwap - 1.0, close / over - 1.0))


@compiled
def vwap_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; rolling sums of value and of volume."""
    window = int(mem[at])
    volume = bar[VOLUME]
    if volume > 0.0:
        row[column] = bar[CLOSE] / bar[VWAP] - 1.0
        value_sum = roll_sum(mem, at + 1, window, bar[VWAP] * volume)
        over = value_sum / roll_sum(mem, at + 1 + ROLLING_SUM + window, window, volume)
        row[column + 1] = bar[CLOSE] / over - 1.0
