"""Information coefficients: how well scores order the returns that followed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["ICSummary", "hit_rate", "ic_by_month", "ic_summary", "information_coefficient", "newey_west_error"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class ICSummary:
    """The mean information coefficient and how sure it is.

    Parameters
    ----------
    mean, std : float
        Over instants.
    error : float
        Newey-West standard error of the mean.
    low, high : float
        Normal interval of the mean at `level`, from `error`.
    level : float
    t_stat : float
        `mean / error`.
    positive : float
        Share of instants with an IC above 0.
    n_instants : int
        With a known IC.
    """

    mean: float
    std: float
    error: float
    low: float
    high: float
    level: float
    t_stat: float
    positive: float
    n_instants: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, ready for JSON."""
        return dataclasses.asdict(self)


def information_coefficient(
    scores: FloatArray,
    returns: FloatArray,
    method: Literal["rank", "pearson"] = "rank",
    min_symbols: int = 5,
) -> FloatArray:
    """Return the correlation over symbols of scores and later returns, instant by instant.

    Parameters
    ----------
    scores, returns : ndarray of shape (n_slices, n_symbols)
        A symbol counts where both are known.
    method : {"rank", "pearson"}
        `rank` is Spearman's, ties by their average rank.
    min_symbols : int, default=5

    Returns
    -------
    ndarray of shape (n_slices,)
        NaN with fewer than `min_symbols` symbols, or where either side does not vary.

    Examples
    --------
    >>> information_coefficient(np.array([[1.0, 2.0, 9.0]]), np.array([[0.1, 0.2, 0.3]]), min_symbols=3).tolist()
    [1.0]
    """
    if scores.shape != returns.shape or scores.ndim != 2:
        raise DataError(
            f"scores have shape {scores.shape}, returns {returns.shape}; both must be (n_slices, n_symbols)"
        )
    if method not in ("rank", "pearson"):
        raise DataError(f"method={method!r} is not allowed; rank and pearson are")
    known = np.isfinite(scores) & np.isfinite(returns)
    counts = known.sum(axis=1)
    left, right = (np.where(known, side, np.nan) for side in (scores, returns))
    if method == "rank":
        left, right = _ranks(left), _ranks(right)
    left, right = _centred(left, known, counts), _centred(right, known, counts)
    product = (left * right).sum(axis=1)
    norm = np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
    usable = (counts >= max(min_symbols, 2)) & (norm > 0.0)
    correlation = np.divide(product, norm, out=np.full(counts.size, np.nan), where=usable)
    clipped: FloatArray = np.clip(correlation, -1.0, 1.0)  # rounding may leave the bounds by an ulp
    return clipped


def ic_summary(ic: FloatArray, *, lags: int | None = None, level: float = 0.95) -> ICSummary:
    """Return the mean of a series of information coefficients with its interval.

    Parameters
    ----------
    ic : ndarray of shape (n_slices,)
        NaN instants are left out.
    lags : int, optional
        Autocorrelation that is allowed for: labels of `h` bars overlap for `h - 1`. None takes the rule of
        thumb ``4 (n / 100)^(2/9)``.
    level : float, default=0.95

    Returns
    -------
    ICSummary
        NaN where fewer than two instants are known.
    """
    if not 0 < level < 1:
        raise DataError(f"level={level} is not allowed; it must lie between 0 and 1")
    known = ic[np.isfinite(ic)]
    if known.size < 2:
        mean = float(known.mean()) if known.size else math.nan
        positive = float((known > 0).mean()) if known.size else math.nan
        return ICSummary(mean, math.nan, math.nan, math.nan, math.nan, level, math.nan, positive, known.size)
    mean = float(known.mean())
    error = newey_west_error(known, lags)
    reach = NormalDist().inv_cdf((1.0 + level) / 2.0) * error
    return ICSummary(
        mean=mean,
        std=float(known.std(ddof=1)),
        error=error,
        low=mean - reach,
        high=mean + reach,
        level=level,
        t_stat=mean / error if error > 0.0 else math.nan,
        positive=float((known > 0).mean()),
        n_instants=int(known.size),
    )


