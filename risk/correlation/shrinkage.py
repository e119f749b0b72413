"""Correlation matrices with less noise in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from risk.covariance import covariance
from trader.core.errors import DataError

__all__ = ["shrunk_correlation"]

FloatArray = NDArray[np.float64]


def shrunk_correlation(returns: FloatArray, method: str = "ledoit_wolf") -> FloatArray:
    """Return a correlation matrix (n_assets, n_assets) estimated as `risk.covariance.covariance` does.

    Returns are brought to equal volatilities first, so that shrinking towards a multiple of the identity shrinks
    correlations towards 0, and not wild assets towards calm ones.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_assets)
        Finite.
    method : str, default="ledoit_wolf"
        One of `risk.covariance.COVARIANCES`.

    Raises
    ------
    DataError
        As `covariance`, and if an asset does not vary.

    Examples
    --------
    >>> returns = 0.01 * np.random.default_rng(0).normal(size=(60, 30))
    >>> plain, shrunk = np.corrcoef(returns.T), shrunk_correlation(returns)
    >>> bool(np.abs(shrunk[0, 1:]).max() < 0.3 * np.abs(plain[0, 1:]).max())
    True
    """
    values = np.asarray(returns, np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise DataError(f"returns has shape {values.shape}; (2 or more periods, n_assets) is needed")
    deviation = values.std(axis=0)
    if not (deviation > 1e-12 * np.abs(values.mean(axis=0))).all():
        raise DataError("returns of an asset do not vary; leave it out")
    matrix = covariance(values / deviation, method)
    scale = np.sqrt(np.diag(matrix))
    return np.asarray(matrix / np.outer(scale, scale), np.float64)
