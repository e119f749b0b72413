"""Whether probabilities mean what they say: reliability curve, Brier score, log loss, calibration error."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.validation.panel import check_outcomes, ratio_intervals

__all__ = ["BrierParts", "ProbabilityReport", "ReliabilityCurve", "brier_parts", "judge_probabilities", "log_loss"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_EDGE = 1e-15


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ReliabilityCurve:
    """How often the event came where a probability was given; every array has shape (n_bins,).

    Parameters
    ----------
    probability : ndarray
        Mean of the probabilities in the bin; NaN in an empty one, as all but `count`.
    frequency, low, high : ndarray
        Share of events, and its interval at `level` by the stationary bootstrap over instants.
    count : ndarray of int64
    level : float
    """

    probability: FloatArray
    frequency: FloatArray
    low: FloatArray
    high: FloatArray
    count: IntArray
    level: float


@dataclasses.dataclass(frozen=True, slots=True)
class BrierParts:
    """``score = reliability - resolution + uncertainty + within`` [1]_.

    Parameters
    ----------
    score : float
        Mean squared difference of probability and outcome; 0 is perfect.
    reliability : float
        Mean squared distance of the bins from the diagonal; 0 is calibrated.
    resolution : float
        Mean squared distance of the bins' frequencies from the overall one; more is better.
    uncertainty : float
        Of the outcome itself: the score of always saying the frequency.
    within : float
        What is left because probabilities differ inside a bin.

    References
    ----------
    .. [1] Murphy (1973), "A new vector partition of the probability score"; Stephenson, Coelho and Jolliffe
       (2008), "Two extra components in the Brier score decomposition".
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ProbabilityReport:
    """Probabilities of a panel, beside the one probability that is always the base rate.

    Parameters
    ----------
    n_rows : int
    base_rate : float
        Share of events, or the one that was known in training.
    brier : BrierParts
    base_brier : float
        Brier score of the base rate.
    brier_skill : float
        ``1 - brier.score / base_brier``: 0 is no better than the base rate.
    log_loss, base_log_loss : float
        Mean of -ln of the probability given to what happened.
    calibration_error : float
        Expected calibration error: mean distance of the bins from the diagonal, weighted by their rows.
    curve : ReliabilityCurve
    """

    n_rows: int
    base_rate: float
    brier: BrierParts
    base_brier: float
    brier_skill: float
    log_loss: float
    base_log_loss: float
    calibration_error: float
    curve: ReliabilityCurve

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON; an undefined number is None."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        return plain


def judge_probabilities(
    probability: FloatArray,
    outcome: FloatArray,
    *,
    base_rate: float | None = None,
    n_bins: int = 10,
    bins: Literal["width", "count"] = "width",
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> ProbabilityReport:
    """Judge probabilities against what happened.

    Parameters
    ----------
    probability, outcome : ndarray of shape (n_slices, n_symbols)
        In [0, 1]; 1 or 0. A row counts where both are known.
    base_rate : float, optional
        Share of events in training, which the base forecast says; None takes that of these outcomes.
    n_bins : int, default=10
    bins : {"width", "count"}
        Bins of equal width in [0, 1], or of about equally many rows.
    level, n_resamples, seed
        Of the curve's intervals.

    Raises
    ------
    DataError
        If nothing can be judged, or a value is not allowed.
    """
    _check(probability, outcome, n_bins, bins)
    known = np.isfinite(probability) & np.isfinite(outcome)
    p, y = probability[known], outcome[known]
    if p.size == 0:
        raise DataError("no row has both a probability and an outcome")
    own_rate = float(y.mean())
    rate = own_rate if base_rate is None else base_rate
    edges = np.linspace(0.0, 1.0, n_bins + 1) if bins == "width" else np.quantile(p, np.linspace(0.0, 1.0, n_bins + 1))
    bin_of = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, n_bins - 1)
    curve = _curve(np.nonzero(known)[0], bin_of, p, y, n_bins, level, n_resamples, seed)
    brier = brier_parts(p, y, bin_of)
    base_brier = float(np.mean((rate - y) ** 2))
    filled = curve.count > 0
    gaps = np.abs(curve.probability - curve.frequency)[filled]
    return ProbabilityReport(
        n_rows=int(p.size),
        base_rate=rate,
        brier=brier,
        base_brier=base_brier,
        brier_skill=1.0 - brier.score / base_brier if base_brier > 0.0 else math.nan,
        log_loss=log_loss(p, y),
        base_log_loss=log_loss(np.full(y.size, rate), y),
        calibration_error=float(gaps @ curve.count[filled]) / p.size,
        curve=curve,
    )


