"""Whether scores mean what they say: the slope of what came on what was forecast."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trader.validation.panel import ratio_intervals

__all__ = ["CalibrationSlope", "calibration_slopes"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class CalibrationSlope:
    """Slope of outcomes on scores.

    Parameters
    ----------
    slope : float
        1 if a score that is higher by one means an outcome that is higher by one; below 1 scores say too much, 0 is
        no relation. NaN without a known pair.
    low, high : float
        Its interval at `level`; NaN for fewer than two instants.
    level : float
    n_pairs : int
        Pairs of score and outcome.
    """

    slope: float
    low: float
    high: float
    level: float
    n_pairs: int


def calibration_slopes(
    scores: Sequence[FloatArray],
    outcomes: FloatArray,
    *,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> list[CalibrationSlope]:
    """Return the slope of Mincer and Zarnowitz [1]_ for each scorer of the same outcomes.

    Scores and outcomes are taken less their means over the symbols of an instant, where choices are made, so the
    intercept drops out. Intervals are by the stationary bootstrap over instants, the same resamples for all.

    Parameters
    ----------
    scores : sequence of ndarray of shape (n_slices, n_symbols)
        NaN abstains.
    outcomes : ndarray of shape (n_slices, n_symbols)
        In the unit of the scores; NaN where unknown. Pairs with a NaN are left out, and instants with fewer than two.

    References
    ----------
    .. [1] Mincer and Zarnowitz (1969), "The evaluation of economic forecasts", NBER.

    Examples
    --------
    >>> score = np.array([[1.0, -1.0, 0.0], [2.0, 0.0, -2.0]])
    >>> round(calibration_slopes([score], 0.5 * score)[0].slope, 6)
    0.5
    """
    if not scores:
        return []
    parts = [_sums(score, outcomes) for score in scores]
    tops, bottoms = (np.column_stack([part[i] for part in parts]) for i in (0, 1))
    found = ratio_intervals(tops, bottoms, level, n_resamples, seed)
    return [
        CalibrationSlope(float(slope), float(low), float(high), level, n)
        for slope, low, high, n in zip(*found, (part[2] for part in parts), strict=True)
    ]


def _sums(score: FloatArray, outcome: FloatArray) -> tuple[FloatArray, FloatArray, int]:
    """Return sums of cross products and squares of an instant, shape (n_slices,), and the number of pairs."""
    known = np.isfinite(score) & np.isfinite(outcome)
    known &= known.sum(axis=1, keepdims=True) >= 2
    counts = np.maximum(known.sum(axis=1, keepdims=True), 1)
    x, y = (np.where(known, values, 0.0) for values in (score, outcome))
    x, y = (np.where(known, values - values.sum(axis=1, keepdims=True) / counts, 0.0) for values in (x, y))
    return (x * y).sum(axis=1), (x * x).sum(axis=1), int(known.sum())
