"""Returns that need not be complete: assets that came later, factors on other days."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk.files import read_columns
from risk.panel import ReturnPanel
from trader.core.errors import DataError

__all__ = ["ReturnHistory", "index_factor", "read_history"]

FloatArray = NDArray[np.float64]
Days = NDArray[np.datetime64]

_NEAR = np.timedelta64(3, "D")
_LONGEST_GAP = np.timedelta64(7, "D")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ReturnHistory:
    """Simple returns of assets or factors by day; NaN where one has none. Made by `of`, which checks.

    Parameters
    ----------
    names : tuple of str
    returns : ndarray of float64, shape (n_periods, n_names)
        Changes, for factors that are yields, spreads or the VIX.
    days : ndarray of datetime64[D], shape (n_periods,)
        Strictly rising.
    """

    names: tuple[str, ...]
    returns: FloatArray
    days: Days

    @classmethod
    def of(cls, names: Sequence[str], returns: ArrayLike, days: ArrayLike) -> Self:
        """Check and keep.

        Raises
        ------
        DataError
            If shapes differ, a name comes twice, a number is infinite, or days do not rise.
        """
        values, when = np.array(returns, np.float64), np.asarray(days).astype("datetime64[D]")
        names = tuple(map(str, names))
        if values.ndim != 2 or values.shape != (len(when), len(names)):
            raise DataError(f"returns has shape {values.shape}; ({len(when)}, {len(names)}) is needed")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"names holds {', '.join(twice)} more than once")
        if np.isinf(values).any():
            raise DataError("returns hold infinities; finite numbers and NaN are allowed")
        if (np.diff(when) <= np.timedelta64(0)).any():
            raise DataError("days do not rise strictly; one return a day is needed")
        return cls(names, values, when)

    @classmethod
    def of_panel(cls, panel: ReturnPanel) -> Self:
        """Return the history that a panel holds."""
        return cls.of(panel.names, panel.returns, panel.stamps)

    def column(self, name: str) -> FloatArray:
        """Return one series, shape (n_periods,)."""
        return self.returns[:, self.names.index(name)]

    def window(self, first: dt.date, last: dt.date) -> slice | None:
        """Return the rows of the periods from the close of `first` to that of `last`; None if they are not covered.

        Covered means: a row within three days before each of both, and none of the periods longer than a week.
        """
        start = int(np.searchsorted(self.days, np.datetime64(first), side="right"))
        end = int(np.searchsorted(self.days, np.datetime64(last), side="right"))
        if start == 0 or end <= start:
            return None
        late = np.datetime64(first) - self.days[start - 1] > _NEAR or np.datetime64(last) - self.days[end - 1] > _NEAR
        if late or (np.diff(self.days[start - 1 : end]) > _LONGEST_GAP).any():
            return None
        return slice(start, end)

    def complete(self, names: Sequence[str]) -> FloatArray:
        """Return the periods in which all of `names` have returns, shape (n, n_names)."""
        chosen = self.returns[:, [self.names.index(name) for name in names]]
        return chosen[np.isfinite(chosen).all(axis=1)]


def read_history(path: Path, *, prices: bool = False) -> ReturnHistory:
    """Read a time column and one of returns, or prices, a name; empty cells are allowed.

    Raises
    ------
    NotFoundError, DataError
        If the file cannot be read, or `ReturnHistory.of` refuses the numbers.
    """
    names, values, stamps = read_columns(path)
    if prices:
        if (values <= 0.0).any():
            raise DataError(f"prices hold {np.nanmin(values):g}; positive prices are needed")
        values, stamps = values[1:] / values[:-1] - 1.0, stamps[1:]
    return ReturnHistory.of(names, values, stamps)


def index_factor() -> ReturnHistory:
    """Return the factor `equity`: daily returns of the S&P 500 price index, 1990 to 2022, that come with skfolio."""
    from trader.data.datasets import sp500_index

    stamps, levels = sp500_index()
    return ReturnHistory.of(["equity"], (levels[1:] / levels[:-1] - 1.0)[:, None], stamps[1:].astype("datetime64[ns]"))
