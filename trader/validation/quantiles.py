"""Whether quantile forecasts hold what they promise: pinball loss, coverage, probability integral transform."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.validation.panel import ratio_intervals

__all__ = ["QuantileReport", "judge_quantiles", "pinball_loss", "pit_values"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class QuantileReport:
    """Quantile forecasts against what happened; every array has shape (n_levels,) but `shares`.

    Parameters
    ----------
    levels : ndarray
    coverage, low, high : ndarray
        Share of outcomes at or below the quantile, which should be its level; the interval at `confidence` is
        that of the stationary bootstrap over instants.
    pinball, base_pinball : ndarray
        Mean pinball loss of the forecast, and of always saying the quantile of all outcomes.
    shares : ndarray of shape (n_levels + 1,)
        Of outcomes below the first quantile, between each two, and above the last: the histogram of the PIT,
        whose expectation is the difference of the levels.
    n_rows : int
    confidence : float
    """

    levels: FloatArray
    coverage: FloatArray
    low: FloatArray
    high: FloatArray
    pinball: FloatArray
    base_pinball: FloatArray
    shares: FloatArray
    n_rows: int
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON; an undefined number is None."""
        plain = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value = [None if np.isnan(item) else item for item in value.tolist()]
            plain[field.name] = value
        return plain


def judge_quantiles(
    quantiles: FloatArray,
    levels: tuple[float, ...],
    target: FloatArray,
    *,
    confidence: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> QuantileReport:
    """Judge quantile forecasts, such as those of `Forecast`.

    Parameters
    ----------
    quantiles : ndarray of shape (n_slices, n_symbols, n_levels)
        Not falling along the last axis; a row counts where all of it and the target are known.
    levels : tuple of float
        Rising, inside (0, 1).
    target : ndarray of shape (n_slices, n_symbols)
    confidence, n_resamples, seed
        Of the intervals.

    Raises
    ------
    DataError
        If nothing can be judged, or quantiles cross.
    """
    steps = _check(quantiles, levels, target)
    known = np.isfinite(quantiles).all(axis=2) & np.isfinite(target)
    q, y = quantiles[known], target[known]
    if y.size == 0:
        raise DataError("no row has both quantiles and an outcome")
    if np.any(np.diff(q, axis=1) < 0.0):
        raise DataError("quantiles fall along the last axis; a higher level must not have a lower quantile")
    held = known.any(axis=1)
    below = np.where(known[..., None], target[..., None] <= quantiles, False).sum(axis=1)[held]
    rows = np.repeat(known.sum(axis=1)[held][:, None], steps.size, axis=1)
    coverage, low, high = ratio_intervals(
        below.astype(np.float64), rows.astype(np.float64), confidence, n_resamples, seed
    )
    return QuantileReport(
        levels=steps,
        coverage=coverage,
        low=low,
        high=high,
        pinball=pinball_loss(q, steps, y),
        base_pinball=pinball_loss(np.tile(np.quantile(y, steps), (y.size, 1)), steps, y),
        shares=np.diff(np.concatenate([[0.0], coverage, [1.0]])),
        n_rows=int(y.size),
        confidence=confidence,
    )


def pinball_loss(quantiles: FloatArray, levels: FloatArray, target: FloatArray) -> FloatArray:
    """Return the mean pinball loss of each level, which the true quantile makes least [1]_.

    ``level * (y - q)`` where the outcome is above the quantile, ``(1 - level) * (q - y)`` where it is below.

    Parameters
    ----------
    quantiles : ndarray of shape (n_rows, n_levels)
    levels : ndarray of shape (n_levels,)
    target : ndarray of shape (n_rows,)
        All finite.

    References
    ----------
    .. [1] Koenker and Bassett (1978), "Regression quantiles", Econometrica 46.

    Examples
    --------
    >>> pinball_loss(np.array([[0.0, 1.0]]), np.array([0.5, 0.9]), np.array([2.0])).tolist()
    [1.0, 0.9]
    """
    above = target[:, None] - quantiles
    losses: FloatArray = np.maximum(levels * above, (levels - 1.0) * above).mean(axis=0)
    return losses


def pit_values(quantiles: FloatArray, levels: tuple[float, ...], target: FloatArray) -> FloatArray:
    """Return the probability integral transform: the level of the forecast at which the outcome lies [1]_.

    It is uniform in [0, 1] for a forecast that is right. Between two quantiles it is interpolated; beyond the
    outermost, where nothing is known of the forecast, it is the middle of the tail.

    Parameters
    ----------
    quantiles : ndarray of shape (..., n_levels)
        Not falling along the last axis.
    levels : tuple of float
    target : ndarray of shape (...)

    Returns
    -------
    ndarray of shape (...)
        NaN where a quantile or the target is unknown.

    References
    ----------
    .. [1] Diebold, Gunther and Tay (1998), "Evaluating density forecasts", International Economic Review 39.

    Examples
    --------
    >>> pit_values(np.array([[-1.0, 0.0, 1.0]] * 3), (0.2, 0.5, 0.8), np.array([-5.0, 0.5, 1.0])).tolist()
    [0.1, 0.65, 0.8]
    """
    steps = _check(quantiles, levels, target)
    y = target[..., None]
    place = (quantiles < y).sum(axis=-1)  # quantiles strictly below the outcome
    upper = np.minimum(place, steps.size - 1)
    lower = np.maximum(upper - 1, 0)
    q_low, q_high = (np.take_along_axis(quantiles, at[..., None], axis=-1)[..., 0] for at in (lower, upper))
    width = q_high - q_low
    share = np.divide(target - q_low, width, out=np.ones(target.shape), where=width > 0.0)
    value = steps[lower] + share * (steps[upper] - steps[lower])
    value = np.where((place == 0) & (target < quantiles[..., 0]), steps[0] / 2.0, value)
    value = np.where(place == steps.size, (1.0 + steps[-1]) / 2.0, value)
    known = np.isfinite(quantiles).all(axis=-1) & np.isfinite(target)
    result: FloatArray = np.where(known, value, np.nan)
    return result


def _check(quantiles: FloatArray, levels: tuple[float, ...], target: FloatArray) -> FloatArray:
    """Return the levels as an array, after checking that they fit."""
    steps = np.asarray(levels, dtype=np.float64)
    if steps.ndim != 1 or steps.size == 0 or np.any(np.diff(steps) <= 0) or steps[0] <= 0 or steps[-1] >= 1:
        raise DataError(f"levels={levels} are not allowed; they must rise inside (0, 1)")
    if quantiles.shape != (*target.shape, steps.size):
        raise DataError(
            f"quantiles have shape {quantiles.shape}; targets of {target.shape} need an axis of {steps.size}"
        )
    return steps