def newey_west_error(series: FloatArray, lags: int | None = None) -> float:
    """Return the standard error of the mean of a dependent series [1]_, with Bartlett weights.

    Parameters
    ----------
    series : ndarray of shape (n,)
        No NaN.
    lags : int, optional
        None takes ``4 (n / 100)^(2/9)``; never more than ``n - 1``.

    References
    ----------
    .. [1] Newey and West (1987), "A simple, positive semi-definite, heteroskedasticity and autocorrelation
       consistent covariance matrix", Econometrica 55.
    """
    n = series.size
    if n < 2:
        return math.nan
    depth = int(4.0 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    deviations = series - series.mean()
    variance = float(deviations @ deviations)
    for lag in range(1, min(depth, n - 1) + 1):
        variance += 2.0 * (1.0 - lag / (depth + 1.0)) * float(deviations[lag:] @ deviations[:-lag])
    return math.sqrt(max(variance, 0.0)) / n


def ic_by_month(ic: FloatArray, ts_ns: IntArray) -> Mapping[str, float]:
    """Return the mean information coefficient of each calendar month (UTC) that has one, as `2016-01`.

    Parameters
    ----------
    ic : ndarray of shape (n_slices,)
        NaN instants are left out.
    ts_ns : ndarray of shape (n_slices,)
        Increasing.
    """
    known = np.isfinite(ic)
    months = np.asarray(ts_ns)[known].astype("datetime64[ns]").astype("datetime64[M]")
    names, row, counts = np.unique(months, return_inverse=True, return_counts=True)
    means = np.bincount(row, weights=ic[known], minlength=names.size) / counts
    return {str(name): float(mean) for name, mean in zip(names, means, strict=True)}


def hit_rate(scores: FloatArray, returns: FloatArray) -> float:
    """Return the share of scores with the sign of the return that followed.

    Parameters
    ----------
    scores, returns : ndarray of the same shape
        A pair counts where both are known and neither is 0.

    Returns
    -------
    float
        NaN where no pair counts.

    Examples
    --------
    >>> hit_rate(np.array([1.0, -2.0, 0.5]), np.array([0.1, 0.1, np.nan]))
    0.5
    """
    with np.errstate(invalid="ignore"):
        agreement = np.sign(scores) * np.sign(returns)
    counted = agreement[np.isfinite(agreement) & (agreement != 0)]
    return float((counted > 0).mean()) if counted.size else math.nan


def _ranks(values: FloatArray) -> FloatArray:
    """Return ranks from 0 along the last axis, ties by their average; NaN ranks last."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    n = values.shape[1]
    position = np.broadcast_to(np.arange(n), values.shape)
    changes = ordered[:, 1:] != ordered[:, :-1]
    edge = np.ones((values.shape[0], 1), dtype=bool)
    first = np.maximum.accumulate(np.where(np.hstack([edge, changes]), position, 0), axis=1)
    last = np.where(np.hstack([changes, edge]), position, n)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2.0, axis=1)
    return ranks


def _centred(values: FloatArray, known: NDArray[np.bool_], counts: NDArray[np.integer[Any]]) -> FloatArray:
    """Return deviations from the mean of the known values of each row; 0 elsewhere and in rows that do not vary."""
    filled = np.where(known, values, 0.0)
    means = filled.sum(axis=1, keepdims=True) / np.maximum(counts, 1)[:, None]
    deviations = np.where(known, filled - means, 0.0)
    largest = np.abs(filled).max(axis=1, keepdims=True, initial=0.0)
    still = np.abs(deviations).max(axis=1, keepdims=True, initial=0.0) <= 1e-14 * largest
    return np.where(still, 0.0, deviations)
