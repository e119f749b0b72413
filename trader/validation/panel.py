"""Scores of a panel against what a guess without skill would reach, with intervals.

Symbols of one instant share its news, and instants share blocks of time: rows are not independent. So whole
instants are drawn, in blocks, by the stationary bootstrap; an interval that draws rows is far too narrow.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.validation.bootstrap import optimal_block_length, resampled_counts
from trader.validation.ic import information_coefficient
from trader.validation.kernels import weighted_auc

__all__ = [
    "Estimate",
    "auc_estimate",
    "check_outcomes",
    "hit_estimate",
    "ic_estimate",
    "ratio_estimate",
    "ratio_intervals",
]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its interval, beside the value of a guess without skill.

    Parameters
    ----------
    value : float
    low, high : float
        Percentile interval at `level`; NaN with fewer than two instants.
    base : float
        What no skill reaches: 0 for an IC, .5 for an AUC, the share of the more frequent direction for a hit rate.
    level : float
    n_instants : int
        Instants with anything to judge.
    """

    value: float
    low: float
    high: float
    base: float
    level: float
    n_instants: int

    @property
    def skilled(self) -> bool:
        """Whether the whole interval is above the base."""
        return self.low > self.base

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON; an undefined number is None."""
        fields = dataclasses.asdict(self)
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in fields.items()}


def ic_estimate(
    scores: FloatArray,
    returns: FloatArray,
    *,
    method: Literal["rank", "pearson"] = "rank",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return the mean information coefficient over instants; its base is 0.

    Parameters
    ----------
    scores, returns : ndarray of shape (n_slices, n_symbols)
        NaN is unknown.
    method
        As in `information_coefficient`.
    level, n_resamples, seed
        Of the interval.
    """
    ic = information_coefficient(scores, returns, method)
    known = ic[np.isfinite(ic)]
    return ratio_estimate(known, np.ones(known.size), base=0.0, level=level, n_resamples=n_resamples, seed=seed)


def hit_estimate(
    scores: FloatArray, returns: FloatArray, *, level: float = 0.95, n_resamples: int = 2000, seed: int = 0
) -> Estimate:
    """Return the share of scores with the sign of the return that followed.

    The base is the share of the more frequent sign of the returns: what always saying it would reach.

    Parameters
    ----------
    scores, returns : ndarray of shape (n_slices, n_symbols)
        A pair counts where both are known and neither is 0.
    level, n_resamples, seed
        Of the interval.
    """
    _check(scores, returns)
    agreement = np.nan_to_num(np.sign(scores) * np.sign(returns))
    counted = agreement != 0
    ups = float((counted & (returns > 0)).sum()) / max(int(counted.sum()), 1)
    return ratio_estimate(
        (agreement > 0).sum(axis=1).astype(np.float64),
        counted.sum(axis=1).astype(np.float64),
        base=max(ups, 1.0 - ups) if counted.any() else math.nan,
        level=level,
        n_resamples=n_resamples,
        seed=seed,
    )


