"""What a test of two variants answers, and the checks that all of them share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from trader.core.errors import DataError

__all__ = [
    "Alternative",
    "FloatArray",
    "Inference",
    "block_means",
    "check_alpha",
    "check_positive",
    "finite_series",
    "location_inference",
]

FloatArray = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True, slots=True)
class Inference:
    """An estimate with its interval and the test of its null value.

    Attributes
    ----------
    estimate : float
        Challenger minus champion in the unit of the data, or the effect size.
    low, high : float
        Interval of level ``1 - alpha``; one side is infinite for a one-sided alternative.
    statistic : float
        The test statistic.
    p_value : float
        NaN where the data leave the test undefined, which no verdict takes for a pass.
    degrees : float
        Degrees of freedom of the reference distribution; infinity for the normal one.
    n : int
        Observations used, of all arms together.
    """

    estimate: float
    low: float
    high: float
    statistic: float
    p_value: float
    degrees: float
    n: int


def finite_series(name: str, values: ArrayLike) -> FloatArray:
    """Return `values` as a one-dimensional array of floats.

    Raises
    ------
    DataError
        If it has another number of dimensions or holds NaN or infinity. Leaving values out would break the
        pairing of periods, so what to do about gaps is the caller's decision.

    Examples
    --------
    >>> finite_series("pnl", [1, 2]).tolist()
    [1.0, 2.0]
    """
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1:
        raise DataError(f"{name} has {series.ndim} dimensions; it must have 1")
    n_bad = series.size - int(np.count_nonzero(np.isfinite(series)))
    if n_bad:
        raise DataError(f"{name} holds {n_bad} values that are not finite; fill or drop those periods first")
    return series


def check_alpha(alpha: float, name: str = "alpha") -> None:
    """Refuse a level outside the open interval from 0 to 1."""
    if not 0.0 < alpha < 1.0:
        raise DataError(f"{name}={alpha} is not allowed; it must lie between 0 and 1")


def check_positive(value: float, name: str) -> None:
    """Refuse a number that is not above zero and finite."""
    if not 0.0 < value < math.inf:
        raise DataError(f"{name}={value} is not allowed; it must be positive")


def block_means(values: ArrayLike, block_length: int) -> FloatArray:
    """Return the means of consecutive blocks: nearly independent and nearly normal, so any test may follow.

    Parameters
    ----------
    values : array_like of shape (n,)
        In order of time; no NaN.
    block_length : int
        At least 1, in observations: several times the lag at which the autocorrelation dies out.

    Returns
    -------
    ndarray of shape (n // block_length,)
        An incomplete last block is left out.

    Notes
    -----
    Under autocorrelation: AR(0.6) has autocorrelation 0.05 between neighbouring means of 20 (0.6 before), and
    their variance understates the long-run variance by 9 %.

    Examples
    --------
    >>> block_means([1.0, 3.0, 5.0, 7.0, 100.0], 2).tolist()
    [2.0, 6.0]
    """
    if block_length < 1:
        raise DataError(f"block_length={block_length} is not allowed; it must be at least 1")
    series = finite_series("values", values)
    n_blocks = series.size // block_length
    means: FloatArray = series[: n_blocks * block_length].reshape(n_blocks, block_length).mean(axis=1)
    return means


def location_inference(
    estimate: float,
    standard_error: float,
    degrees: float,
    n: int,
    *,
    null: float = 0.0,
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> Inference:
    """Return the t test and interval of an estimate with a known standard error.

    Parameters
    ----------
    estimate, standard_error : float
        Same unit.
    degrees : float
        Of the t distribution; infinity gives the normal one.
    n : int
    null : float, default=0.0
    alpha : float, default=0.05
        Two-sided error rate, or that of the one side asked for.
    alternative : {"two-sided", "greater", "less"}

    Returns
    -------
    Inference
        Interval, statistic and p-value are NaN unless the standard error is positive.
    """
    check_alpha(alpha)
    if alternative not in ("two-sided", "greater", "less"):
        raise DataError(f"alternative={alternative!r} is not allowed; it must be two-sided, greater or less")
    if not standard_error > 0.0:
        return Inference(estimate, math.nan, math.nan, math.nan, math.nan, degrees, n)
    statistic = (estimate - null) / standard_error
    tail = alpha / 2.0 if alternative == "two-sided" else alpha
    radius = -_quantile(tail, degrees) * standard_error
    low = -math.inf if alternative == "less" else estimate - radius
    high = math.inf if alternative == "greater" else estimate + radius
    if alternative == "two-sided":
        p_value = 2.0 * _below(-abs(statistic), degrees)
    else:
        p_value = _below(-statistic if alternative == "greater" else statistic, degrees)
    return Inference(estimate, low, high, statistic, p_value, degrees, n)


def _quantile(probability: float, degrees: float) -> float:
    return float(
        scipy.special.ndtri(probability) if math.isinf(degrees) else scipy.special.stdtrit(degrees, probability)
    )


def _below(statistic: float, degrees: float) -> float:
    return float(scipy.special.ndtr(statistic) if math.isinf(degrees) else scipy.special.stdtr(degrees, statistic))
