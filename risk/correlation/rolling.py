"""Correlations of all pairs over a rolling window."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk.correlation.kernels import rolling_all
from trader.core.errors import DataError

__all__ = ["RollingArrays", "matrix_of", "new_arrays", "pair_indices", "rolling_correlations", "rolling_means"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RollingArrays = tuple[IntArray, FloatArray, FloatArray, FloatArray, FloatArray]
"""Rows seen, the last two blocks of them, the shift, suffix sums and running sums: what the kernels bring forward."""


def rolling_correlations(returns: ArrayLike, window: int = 60) -> FloatArray:
    """Return the correlations of every pair in every full window.

    Parameters
    ----------
    returns : array-like of shape (n_periods, n_assets)
        Finite, oldest first.
    window : int, default=60
        Periods, at least 3.

    Returns
    -------
    ndarray of shape (n_periods - window + 1, n_pairs)
        Pearson correlations in the order of `pair_indices`; row k is of the periods k to k + window - 1. NaN where an
        asset is constant in the window: its deviation is below 1e-12 of its level.

    Raises
    ------
    DataError
        If returns are not finite, there are fewer than two assets, or fewer periods than `window`.

    Examples
    --------
    >>> rolling_correlations([[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [3.0, 4.0]], window=3).round(4).ravel().tolist()
    [1.0, 0.866]
    """
    values = np.array(returns, np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise DataError(f"returns has shape {values.shape}; (n_periods, 2 or more assets) is needed")
    if window < 3 or window > len(values):
        raise DataError(f"window={window} is not allowed; 3 to {len(values)}, the number of periods, is")
    if not np.isfinite(values).all():
        raise DataError("returns holds NaN or infinities; leave those periods out")
    n = values.shape[1]
    out = np.empty((len(values) - window + 1, n * (n - 1) // 2))
    rolling_all(values, *new_arrays(n, window), out)
    return out


def rolling_means(returns: ArrayLike, window: int = 60) -> FloatArray:
    """Return the mean correlation over the pairs of every full window, shape (n_periods - window + 1,).

    Pairs of a constant asset are left out; NaN where no pair is known. Errors as `rolling_correlations`.
    """
    pairs = rolling_correlations(returns, window)
    known = np.isfinite(pairs)
    counts = np.count_nonzero(known, axis=1)
    sums = np.where(known, pairs, 0.0).sum(axis=1)
    means: FloatArray = np.divide(sums, counts, out=np.full(len(pairs), np.nan), where=counts > 0)
    return means


def new_arrays(n_assets: int, window: int) -> RollingArrays:
    """Return what `rolling_step` brings forward, before any row."""
    n_sums = n_assets + n_assets * (n_assets + 1) // 2
    return (
        np.zeros(1, np.int64),
        np.zeros((2 * window, n_assets)),
        np.zeros(n_assets),
        np.zeros((window + 1, n_sums)),
        np.zeros(n_sums),
    )


def pair_indices(n_assets: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the second asset of each pair, in the order that all pairs here have.

    >>> [list(map(int, side)) for side in pair_indices(3)]
    [[0, 0, 1], [1, 2, 2]]
    """
    return np.triu_indices(n_assets, 1)


def matrix_of(pairs: FloatArray, n_assets: int) -> FloatArray:
    """Return pairs (n_pairs,) as a correlation matrix (n_assets, n_assets) with ones on the diagonal."""
    matrix = np.eye(n_assets)
    first, second = pair_indices(n_assets)
    matrix[first, second] = matrix[second, first] = pairs
    return matrix
