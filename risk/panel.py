"""Returns of several assets over the same periods: what every risk figure is made of."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trader.core.errors import DataError

__all__ = ["ReturnPanel"]

FloatArray = NDArray[np.float64]
Stamps = NDArray[np.datetime64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ReturnPanel:
    """Simple returns, complete and finite; make it by `of`, which checks.

    Parameters
    ----------
    names : tuple of str
        The assets.
    returns : ndarray of float64, shape (n_periods, n_assets)
        Simple returns, oldest first; read-only.
    stamps : ndarray of datetime64[ns], shape (n_periods,)
        When each period ended, strictly rising; read-only.
    dropped : int
        Periods left out because an asset had no return in them.

    Examples
    --------
    >>> panel = ReturnPanel.of(["A", "B"], [[0.01, 0.02], [float("nan"), 0.0], [-0.02, 0.01]])
    >>> panel.n_periods, panel.dropped
    (2, 1)
    >>> panel.portfolio(panel.weights({"A": 0.5, "B": 0.5})).round(4).tolist()
    [0.015, -0.005]
    """

    names: tuple[str, ...]
    returns: FloatArray
    stamps: Stamps
    dropped: int = 0

    @classmethod
    def of(cls, names: Sequence[str], returns: ArrayLike, stamps: ArrayLike | None = None) -> Self:
        """Check and keep returns; periods in which any asset has NaN are left out and counted.

        Without `stamps`, periods are numbered in days from 1970-01-01.

        Raises
        ------
        DataError
            If shapes differ, a name comes twice, an asset has no return at all, a return is infinite or below -1,
            stamps do not rise, or no complete period is left.
        """
        values = np.array(returns, np.float64)
        names = tuple(str(name) for name in names)
        if values.ndim != 2 or values.shape[1] != len(names):
            raise DataError(f"returns has shape {values.shape}; (n_periods, {len(names)}) is needed")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or not names:
            raise DataError(f"names holds {', '.join(twice)} more than once" if twice else "names is empty")
        when = np.arange(len(values)).astype("datetime64[D]") if stamps is None else np.asarray(stamps)
        when = when.astype("datetime64[ns]")
        if when.shape != (len(values),):
            raise DataError(f"stamps has shape {when.shape}; ({len(values)},) is needed")
        if np.isnat(when).any() or (np.diff(when) <= np.timedelta64(0)).any():
            raise DataError("stamps do not rise strictly; sort the periods and leave none out or twice")
        known = ~np.isnan(values)
        empty = [
            name for name, n_known in zip(names, np.count_nonzero(known, axis=0).tolist(), strict=True) if not n_known
        ]
        if empty and len(values):
            raise DataError(f"returns of {', '.join(empty)} are all missing; leave the asset out")
        complete = known.all(axis=1)
        values, when = values[complete], when[complete]
        if not len(values):
            raise DataError("returns hold no period in which every asset has one; at least 1 is needed")
        for name, column in zip(names, values.T, strict=True):
            if not np.isfinite(column).all() or column.min() < -1.0:
                raise DataError(
                    f"returns of {name} hold {column.min() if column.min() < -1 else 'inf'}; "
                    "finite simple returns of -1 or more are allowed"
                )
        values.setflags(write=False)
        when.setflags(write=False)
        return cls(names, values, when, int(np.count_nonzero(~complete)))

    @classmethod
    def of_prices(cls, names: Sequence[str], prices: ArrayLike, stamps: ArrayLike | None = None) -> Self:
        """Return the simple returns from each price to the next; NaN is a price that is not known.

        Raises
        ------
        DataError
            As `of`, and if a price is not positive.
        """
        values = np.array(prices, np.float64)
        if values.ndim != 2 or len(values) < 2:
            raise DataError(f"prices has shape {values.shape}; (2 or more instants, {len(names)}) is needed")
        if (values <= 0.0).any():
            raise DataError(f"prices hold {np.nanmin(values):g}; positive prices are needed")
        later = None if stamps is None else np.asarray(stamps)[1:]
        return cls.of(names, values[1:] / values[:-1] - 1.0, later)

    @property
    def n_periods(self) -> int:
        """Number of periods."""
        return len(self.returns)

    @property
    def n_assets(self) -> int:
        """Number of assets."""
        return len(self.names)

    def last(self, n_periods: int) -> ReturnPanel:
        """Return the newest `n_periods` periods, or all there are."""
        first = max(self.n_periods - n_periods, 0)
        return dataclasses.replace(self, returns=self.returns[first:], stamps=self.stamps[first:])

    def between(self, first: np.datetime64, last: np.datetime64) -> ReturnPanel:
        """Return the periods that ended on or after day `first` and on or before day `last`; may be none."""
        days = self.stamps.astype("datetime64[D]")
        chosen = (days >= first) & (days <= last)
        return dataclasses.replace(self, returns=self.returns[chosen], stamps=self.stamps[chosen])

    def weights(self, by_name: Mapping[str, float] | None = None) -> FloatArray:
        """Return weights in the order of the assets, shape (n_assets,); equal ones that add to 1 if None is given.

        A weight is a fraction of the portfolio's value, negative for a short position; what they lack to 1 is cash.
        An asset without one has weight 0.

        Raises
        ------
        DataError
            If a weight is not finite, or is of an asset whose returns are not here.
        """
        if by_name is None:
            return np.full(self.n_assets, 1.0 / self.n_assets)
        for name, weight in by_name.items():
            if name not in self.names:
                near = difflib.get_close_matches(name, self.names, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise DataError(f"weight of {name!r} has no returns; there are {', '.join(self.names)}{hint}")
            if not np.isfinite(weight):
                raise DataError(f"weight of {name!r} is {weight}; a finite number is needed")
        return np.array([by_name.get(name, 0.0) for name in self.names], np.float64)

    def portfolio(self, weights: FloatArray) -> FloatArray:
        """Return the portfolio's returns, rebalanced to `weights` each period, shape (n_periods,)."""
        if np.shape(weights) != (self.n_assets,):
            raise DataError(f"weights has shape {np.shape(weights)}; ({self.n_assets},) is needed")
        return np.asarray(self.returns @ weights, np.float64)
