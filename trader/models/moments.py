"""Moments of columns, known part by part: so that data larger than memory can be standardised."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trader.models.standard import inverse_scale

__all__ = ["Moments"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Count, mean and sum of squared deviations of the known values of some columns.

    Parameters
    ----------
    n_rows : int
    count, mean, squares : ndarray of shape (n_columns,)
        Known values, their mean, and the sum of their squared deviations from it; 0 where nothing is known.
    """

    n_rows: int
    count: FloatArray
    mean: FloatArray
    squares: FloatArray

    @classmethod
    def of(cls, rows: NDArray[np.floating]) -> Self:
        """Return the moments of rows (n_rows, n_columns); NaN and infinite are missing."""
        known = np.isfinite(rows)
        values = np.where(known, rows, 0.0).astype(np.float64)
        count = known.sum(axis=0).astype(np.float64)
        mean = values.sum(axis=0) / np.maximum(count, 1.0)
        squares = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
        return cls(rows.shape[0], count, mean, squares)

    @classmethod
    def merged(cls, parts: Iterable[Self], n_columns: int) -> Self:
        """Return the moments of all rows of the parts (Chan, Golub and LeVeque 1979).

        Examples
        --------
        >>> rows = np.array([[1.0], [2.0], [np.nan], [6.0]])
        >>> whole = Moments.merged([Moments.of(rows[:1]), Moments.of(rows[1:])], 1)
        >>> whole.n_rows, whole.mean.tolist(), whole.squares.tolist()
        (4, [3.0], [14.0])
        """
        zero = np.zeros(n_columns)
        whole = cls(0, zero, zero, zero)
        for part in parts:
            count = whole.count + part.count
            share = part.count / np.maximum(count, 1.0)
            apart = part.mean - whole.mean
            whole = cls(
                whole.n_rows + part.n_rows,
                count,
                whole.mean + apart * share,
                whole.squares + part.squares + apart**2 * whole.count * share,
            )
        return whole

    @property
    def standard(self) -> tuple[FloatArray, FloatArray]:
        """Mean and inverse standard deviation of each column; see `trader.models.standard.column_moments`."""
        return self.mean, inverse_scale(self.mean, self.deviation)

    @property
    def deviation(self) -> FloatArray:
        """Standard deviation (divided by n) of each column; 0 where nothing is known."""
        return np.sqrt(self.squares / np.maximum(self.count, 1.0))

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether a column is missing in some row."""
        return self.count < self.n_rows

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {
            "n_rows": self.n_rows,
            "count": [int(n) for n in self.count],
            "mean": self.mean.tolist(),
            "squares": self.squares.tolist(),
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Build from what `to_dict` returned; a missing entry raises KeyError."""

        def column(values: Sequence[float]) -> FloatArray:
            return np.array(values, dtype=np.float64)

        return cls(int(given["n_rows"]), column(given["count"]), column(given["mean"]), column(given["squares"]))