def auc_estimate(
    scores: FloatArray, up: FloatArray, *, level: float = 0.95, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """Return the area under the ROC curve of all rows: the chance that an up scores above a down; its base is .5.

    Parameters
    ----------
    scores, up : ndarray of shape (n_slices, n_symbols)
        `up` is 1 or 0; a row counts where both are known. Ties of scores count half.
    level, n_resamples, seed
        Of the interval.

    Raises
    ------
    DataError
        If the shapes do not agree, or `up` holds anything but 0, 1 and NaN.
    """
    _check(scores, up)
    _check_level(level)
    check_outcomes(up)
    known = np.isfinite(scores) & np.isfinite(up)
    instants, instant = np.unique(np.nonzero(known)[0], return_inverse=True)
    value, outcome = scores[known], up[known] == 1.0
    order = np.argsort(value, kind="stable")
    last = np.append(np.diff(value[order]) != 0.0, True)[: value.size]
    rows = instant[order].astype(np.int64), outcome[order], last
    found = float(weighted_auc(*rows, np.ones((1, instants.size)))[0]) if instants.size else math.nan
    low = high = math.nan
    if instants.size > 1 and math.isfinite(found):
        length = optimal_block_length(_influence(value, outcome, instant, instants.size))
        parts = resampled_counts(instants.size, length, n_resamples, seed)
        low, high = _percentiles(np.concatenate([weighted_auc(*rows, part) for part in parts]), level)
    return Estimate(found, low, high, 0.5, level, int(instants.size))


def ratio_estimate(
    numerator: FloatArray,
    denominator: FloatArray,
    *,
    base: float,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Return a ratio of sums over instants, such as hits over pairs.

    Parameters
    ----------
    numerator, denominator : ndarray of shape (n_slices,)
        Sums of each instant, in order of time; instants whose denominator is 0 are left out.
    base : float
        As in `Estimate`.
    level, n_resamples, seed
        Of the interval.
    """
    _check_level(level)
    used = denominator > 0
    if not used.any():
        return Estimate(math.nan, math.nan, math.nan, base, level, 0)
    columns = numerator[used][:, None], denominator[used][:, None]
    value, low, high = (float(found[0]) for found in ratio_intervals(*columns, level, n_resamples, seed))
    return Estimate(value, low, high, base, level, int(used.sum()))


def ratio_intervals(
    numerators: FloatArray, denominators: FloatArray, level: float, n_resamples: int, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return several ratios of sums over instants with their intervals, all from the same resamples.

    Parameters
    ----------
    numerators, denominators : ndarray of shape (n_slices, n_ratios)
    level, n_resamples, seed
        Of the intervals; `level` between 0 and 1.

    Returns
    -------
    value, low, high : ndarray of shape (n_ratios,)
        NaN where the denominators sum to 0; no interval with fewer than two instants.
    """
    _check_level(level)
    value = _divided(numerators.sum(axis=0), denominators.sum(axis=0))
    nothing = np.full(value.size, np.nan)
    if numerators.shape[0] < 2:
        return value, nothing, nothing
    influence = numerators - np.nan_to_num(value) * denominators
    length = max(optimal_block_length(column) for column in influence.T)
    parts = resampled_counts(numerators.shape[0], length, n_resamples, seed)
    found = np.concatenate([_divided(part @ numerators, part @ denominators) for part in parts])
    bounds = [_percentiles(column, level) for column in found.T]
    low, high = np.array(bounds).T
    return value, low, high


def _influence(value: FloatArray, up: BoolArray, instant: NDArray[np.integer], n_instants: int) -> FloatArray:
    """Return how much each instant moves the AUC, to first order: by how its rows rank among the other outcome."""
    influence = np.empty(value.size)
    for side, sign in ((up, 1.0), (~up, -1.0)):
        others = np.sort(value[~side])
        rank = (np.searchsorted(others, value[side], "left") + np.searchsorted(others, value[side], "right")) / 2.0
        place = rank / max(others.size, 1)
        influence[side] = sign * (place - place.mean()) / max(int(side.sum()), 1)
    summed: FloatArray = np.bincount(instant, weights=influence, minlength=n_instants).astype(np.float64)
    return summed


def _divided(top: FloatArray, bottom: FloatArray) -> FloatArray:
    ratio: FloatArray = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return ratio


def _percentiles(found: FloatArray, level: float) -> tuple[float, float]:
    finite = found[np.isfinite(found)]
    if finite.size == 0:
        return math.nan, math.nan
    low, high = np.quantile(finite, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise DataError(f"level={level} is not allowed; it must lie between 0 and 1")


def _check(left: FloatArray, right: FloatArray) -> None:
    if left.shape != right.shape or left.ndim != 2:
        raise DataError(f"panels have shapes {left.shape} and {right.shape}; both must be (n_slices, n_symbols)")


def check_outcomes(up: FloatArray) -> None:
    """Raise DataError if an outcome is anything but 0, 1 and NaN."""
    if not np.isin(up[np.isfinite(up)], (0.0, 1.0)).all():
        raise DataError("outcomes hold values other than 0, 1 and NaN")
