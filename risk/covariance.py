"""Covariances of returns, and what may be wrong with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["COVARIANCES", "covariance", "covariance_warnings", "factor_of"]

FloatArray = NDArray[np.float64]

COVARIANCES = ("sample", "ewma", "ledoit_wolf", "denoised")
"""Names that `covariance` knows."""

_SINGULAR = 1e-12


def covariance(returns: FloatArray, method: str = "sample", *, decay: float = 0.94) -> FloatArray:
    """Return the covariance matrix of one period's returns.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_assets)
        Finite, oldest first.
    method : str, default="sample"
        ``sample``: n − 1 in the denominator. ``ewma``: around a mean of 0, weights falling by `decay` a period and
        adding to 1 (RiskMetrics). ``ledoit_wolf``: shrunk towards a multiple of the identity by the amount that
        minimises the expected squared error [1]_. ``denoised``: eigenvalues of the correlation matrix that noise alone
        would give (Marchenko-Pastur) replaced by their mean [2]_.
    decay : float, default=0.94
        Of ``ewma``; above 0 and below 1.

    Returns
    -------
    ndarray of shape (n_assets, n_assets)
        Symmetric, positive semidefinite.

    Raises
    ------
    DataError
        If there are fewer than two periods, a number is not finite or an argument is not allowed; for ``denoised``
        also if an asset does not vary.

    References
    ----------
    .. [1] Ledoit and Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".
    .. [2] López de Prado (2020), "Machine learning for asset managers", chapter 2.

    Examples
    --------
    >>> covariance(np.array([[0.01, 0.0], [-0.01, 0.02], [0.0, 0.01]])).round(6).tolist()
    [[0.0001, -0.0001], [-0.0001, 0.0001]]
    """
    values = np.asarray(returns, np.float64)
    if values.ndim != 2 or len(values) < 2 or values.shape[1] < 1:
        raise DataError(f"returns has shape {values.shape}; (2 or more periods, 1 or more assets) is needed")
    if not np.isfinite(values).all():
        raise DataError("returns holds NaN or infinities; leave those periods out")
    if method == "sample":
        deviations = values - values.mean(axis=0)
        return np.asarray(deviations.T @ deviations / (len(values) - 1), np.float64)
    if method == "ewma":
        weights = _decaying(len(values), decay)
        return np.asarray((values * weights[:, None]).T @ values, np.float64)
    if method == "ledoit_wolf":
        from sklearn.covariance import ledoit_wolf

        return np.asarray(ledoit_wolf(values)[0], np.float64)
    if method == "denoised":
        return _denoised(values)
    raise DataError(f"method={method!r} is not allowed; {', '.join(COVARIANCES)} are")


def covariance_warnings(matrix: FloatArray, n_periods: int) -> tuple[str, ...]:
    """Return what speaks against a covariance matrix: too few periods, directions without any variance."""
    values = np.linalg.eigvalsh(matrix)
    n_assets, n_flat = len(matrix), int(np.count_nonzero(values <= _SINGULAR * max(float(values[-1]), 0.0)))
    if n_periods <= n_assets:
        return (f"{n_periods} periods cannot tell {n_assets} assets apart; shrink the covariance (ledoit_wolf)",)
    if n_flat:
        return (f"the covariance is singular: {n_flat} of {n_assets} directions do not vary",)
    return ()


def factor_of(matrix: FloatArray) -> FloatArray:
    """Return L with ``L @ L.T`` equal to a covariance matrix, singular or not; shape (n_assets, n_assets).

    Raises
    ------
    DataError
        If the matrix is clearly not positive semidefinite.
    """
    try:
        return np.asarray(np.linalg.cholesky(matrix), np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
        if values[0] < -1e-8 * max(float(values[-1]), 0.0) or values[-1] < 0.0:
            raise DataError(f"matrix has the eigenvalue {values[0]:.3g}; a covariance has none below 0") from None
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)), np.float64)


def _decaying(n_periods: int, decay: float) -> FloatArray:
    if not 0.0 < decay < 1.0:
        raise DataError(f"decay={decay} is not allowed; above 0 and below 1 is")
    weights = decay ** np.arange(n_periods - 1, -1, -1, dtype=np.float64)
    return np.asarray(weights / weights.sum(), np.float64)


def _denoised(values: FloatArray) -> FloatArray:
    if not (np.ptp(values, axis=0) > 0.0).all():
        raise DataError("returns of an asset do not vary; denoised needs a correlation matrix, leave the asset out")
    from skfolio.moments import DenoiseCovariance

    return np.asarray(DenoiseCovariance().fit(values).covariance_, np.float64)
