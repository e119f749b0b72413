"""Daily volatility and volume of every name, as the impact law wants them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.core.snapshot import pack, restore_into

__all__ = ["DailyLiquidity", "LiquidityArrays", "add_bars", "begin_instant"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
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


class LiquidityArrays(NamedTuple):
    """What `begin_instant` and `add_bars` keep, a row a symbol; `day` is the running one, shape (1,)."""

    names: NDArray[Any]
    volatility: FloatArray
    volume: FloatArray
    day: IntArray


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
def begin_instant(names: Records, volatility: FloatArray, volume: FloatArray, day: IntArray, ts_ns: int) -> None:
    """Close the running day, in place, if `ts_ns` lies in a later one."""
    if ts_ns // _DAY_NS > day[0]:
        close_day(names, volatility, volume)
        day[0] = ts_ns // _DAY_NS


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
        self._day = np.full(1, -1, np.int64)

    @property
    def arrays(self) -> LiquidityArrays:
        """What a compiled loop brings forward."""
        return LiquidityArrays(self._names, self.volatility, self.volume, self._day)

    def begin(self, ts_ns: int) -> None:
        """Close the running day if `ts_ns` lies in a later one."""
        begin_instant(*self.arrays, ts_ns)

    def add(self, close: FloatArray, volume: FloatArray) -> None:
        """Add the bars of one slice, shape (n_symbols,), NaN where there is none."""
        add_bars(self._names, close, volume)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {
            "day": int(self._day[0]),
            "names": pack(self._names),
            "volatility": pack(self.volatility),
            "volume": pack(self.volume),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._day[0] = state["day"]
        restore_into(self._names, state["names"], "names")
        restore_into(self.volatility, state["volatility"], "volatility")
        restore_into(self.volume, state["volume"], "volume")
