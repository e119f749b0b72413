"""Features as numbers of quantile bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["bin_edges", "bin_numbers"]

FloatArray = NDArray[np.float64]

_MAX_BINS = 255


def bin_edges(column: FloatArray) -> FloatArray:
    """Return limits between bins, rising: midpoints of distinct values, or quantiles where these are too many.

    Parameters
    ----------
    column : ndarray of shape (n_rows,)
        NaN is missing.

    Returns
    -------
    ndarray of shape (n_bins - 1,)
        At most 254; none where fewer than two values are known.

    Examples
    --------
    >>> bin_edges(np.array([1.0, 4.0, np.nan, 2.0, 1.0])).tolist()
    [1.5, 3.0]
    """
    known = column[np.isfinite(column)]
    distinct = np.unique(known)
    if distinct.size <= _MAX_BINS:
        return 0.5 * (distinct[:-1] + distinct[1:])
    edges: FloatArray = np.unique(np.quantile(known, np.arange(1, _MAX_BINS) / _MAX_BINS, method="midpoint"))
    return edges


def bin_numbers(column: FloatArray, edges: FloatArray) -> FloatArray:
    """Return how many edges are below each value; NaN for a missing one.

    A value is at most ``edges[k]`` where and only where its number is at most k.

    Examples
    --------
    >>> bin_numbers(np.array([1.0, 1.5, 4.0, np.nan]), np.array([1.5, 3.0])).tolist()
    [0.0, 0.0, 2.0, nan]
    """
    return np.where(np.isnan(column), np.nan, np.searchsorted(edges, column, side="left"))
