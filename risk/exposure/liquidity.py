"""How long it would take to sell what is held."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["Liquidity", "liquidity"]

FloatArray = NDArray[np.float64]
_MARKS = (1.0, 5.0, 20.0)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Liquidity:
    """Days of trading that it takes to close each position, and the portfolio.

    Parameters
    ----------
    days : ndarray of shape (n_assets,)
        0 where nothing is held, infinite where nothing is traded.
    longest : float
        Of any position.
    mean : float
        Weighted by the value of the positions.
    sold_by : mapping of float to float
        Share of the gross value that is closed after so many days.
    """

    days: FloatArray
    longest: float
    mean: float
    sold_by: dict[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "longest_days": self.longest,
            "mean_days": self.mean,
            "sold_by_day": {f"{day:g}": share for day, share in self.sold_by.items()},
        }


def liquidity(values: FloatArray, daily_value: FloatArray, *, participation: float = 0.1) -> Liquidity:
    """Return the days to liquidate positions at a share of the market's volume.

    Parameters
    ----------
    values : ndarray of shape (n_assets,)
        Value of each position in currency, negative for short ones.
    daily_value : ndarray of shape (n_assets,)
        Value that is traded of each a day, in currency; NaN is not known and counts as 0.
    participation : float, default=0.1
        Share of it that may be ours, in (0, 1].

    Raises
    ------
    DataError
        If `participation` is outside its range, or a traded value negative.

    Examples
    --------
    >>> found = liquidity(np.array([2e6, -1e6]), np.array([1e7, 1e6]))
    >>> found.days.tolist(), found.longest, {day: round(share, 3) for day, share in found.sold_by.items()}
    ([2.0, 10.0], 10.0, {1.0: 0.367, 5.0: 0.833, 20.0: 1.0})
    """
    if not 0.0 < participation <= 1.0:
        raise DataError(f"participation={participation}; a number in (0, 1] is needed")
    traded = np.nan_to_num(np.asarray(daily_value, np.float64))
    if (traded < 0.0).any():
        raise DataError(f"daily_value holds {traded.min():g}; numbers of 0 or more are needed")
    held = np.abs(np.nan_to_num(np.asarray(values, np.float64)))
    with np.errstate(divide="ignore", invalid="ignore"):
        days = np.where(held > 0.0, held / (participation * traded), 0.0)
        by_day = {mark: np.where(days > 0.0, np.minimum(mark / days, 1.0), 1.0) for mark in _MARKS}
    gross = float(held.sum())
    if gross == 0.0:
        return Liquidity(days, 0.0, 0.0, dict.fromkeys(_MARKS, 1.0))
    sold = {mark: float(held @ share) / gross for mark, share in by_day.items()}
    mean = float("inf") if np.isinf(days).any() else float(held @ days) / gross
    return Liquidity(days, float(days.max()), mean, sold)
