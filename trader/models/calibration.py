"""From a score to a forecast: chances, quantiles and volatility, learnt from rows that the scorer has not seen.

The score of a row model says what it expects and nothing of how sure it is. A calibration adds that. A copy of
the model is fitted on the head of the training span, the last fifth of the span is scored by it, and three
things are learnt from the pairs of score and target there:

- **Chance of a rise**: ``1 / (1 + exp(-(a + b score)))``, Platt's sigmoid [1]_ with his smoothed labels. The slope
  is shrunk to 0 as if a hundred more rows had shown no relation, and is never negative: a model that ordered the
  held-out rows wrongly gets the base rate, not a bet against itself.
- **Quantiles**: the score plus the spread of the row times quantiles of ``(target - score) / spread`` (split
  conformal prediction, locally weighted [2]_ [3]_), with the finite-sample correction: outer quantiles are a
  rank further out.
- **Volatility**: the standard deviation of the same ratio times the spread.

The spread is what is known of the size of errors before they happen: ``exp`` of a ridge regression of
``log |residual|`` on the features (multiplicative heteroscedasticity [4]_), fitted on the head alone and shrunk
to a constant as if a thousand more rows had shown no relation. Conformal coverage does not depend on its being
right. Coverage is exact for exchangeable rows; returns are not, and labels of neighbouring instants overlap, so
read it as approximate. The model that is kept is fitted on all rows and takes over the calibration of its copy.

References
----------
.. [1] Platt (1999), "Probabilistic outputs for support vector machines and comparisons to regularized
   likelihood methods".
.. [2] Papadopoulos, Gammerman and Vovk (2008), "Normalized nonconformity measures for regression conformal
   prediction".
.. [3] Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), "Distribution-free predictive inference for
   regression".
.. [4] Harvey (1976), "Estimating regression models with multiplicative heteroscedasticity".
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from trader.core.protocols import Forecast
from trader.models.kernels import calibrate
from trader.models.ridge import Ridge, fit_ridge
from trader.models.rows import Rows

__all__ = ["LEVELS", "MIN_ROWS", "SPREAD_BOUND", "SPREAD_CLIP", "Calibration", "conformal_quantiles", "platt"]

FloatArray = NDArray[np.float64]

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Levels of the quantiles of a forecast."""

MIN_ROWS = 50
"""Rows needed in the head and in the tail."""

_SHRINK_ROWS = 100.0
_SPREAD_SHRINK_ROWS = 1000.0
SPREAD_CLIP = 5.0
"""Standard deviations at which the features of the spread are clipped."""

SPREAD_BOUND = math.log(4.0)
"""A spread is from a quarter to four times the typical one."""

_NEWTON_STEPS = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Calibration:
    """What turns scores of one model into forecasts.

    Parameters
    ----------
    platt : ndarray of shape (2,)
        Intercept and slope of the log odds of a rise.
    residual_quantiles : ndarray of shape (n_levels,)
        Of residuals in units of their spread, at `LEVELS`, not falling.
    residual_volatility : ndarray of shape (1,)
        Standard deviation of the same.
    spread : Ridge
        Log of a row's spread relative to the typical one.
    """

    platt: FloatArray
    residual_quantiles: FloatArray
    residual_volatility: FloatArray
    spread: Ridge

    @classmethod
    def of(cls, head: Rows, head_scores: FloatArray, tail: Rows, tail_scores: FloatArray) -> Self:
        """Learn from the rows a model was fitted on and, held out, those after them.

        Parameters
        ----------
        head, tail : Rows
        head_scores, tail_scores : ndarray of shape (n_rows,)
            Of the model that was fitted on the head; rows with NaN are left out.
        """
        head, head_scores = _scored(head, head_scores)
        tail, tail_scores = _scored(tail, tail_scores)
        spread = _fit_spread(head, head.target - head_scores)
        ratio = (tail.target - tail_scores) / np.exp(
            np.clip(spread(tail.features, SPREAD_CLIP, 0), -SPREAD_BOUND, SPREAD_BOUND)
        )
        mean = np.average(ratio, weights=tail.weight)
        volatility = math.sqrt(np.average((ratio - mean) ** 2, weights=tail.weight))
        return cls(
            platt=platt(tail_scores, tail.target > 0, tail.weight),
            residual_quantiles=conformal_quantiles(ratio, tail.weight, LEVELS),
            residual_volatility=np.array([volatility]),
            spread=spread,
        )

    def forecast(self, features: FloatArray, scores: FloatArray, shape: tuple[int, int]) -> Forecast:
        """Return the forecast of rows of shape (n_slices * n_symbols, n_features), as panels of `shape`."""
        log_spread = self.spread(features, SPREAD_CLIP, 0)
        probability, quantiles, volatility = calibrate(
            scores, log_spread, self.platt, self.residual_quantiles, float(self.residual_volatility[0]), SPREAD_BOUND
        )
        return Forecast(
            score=scores.reshape(shape),
            probability_up=probability.reshape(shape),
            quantiles=quantiles.reshape(*shape, len(LEVELS)),
            levels=LEVELS,
            volatility=volatility.reshape(shape),
        )

    def arrays(self) -> dict[str, FloatArray]:
        """Return everything as named arrays."""
        spread = {f"spread.{field.name}": getattr(self.spread, field.name) for field in dataclasses.fields(Ridge)}
        return spread | {
            "platt": self.platt,
            "residual_quantiles": self.residual_quantiles,
            "residual_volatility": self.residual_volatility,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, FloatArray]) -> Self:
        """Build from what `arrays` returned; a missing one raises KeyError."""
        spread = Ridge(**{field.name: arrays[f"spread.{field.name}"] for field in dataclasses.fields(Ridge)})
        return cls(arrays["platt"], arrays["residual_quantiles"], arrays["residual_volatility"], spread)


