"""Sharpe ratios, and the probability that one is more than luck."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["deflated_sharpe", "expected_maximum_sharpe", "probabilistic_sharpe", "sharpe_confidence", "sharpe_ratio"]

FloatArray = NDArray[np.float64]

_EULER_MASCHERONI = 0.5772156649015329
_STILL = 1e-14
_NORMAL = NormalDist()


def sharpe_ratio(returns: FloatArray, periods_per_year: float = 1.0) -> float:
    """Return mean over standard deviation, annualised by the square root of time.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Per period, in excess of the risk-free rate. NaN periods are left out.
    periods_per_year : float, default=1.0
        1 gives the ratio per period.

    Returns
    -------
    float
        The standard deviation has ``n - 1`` in its denominator. NaN for fewer than two periods or returns that
        do not vary.

    Examples
    --------
    >>> round(sharpe_ratio(np.array([0.01, -0.005, 0.02, 0.0]), periods_per_year=252), 2)
    8.95
    """
    known = _known(returns)
    if known.size < 2:
        return math.nan
    mean, deviation = float(known.mean()), float(known.std(ddof=1))
    if deviation <= _STILL * abs(mean) or deviation == 0.0:
        return math.nan
    return mean / deviation * math.sqrt(periods_per_year)


def sharpe_confidence(
    sharpe: float, n_periods: int, skewness: float = 0.0, kurtosis: float = 3.0, benchmark: float = 0.0
) -> float:
    """Return the probability that the true Sharpe ratio is above `benchmark` [1]_.

    ``Phi((sharpe - benchmark) sqrt(n - 1) / sqrt(1 - skewness sharpe + (kurtosis - 1) / 4 sharpe**2))``

    Parameters
    ----------
    sharpe, benchmark : float
        Per period, not annualised.
    n_periods : int
    skewness, kurtosis : float
        Of the returns; a normal distribution has 0 and 3.

    Returns
    -------
    float
        NaN for fewer than two periods or where the variance of the estimate is not positive.

    References
    ----------
    .. [1] Bailey and López de Prado (2012), "The Sharpe ratio efficient frontier".
    """
    variance = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    if n_periods < 2 or not variance > 0.0:
        return math.nan
    return _NORMAL.cdf((sharpe - benchmark) * math.sqrt(n_periods - 1) / math.sqrt(variance))


def probabilistic_sharpe(returns: FloatArray, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio of these returns is above `benchmark`.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        NaN periods are left out.
    benchmark : float, default=0.0
        Per period, not annualised.

    Returns
    -------
    float
        `sharpe_confidence` with the sample's moments; NaN where the Sharpe ratio is.
    """
    known = _known(returns)
    sharpe = sharpe_ratio(known)
    if math.isnan(sharpe):
        return math.nan
    z = (known - known.mean()) / known.std()
    return sharpe_confidence(sharpe, known.size, float((z**3).mean()), float((z**4).mean()), benchmark)


def expected_maximum_sharpe(n_trials: float, variance: float) -> float:
    """Return the Sharpe ratio that the best of `n_trials` worthless, independent trials is expected to show [1]_.

    Parameters
    ----------
    n_trials : float
        At least 1; may be an effective number. 1 gives 0.
    variance : float
        Of the trials' Sharpe ratios, in the squared unit of the result.

    References
    ----------
    .. [1] Bailey and López de Prado (2014), "The deflated Sharpe ratio", Journal of Portfolio Management 40(5).

    Examples
    --------
    >>> round(expected_maximum_sharpe(100, 1 / 2 / 250), 4)
    0.1132
    """
    if not n_trials >= 1:
        raise DataError(f"n_trials={n_trials} is not allowed; it must be at least 1")
    if not variance >= 0:
        raise DataError(f"variance={variance} is not allowed; it must not be negative")
    if n_trials == 1:
        return 0.0
    upper = _NORMAL.inv_cdf(1.0 - 1.0 / n_trials)
    rarer = _NORMAL.inv_cdf(1.0 - 1.0 / (n_trials * math.e))
    # For few, fractional trials the formula turns negative; the best of them is still not below the mean, 0.
    return max(0.0, math.sqrt(variance) * ((1.0 - _EULER_MASCHERONI) * upper + _EULER_MASCHERONI * rarer))


def deflated_sharpe(returns: FloatArray, n_trials: float, *, trials_variance: float | None = None) -> float:
    """Return the probability that the true Sharpe ratio beats what luck gives the best of `n_trials`.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Of the strategy that was chosen; NaN periods are left out.
    n_trials : float
        Strategies tried before this one was kept, itself included.
    trials_variance : float, optional
        Variance of the per-period Sharpe ratios of the trials. None takes ``1 / (n_periods - 1)``, their
        sampling variance if all were worthless and normal: the least that trials can differ by, so give the
        real one if it is known.

    Returns
    -------
    float
        `probabilistic_sharpe` against `expected_maximum_sharpe`; with one trial, against 0. NaN where the
        Sharpe ratio is.
    """
    known = _known(returns)
    if known.size < 2:
        return math.nan
    variance = 1.0 / (known.size - 1) if trials_variance is None else trials_variance
    return probabilistic_sharpe(known, expected_maximum_sharpe(n_trials, variance))


def _known(returns: FloatArray) -> FloatArray:
    values = np.asarray(returns, dtype=np.float64)
    known: FloatArray = values[np.isfinite(values)]
    return known
