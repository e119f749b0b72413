"""Exact SHAP values of models that are a sum of functions of single features."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.models.linear import Linear
from trader.models.momentum import Momentum

__all__ = ["ClippedSum", "additive_shap", "clipped_sum"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class ClippedSum:
    """`intercept + Σ coefficient · clip(z)` with z the z-score of a column; a missing one adds 0.

    The arrays have shape (n_used,) and belong to `columns`, no two alike, of the `n_features`.
    """

    n_features: int
    columns: NDArray[np.int32]
    center: FloatArray
    inverse_scale: FloatArray
    coefficients: FloatArray
    clip: float
    intercept: float

    def terms(self, rows: FloatArray) -> FloatArray:
        """Return what each feature adds, shape (n_rows, n_features)."""
        used = rows[:, self.columns]
        z = np.clip((used - self.center) * self.inverse_scale, -self.clip, self.clip)
        out = np.zeros((rows.shape[0], self.n_features))
        out[:, self.columns] = np.where(np.isfinite(used), z * self.coefficients, 0.0)
        return out


def clipped_sum(model: Linear | Momentum) -> ClippedSum:
    """Return a fitted model as a sum of functions of single features."""
    n_features = len(model.feature_names)
    if isinstance(model, Momentum):
        columns, intercept = model.columns, 0.0
    else:
        columns, intercept = np.arange(n_features, dtype=np.int32), float(model.intercept[0])
    return ClippedSum(n_features, columns, model.center, model.inverse_scale, model.coefficients, model.clip, intercept)


def additive_shap(terms: ClippedSum, rows: FloatArray, background: FloatArray) -> tuple[FloatArray, float]:
    """Return the Shapley values (n_rows, n_features) and the mean score of the background.

    For a sum of functions of single features the value of a feature is its term less the term's mean over the
    background [1]_.

    References
    ----------
    .. [1] Lundberg and Lee (2017), "A unified approach to interpreting model predictions", corollary 1.
    """
    usual = terms.terms(background).mean(axis=0)
    return terms.terms(rows) - usual, terms.intercept + float(usual.sum())
