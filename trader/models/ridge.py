"""Ridge regression on clipped z-scores, as the linear model and the calibration of spreads use it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.models.kernels import gram, linear_scores
from trader.models.standard import column_moments

__all__ = ["Ridge", "fit_ridge"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Ridge:
    """Coefficients of the clipped z-scores of features; a missing one counts as its mean.

    Parameters
    ----------
    center, inverse_scale, coefficients : ndarray of shape (n_features,)
    intercept : ndarray of shape (1,)
    """

    center: FloatArray
    inverse_scale: FloatArray
    coefficients: FloatArray
    intercept: FloatArray

    def __call__(self, features: FloatArray, clip: float, needed: int) -> FloatArray:
        """Return the value of each row (n_rows,); NaN where fewer than `needed` features are known."""
        columns = np.arange(self.center.size, dtype=np.int32)
        values: FloatArray = linear_scores(
            features,
            columns,
            self.center,
            self.inverse_scale,
            self.coefficients,
            float(self.intercept[0]),
            clip,
            needed,
        )
        return values


def fit_ridge(features: FloatArray, target: FloatArray, weight: FloatArray, alpha: float, clip: float) -> Ridge:
    """Solve ``(Z'WZ / w + alpha I) b = Z'W(y - mean(y)) / w``, with w the sum of weights.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
        NaN is missing. Z are their z-scores by the unweighted moments of the rows, clipped at `clip`.
    target, weight : ndarray of shape (n_rows,)
        Finite; weights positive.
    alpha : float
        Penalty relative to the unit variance of a z-score, so that it does not depend on the number of rows.
    clip : float
        Standard deviations.
    """
    from threadpoolctl import threadpool_limits

    total = weight.sum()
    mean = (weight * target).sum() / total
    center, inverse_scale = column_moments(features)
    products, moments = gram(features, target - mean, weight, center, inverse_scale, clip)
    with threadpool_limits(1, user_api="blas"):  # LAPACK's rounding depends on the number of threads
        coefficients = np.linalg.solve(products / total + alpha * np.eye(center.size), moments / total)
    return Ridge(center, inverse_scale, coefficients, np.array([mean]))
