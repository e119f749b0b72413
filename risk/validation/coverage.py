"""Value at risk against what came: exceeded as often as it says, and not in clusters."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from risk.results import check_level
from trader.core.errors import DataError

__all__ = ["CoverageTest", "conditional_coverage", "exceedances", "independence", "kupiec"]


@dataclasses.dataclass(frozen=True, slots=True)
class CoverageTest:
    """A likelihood-ratio test.

    Parameters
    ----------
    name : str
    statistic : float
    p_value : float
        Chance of a statistic at least as large if the value at risk is right; NaN where the test says nothing.
    degrees : int
        Of freedom of the chi-squared distribution it is compared with.
    """

    name: str
    statistic: float
    p_value: float
    degrees: int


def exceedances(returns: ArrayLike, var: ArrayLike) -> NDArray[np.bool_]:
    """Return the periods whose loss was beyond the value at risk, shape (n_periods,).

    Raises
    ------
    DataError
        If shapes differ or a number is not finite.
    """
    found, limit = np.asarray(returns, np.float64), np.asarray(var, np.float64)
    if found.ndim != 1 or found.shape != limit.shape:
        raise DataError(f"var has shape {limit.shape}; that of returns, {found.shape}, is needed")
    if not (np.isfinite(found).all() and np.isfinite(limit).all()):
        raise DataError("returns or var hold NaN or infinities; leave those periods out")
    return -found > limit


def kupiec(n_exceedances: int, n_periods: int, level: float = 0.99) -> CoverageTest:
    """Test the share of exceedances: Kupiec's proportion of failures [1]_.

    Parameters
    ----------
    n_exceedances, n_periods : int
    level : float, default=0.99
        Of the value at risk.

    Raises
    ------
    DataError
        If there is no period or more exceedances than periods.

    References
    ----------
    .. [1] Kupiec (1995), "Techniques for verifying the accuracy of risk measurement models".

    Examples
    --------
    >>> round(kupiec(20, 252, 0.95).statistic, 2)  # Jorion (2006), chapter 6
    3.91
    """
    if not 0 <= n_exceedances <= n_periods or n_periods < 1:
        raise DataError(f"n_exceedances={n_exceedances} of n_periods={n_periods} is not allowed; 0 to n_periods are")
    rate = 1.0 - check_level(level)
    share = n_exceedances / n_periods
    n_kept = n_periods - n_exceedances
    statistic = -2.0 * (_log_likelihood(n_kept, n_exceedances, rate) - _log_likelihood(n_kept, n_exceedances, share))
    return _test("kupiec", statistic, 1)


def independence(exceeded: ArrayLike) -> CoverageTest:
    """Test whether an exceedance makes another the period after more or less likely [1]_.

    Parameters
    ----------
    exceeded : array-like of bool, shape (n_periods,)

    Returns
    -------
    CoverageTest
        With no exceedance, or in nothing else, there is nothing to compare: p-value NaN.

    Raises
    ------
    DataError
        If there are fewer than two periods.

    References
    ----------
    .. [1] Christoffersen (1998), "Evaluating interval forecasts".
    """
    n00, n01, n10, n11 = _transitions(exceeded)
    if n01 + n11 == 0 or n00 + n10 == 0:
        return CoverageTest("independence", math.nan, math.nan, 1)
    share = (n01 + n11) / (n00 + n01 + n10 + n11)
    after_calm = n01 / (n00 + n01) if n00 + n01 else 0.0
    after_hit = n11 / (n10 + n11) if n10 + n11 else 0.0
    free = _log_likelihood(n00, n01, after_calm) + _log_likelihood(n10, n11, after_hit)
    return _test("independence", -2.0 * (_log_likelihood(n00 + n10, n01 + n11, share) - free), 1)


def conditional_coverage(exceeded: ArrayLike, level: float = 0.99) -> CoverageTest:
    """Test share and independence together [1]_: the sum of both statistics, two degrees of freedom.

    The share is taken over all periods, as `kupiec` does. Without any exceedance only the share speaks: NaN.

    References
    ----------
    .. [1] Christoffersen (1998), "Evaluating interval forecasts".
    """
    hits = np.asarray(exceeded, bool)
    statistic = kupiec(int(hits.sum()), hits.size, level).statistic + independence(hits).statistic
    return _test("conditional coverage", statistic, 2)


def _transitions(exceeded: ArrayLike) -> tuple[int, int, int, int]:
    hits = np.asarray(exceeded, bool)
    if hits.ndim != 1 or hits.size < 2:
        raise DataError(f"exceeded has shape {hits.shape}; (2 or more periods,) is needed")
    pairs = np.bincount(2 * hits[:-1] + hits[1:], minlength=4).tolist()
    return pairs[0], pairs[1], pairs[2], pairs[3]


def _log_likelihood(n_kept: int, n_hit: int, rate: float) -> float:
    """Return ``n_kept log(1 − rate) + n_hit log(rate)``, with 0 log 0 = 0."""
    return float(special.xlog1py(n_kept, -rate) + special.xlogy(n_hit, rate))


def _test(name: str, statistic: float, degrees: int) -> CoverageTest:
    if math.isnan(statistic):
        return CoverageTest(name, math.nan, math.nan, degrees)
    bounded = max(statistic, 0.0)  # rounding may leave −1e-16
    return CoverageTest(name, bounded, float(special.chdtrc(degrees, bounded)), degrees)
