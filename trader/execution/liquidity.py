"""Daily volatility and volume of every name, as the impact law wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.core.snapshot import pack, restore_into

__all__ = ["DailyLiquidity"]

FloatArray = NDArray[np.float64]
Records = NDArray[np.record]

_DAY_NS = 86_400_000_000_000
_HALFLIFE_DAYS = 20.0
_DECAY = 0.5 ** (1.0 / _HALFLIFE_DAYS)

_NAME = np.dtype(
    [
        (field, np.float64)
        for field in (
            "day_close",
            "day_volume",
            "previous_close",
            "square_sum",
            "square_weight",
            "volume_sum",
            "volume_weight",
        )
    ]
)


@njit(cache=True)
def close_day(names: Records, volatility: FloatArray, volume: FloatArray) -> None:
    """Move the day's close and volume of each name into its averages, in place, and begin a new day."""
    for s in range(names.size):
        name = names[s]
        if np.isfinite(name.day_close):
            if np.isfinite(name.previous_close):
                name.square_sum = _DECAY * name.square_sum + np.log(name.day_close / name.previous_close) ** 2
                name.square_weight = _DECAY * name.square_weight + 1.0
                volatility[s] = np.sqrt(name.square_sum / name.square_weight)
            name.previous_close = name.day_close
            name.day_close = np.nan
        if np.isfinite(name.day_volume):
            name.volume_sum = _DECAY * name.volume_sum + name.day_volume
            name.volume_weight = _DECAY * name.volume_weight + 1.0
            volume[s] = name.volume_sum / name.volume_weight
            name.day_volume = np.nan


@njit(cache=True)
def add_bars(names: Records, close: FloatArray, volume: FloatArray) -> None:
    """Add one slice to the running day, in place."""
    for s in range(names.size):
        if np.isfinite(close[s]):
            names[s].day_close = close[s]
        if np.isfinite(volume[s]):
            so_far = names[s].day_volume
            names[s].day_volume = volume[s] + (so_far if np.isfinite(so_far) else 0.0)


class DailyLiquidity:
    """Exponentially weighted means over completed UTC days, half-life 20 days.

    Volatility is the root mean square of log returns from one day's last close to the next day's. The running
    day never counts: what an order pays depends on nothing that was unknown before its day.

    Parameters
    ----------
    n_symbols : int
    """

    def __init__(self, n_symbols: int) -> None:
        self.volatility: FloatArray = np.full(n_symbols, np.nan)
        """Per day, shape (n_symbols,); NaN before two daily closes."""
        self.volume: FloatArray = np.full(n_symbols, np.nan)
        """Units per day, shape (n_symbols,); NaN where the data carry none."""
        self._names = np.zeros(n_symbols, _NAME)
        for field in ("day_close", "day_volume", "previous_close"):
            self._names[field] = np.nan
        self._day = -1

    def begin(self, ts_ns: int) -> None:
        """Close the running day if `ts_ns` lies in a later one."""
        day = ts_ns // _DAY_NS
        if day > self._day:
            close_day(self._names, self.volatility, self.volume)
            self._day = day

    def add(self, close: FloatArray, volume: FloatArray) -> None:
        """Add the bars of one slice, shape (n_symbols,), NaN where there is none."""
        add_bars(self._names, close, volume)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {
            "day": self._day,
            "names": pack(self._names),
            "volatility": pack(self.volatility),
            "volume": pack(self.volume),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._day = int(state["day"])
        restore_into(self._names, state["names"], "names")
        restore_into(self.volatility, state["volatility"], "volatility")
        restore_into(self.volume, state["volume"], "volume")