def platt(scores: FloatArray, up: NDArray[np.bool_], weight: FloatArray) -> FloatArray:
    """Fit the log odds ``a + b score`` of a rise by penalised maximum likelihood; return (a, b).

    Parameters
    ----------
    scores : ndarray of shape (n_rows,)
    up : ndarray of bool, shape (n_rows,)
    weight : ndarray of shape (n_rows,)
        Positive; only ratios matter.

    Returns
    -------
    ndarray of shape (2,)
        The slope is 0 where scores are constant or order the rows wrongly.

    Examples
    --------
    >>> scores = np.repeat([-1.0, 1.0], 5000)
    >>> up = np.tile(np.arange(10) < 4, 1000) ^ (scores > 0)  # 40 % rise below, 60 % above
    >>> platt(scores, up, np.ones(10_000)).round(3)[1].item()  # a little below log(0.6 / 0.4)
    0.401
    """
    weight = weight * (weight.size / weight.sum())
    risen = float(weight[up].sum())
    label = np.where(up, (risen + 1.0) / (risen + 2.0), 1.0 / (weight.size - risen + 2.0))
    scale = float(scores.std())
    base = math.log(float((weight * label).sum()) / float((weight * (1.0 - label)).sum()))
    if not scale > 1e-12 * float(np.abs(scores).max()):
        return np.array([base, 0.0])
    z = (scores - scores.mean()) / scale
    penalty = 0.25 * _SHRINK_ROWS  # the information of a row on the slope is p (1 - p) z², a quarter of z² at even odds
    a, b = base, 0.0
    for _ in range(_NEWTON_STEPS):
        p = 1.0 / (1.0 + np.exp(-(a + b * z)))
        error, curvature = weight * (label - p), weight * p * (1.0 - p)
        gradient = np.array([error.sum(), (error * z).sum() - penalty * b])
        cross = (curvature * z).sum()
        hessian = np.array([[curvature.sum(), cross], [cross, (curvature * z * z).sum() + penalty]])
        step_a, step_b = np.linalg.solve(hessian, gradient)
        a, b = a + step_a, b + step_b
        if max(abs(step_a), abs(step_b)) < 1e-10:
            break
    if not b > 0:
        return np.array([base, 0.0])
    return np.array([a - b * scores.mean() / scale, b / scale])


def conformal_quantiles(values: FloatArray, weight: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Return quantiles that a further value falls below (above one half: at or below) with at least the level's chance.

    Of n values, the quantile of a level q above one half is the one of rank ``ceil((n + 1) q)``, that of 1 - q
    mirrors it, and the median is the plain one. `weight` (n,) counts a value more often; only ratios matter.

    Examples
    --------
    >>> conformal_quantiles(np.arange(1.0, 100.0), np.ones(99), (0.05, 0.5, 0.95)).tolist()
    [5.0, 50.0, 95.0]
    """
    n = values.size

    def upper(array: FloatArray, level: float) -> float:
        corrected = min(1.0, level * (n + 1) / n)
        return float(np.quantile(array, corrected, method="inverted_cdf", weights=weight))

    found = [
        upper(values, q)
        if q > 0.5
        else -upper(-values, 1.0 - q)
        if q < 0.5
        else 0.5
        * (
            float(np.quantile(values, 0.5, method="inverted_cdf", weights=weight))
            - float(np.quantile(-values, 0.5, method="inverted_cdf", weights=weight))
        )
        for q in levels
    ]
    return np.maximum.accumulate(np.array(found))


def _scored(rows: Rows, scores: FloatArray) -> tuple[Rows, FloatArray]:
    known = np.isfinite(scores)
    return rows.take(known), scores[known]


def _fit_spread(rows: Rows, residuals: FloatArray) -> Ridge:
    """Return the log of the size of residuals, as far as features tell, relative to the typical size."""
    size = np.abs(residuals)
    typical = float(np.median(size))
    floor = 0.01 * typical if typical > 0 else 1.0  # a residual that happens to be 0 says little of its spread
    fitted = fit_ridge(
        rows.features, np.log(np.maximum(size, floor)), rows.weight, _SPREAD_SHRINK_ROWS / len(rows), SPREAD_CLIP
    )
    return dataclasses.replace(fitted, intercept=np.zeros(1))
