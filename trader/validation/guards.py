"""Deliberate cheats: a test of the tests.

A pipeline that does not look ahead must show an absurd result when tomorrow's return is leaked into its features,
and none at all when its labels are shuffled. If either fails, its honest figures mean nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["LEAKED", "leak_tomorrow", "shuffle_labels"]

FloatArray = NDArray[np.float64]

LEAKED = "leaked_next_return"
"""Name of the column that `leak_tomorrow` adds."""


def leak_tomorrow(features: FloatArray, next_returns: FloatArray) -> FloatArray:
    """Return features with the future as an extra, last column.

    Parameters
    ----------
    features : ndarray of shape (n_slices, n_symbols, n_features)
    next_returns : ndarray of shape (n_slices, n_symbols)
        The return that a decision at that instant would earn; NaN stays NaN.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols, n_features + 1)

    Raises
    ------
    DataError
        If the shapes do not agree.
    """
    if features.ndim != 3 or next_returns.shape != features.shape[:2]:
        raise DataError(f"next_returns have shape {next_returns.shape}; features of {features.shape} do not match")
    return np.concatenate([features, next_returns[..., None]], axis=-1)


def shuffle_labels(target: FloatArray, seed: int) -> FloatArray:
    """Return the known labels in random order, over all instants and symbols; NaN stay where they are.

    Parameters
    ----------
    target : ndarray of any shape
    seed : int

    Examples
    --------
    >>> shuffle_labels(np.array([1.0, np.nan, 2.0, 3.0]), seed=3).tolist()
    [3.0, nan, 2.0, 1.0]
    """
    shuffled = np.array(target, dtype=np.float64)
    known = np.isfinite(shuffled)
    shuffled[known] = np.random.default_rng(seed).permutation(shuffled[known])
    return shuffled
