"""Volatility from overnight, open-to-close and range: unbiased under drift and opening jumps.

Source: D. Yang and Q. Zhang, *Drift-independent volatility estimation based on high, low, open, and close
prices*, Journal of Business 73, 2000; the range part is that of Rogers and Satchell (1991).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.features.family import LOG_BODY, LOG_DOWN, LOG_RETURN, LOG_UP, Family, Series, bars_of, stack
from trader.features.jit import compiled
from trader.features.rolling import MOMENTS, ROLLING_MOMENTS, ROLLING_SUM, roll_moments, roll_sum, variance
from trader.features.windows import rolling

__all__ = ["YangZhang", "yang_zhang_step"]

FloatArray = NDArray[np.float64]


class YangZhang(Family):
    """`yang_zhang_21d` = √(V_overnight + k V_open-to-close + (1 - k) V_range), a day.

    k = 0.34 / (1.34 + (n + 1) / (n - 1)) with n bars in the window.
    """

    name = "yang_zhang"
    inputs = ("log_body", "log_up", "log_down", "log_return")

    def __init__(self, bars_per_day: float) -> None:
        self.window = n = bars_of(21, bars_per_day, 2)
        self.weight = 0.34 / (1.34 + (n + 1) / (n - 1))
        self.scale = math.sqrt(bars_per_day)
        memory = 2 * ROLLING_MOMENTS + ROLLING_SUM + 3 * n
        self._describe(["yang_zhang_21d"], n + 1, (n, self.weight, self.scale), memory)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        overnight = np.log(bars.open / bars.previous_close)
        high, low, close = (np.log(x / bars.open) for x in (bars.high, bars.low, bars.close))
        reach = rolling(high * (high - close) + low * (low - close), self.window, "mean")
        v_overnight, v_body = (rolling(x, self.window, "var") for x in (overnight, close))
        return stack(self.scale * np.sqrt(v_overnight + self.weight * v_body + (1.0 - self.weight) * reach))


@compiled
def yang_zhang_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Update with one bar. Block: window, weight, scale; two rolling moments, a rolling sum."""
    window = int(mem[at])
    weight = mem[at + 1]
    nights = at + 3
    bodies = nights + ROLLING_MOMENTS + window
    reaches = bodies + ROLLING_MOMENTS + window
    high, low, close = bar[LOG_UP], bar[LOG_DOWN], bar[LOG_BODY]
    roll_moments(mem, nights, window, bar[LOG_RETURN] - close)
    reach = roll_sum(mem, reaches, window, high * (high - close) + low * (low - close))
    if roll_moments(mem, bodies, window, close):
        v_reach = max(reach / window, 0.0)
        v_overnight = variance(mem, nights, nights + MOMENTS, window, 1.0)
        v_body = variance(mem, bodies, bodies + MOMENTS, window, 1.0)
        row[column] = mem[at + 2] * math.sqrt(v_overnight + weight * v_body + (1.0 - weight) * v_reach)