def log_loss(probability: FloatArray, outcome: FloatArray) -> float:
    """Return the mean of -ln of the probability given to what happened.

    Parameters
    ----------
    probability, outcome : ndarray of shape (n_rows,)
        Finite. Probabilities of 0 and 1 count as 1e-15 from there: who is certain and wrong loses 34.5.

    Examples
    --------
    >>> round(log_loss(np.array([0.5, 0.9]), np.array([1.0, 1.0])), 4)
    0.3993
    """
    p = np.clip(probability, _EDGE, 1.0 - _EDGE)
    return float(-np.mean(np.where(outcome > 0.5, np.log(p), np.log1p(-p))))


def brier_parts(probability: FloatArray, outcome: FloatArray, bin_of: IntArray) -> BrierParts:
    """Return the Brier score and its decomposition.

    Parameters
    ----------
    probability, outcome, bin_of : ndarray of shape (n_rows,)
        Finite; the bin of each row, from 0.
    """
    n = probability.size
    count = np.bincount(bin_of)
    held = np.maximum(count, 1)
    mean_p, mean_y = (np.bincount(bin_of, weights=side) / held for side in (probability, outcome))
    rate = float(outcome.mean())
    own_p, own_y = probability - mean_p[bin_of], outcome - mean_y[bin_of]
    return BrierParts(
        score=float(np.mean((probability - outcome) ** 2)),
        reliability=float(count @ (mean_p - mean_y) ** 2) / n,
        resolution=float(count @ (mean_y - rate) ** 2) / n,
        uncertainty=rate * (1.0 - rate),
        within=float(np.mean(own_p**2) - 2.0 * np.mean(own_p * own_y)),
    )


def _curve(
    instant: IntArray,
    bin_of: IntArray,
    probability: FloatArray,
    outcome: FloatArray,
    n_bins: int,
    level: float,
    n_resamples: int,
    seed: int,
) -> ReliabilityCurve:
    instants, row = np.unique(instant, return_inverse=True)
    cell = row * n_bins + bin_of
    shape, size = (instants.size, n_bins), instants.size * n_bins
    counts, events, sums = (
        np.bincount(cell, weights=weights, minlength=size).reshape(shape).astype(np.float64)
        for weights in (np.ones(cell.size), outcome, probability)
    )
    frequency, low, high = ratio_intervals(events, counts, level, n_resamples, seed)
    count = counts.sum(axis=0)
    mean = np.divide(sums.sum(axis=0), count, out=np.full(n_bins, np.nan), where=count > 0)
    return ReliabilityCurve(mean, frequency, low, high, count.astype(np.int64), level)


def _check(probability: FloatArray, outcome: FloatArray, n_bins: int, bins: str) -> None:
    if probability.shape != outcome.shape or probability.ndim != 2:
        raise DataError(
            f"probability has shape {probability.shape}, outcome {outcome.shape}; both must be (n_slices, n_symbols)"
        )
    if n_bins < 1:
        raise DataError(f"n_bins={n_bins} is not allowed; it must be at least 1")
    if bins not in ("width", "count"):
        raise DataError(f"bins={bins!r} is not allowed; width and count are")
    given = probability[np.isfinite(probability)]
    if np.any((given < 0.0) | (given > 1.0)):
        raise DataError(f"probabilities from {given.min():g} to {given.max():g} are given; 0 to 1 is allowed")
    check_outcomes(outcome)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    return None if isinstance(value, float) and math.isnan(value) else value
