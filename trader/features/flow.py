"""Order-flow imbalance of trades: bought less sold, over all.

Source: T. Chordia, R. Roll and A. Subrahmanyam, *Order imbalance, liquidity, and market returns*, Journal of
Financial Economics 65, 2002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import BUY_VOLUME, VOLUME, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import ROLLING_SUM, roll_sum
from trader.features.windows import only_where, rolling

__all__ = ["Flow", "flow_step"]

FloatArray = NDArray[np.float64]


class Flow(Family):
    """`flow_imbalance` of the bar and `flow_imbalance_21d` = (bought - sold) / volume; bars without are skipped."""

    name = "flow"
    inputs = ("volume", "buy_volume")

    def __init__(self, bars_per_day: float) -> None:
        self.window = bars_of(21, bars_per_day)
        memory = 2 * (ROLLING_SUM + self.window)
        self._describe(["flow_imbalance", "flow_imbalance_21d"], self.window, (self.window,), memory)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        traded = bars.volume > 0
        volume = bars.volume[traded]
        net = 2.0 * bars.buy_volume[traded] - volume
        over = rolling(net, self.window, "sum") / rolling(volume, self.window, "sum")
        return only_where(traded, stack(net / volume, over))


@compiled
def flow_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window; rolling sums of net and of all volume."""
    window = int(mem[at])
    volume = bar[VOLUME]
    if volume > 0.0:
        net = 2.0 * bar[BUY_VOLUME] - volume
        row[column] = net / volume
        net_sum = roll_sum(mem, at + 1, window, net)
        row[column + 1] = net_sum / roll_sum(mem, at + 1 + ROLLING_SUM + window, window, volume)
