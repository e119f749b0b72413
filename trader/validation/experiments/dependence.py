"""Tests of a mean whose observations depend on one another: HAC and the stationary bootstrap."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from trader.core.errors import DataError
from trader.validation.bootstrap import bootstrap_interval, optimal_block_length, resampled_counts
from trader.validation.experiments.results import (
    Alternative,
    FloatArray,
    Inference,
    check_alpha,
    finite_series,
    location_inference,
)

__all__ = ["bartlett_lag", "bootstrap_test", "hac_test", "long_run_variance", "variance_inflation"]

_ROUNDING = 1e-28


def long_run_variance(values: ArrayLike, lag: int | None = None) -> float:
    """Return the Newey-West estimate of ``n Var(mean)``: the sum of autocovariances with Bartlett weights [1]_.

    Parameters
    ----------
    values : array_like of shape (n,)
        In order of time; no NaN.
    lag : int, optional
        Last lag with a positive weight, at least 0; None takes `bartlett_lag`.

    Returns
    -------
    float
        In squared units of the data; NaN for fewer than two values. Never negative.

    Notes
    -----
    Assumptions: stationary, autocorrelations that can be summed. Under autocorrelation: consistent, but too small in
    short series; at AR(0.6) with n = 500 18 % (mean of 2,000 runs with t3 innovations, seed 11).

    References
    ----------
    .. [1] Newey and West (1987), "A simple, positive semi-definite, heteroskedasticity and autocorrelation
       consistent covariance matrix", Econometrica 55(3).
    """
    series = finite_series("values", values)
    n = series.size
    if n < 2:
        return math.nan
    last = bartlett_lag(series) if lag is None else lag
    if not 0 <= last < n:
        raise DataError(f"lag={last} is not allowed; it must lie between 0 and {n - 1}")
    covariance = _autocovariances(series, last)
    weights = 1.0 - np.arange(1, last + 1) / (last + 1.0)
    return max(0.0, float(covariance[0] + 2.0 * weights @ covariance[1:]))


def bartlett_lag(values: ArrayLike) -> int:
    """Return the lag that Andrews' rule chooses for the Bartlett kernel, from a first-order autoregression [1]_.

    Parameters
    ----------
    values : array_like of shape (n,)
        In order of time; no NaN.

    Returns
    -------
    int
        Between 0 and ``n - 1``; 0 for fewer than three values or a constant.

    References
    ----------
    .. [1] Andrews (1991), "Heteroskedasticity and autocorrelation consistent covariance matrix estimation",
       Econometrica 59(3), equations 6.2 and 6.4.

    Examples
    --------
    >>> bartlett_lag([1.0, 1.0, 1.0, -1.0, -1.0, -1.0] * 10)
    3
    """
    series = finite_series("values", values)
    n = series.size
    if n < 3:
        return 0
    deviations = series - series.mean()
    squares = float(deviations @ deviations)
    if _still(deviations, series):
        return 0
    # Andrews and Monahan's bound: an estimated unit root would ask for every lag there is.
    correlation = min(max(float(deviations[1:] @ deviations[:-1]) / squares, -0.97), 0.97)
    curvature = 4.0 * correlation**2 / (1.0 - correlation**2) ** 2
    # The rule gives a bandwidth, whose weights reach zero at the bandwidth itself.
    bandwidth: float = 1.1447 * (curvature * n) ** (1.0 / 3.0)
    return min(max(math.ceil(bandwidth) - 1, 0), n - 1)


def variance_inflation(values: ArrayLike, lag: int | None = None) -> float:
    """Return long-run variance over variance: how many dependent observations are worth one independent.

    Parameters
    ----------
    values, lag
        As in `long_run_variance`.

    Returns
    -------
    float
        1 for independent observations, ``(1 + phi) / (1 - phi)`` for AR(phi); NaN for fewer than two values or
        a constant.

    Notes
    -----
    Estimate it from a pilot and pass it to `sample_size`, `cliffs_delta` and the Bayesian comparison.
    """
    series = finite_series("values", values)
    if series.size < 2 or _still(series - series.mean(), series):
        return math.nan
    return long_run_variance(series, lag) / float(series.var())


def hac_test(
    differences: ArrayLike,
    *,
    null: float = 0.0,
    kernel: Literal["cosine", "bartlett"] = "cosine",
    alpha: float = 0.05,
    alternative: Alternative = "two-sided",
) -> Inference:
    """Test the mean of dependent differences once, at a size fixed in advance.

    Parameters
    ----------
    differences : array_like of shape (n,)
        Challenger minus champion per period, in order of time; no NaN.
    null : float, default=0.0
    kernel : {"cosine", "bartlett"}, default="cosine"
        ``cosine`` averages the first ``0.41 n**(2/3)`` squared cosine transforms and refers to a t distribution
        with as many degrees of freedom [1]_; ``bartlett`` is `long_run_variance` with a normal reference.
    alpha, alternative
        As in `location_inference`.

    Returns
    -------
    Inference
        NaN interval and p-value for fewer than eight values or values that do not vary.

    Notes
    -----
    Assumptions: stationary, short memory, finite variance. Under autocorrelation, level .05 (2,000 runs of n = 500, t3
    innovations, seed 11): ``cosine`` rejects equal arms in .048, .050 and .112 of runs at AR(0), AR(.6) and AR(.9);
    ``bartlett`` in .041, .077 and .123.

    References
    ----------
    .. [1] Lazarus, Lewis, Stock and Watson (2018), "HAR inference: recommendations for practice", Journal of
       Business and Economic Statistics 36(4).
    """
    if kernel not in ("cosine", "bartlett"):
        raise DataError(f"kernel={kernel!r} is not allowed; it must be cosine or bartlett")
    series = finite_series("differences", differences)
    n = series.size
    mean = float(series.mean()) if n else math.nan
    degrees, error = math.inf, math.nan
    if n >= 8 and not _still(series - mean, series):
        if kernel == "cosine":
            n_terms = max(int(0.41 * n ** (2.0 / 3.0)), 1)
            # scipy's transform is twice the sum; the cosines have the squared norm n / 2.
            terms = scipy.fft.dct(series, type=2)[1 : n_terms + 1]
            degrees, error = float(n_terms), math.sqrt(float(terms @ terms) / (2.0 * n_terms)) / n
        else:
            error = math.sqrt(long_run_variance(series) / n)
    return location_inference(mean, error, degrees, n, null=null, alpha=alpha, alternative=alternative)


def bootstrap_test(
    differences: ArrayLike,
    *,
    null: float = 0.0,
    alpha: float = 0.05,
    n_resamples: int = 2000,
    seed: int = 0,
    block_length: float | None = None,
) -> Inference:
    """Test the mean of dependent differences by the stationary bootstrap.

    Parameters
    ----------
    differences : array_like of shape (n,)
        In order of time; no NaN.
    null : float, default=0.0
    alpha : float, default=0.05
    n_resamples, seed, block_length
        As in `bootstrap_interval`.

    Returns
    -------
    Inference
        Two-sided; the statistic is the estimate less `null`, the p-value the share of resampled means at least
        as far from the estimate, counting the estimate itself. NaN for fewer than eight values.

    Notes
    -----
    Assumptions: stationary, short memory. Memory is ``256 n`` floats; for more than 100,000 periods use `hac_test`.
    Under autocorrelation, level .05 (500 runs of n = 500, t3 innovations, seed 11): rejects equal arms in .050, .092
    and .136 of runs at AR(0), AR(.6) and AR(.9).

    References
    ----------
    Politis and Romano (1994), "The stationary bootstrap", JASA 89.
    """
    check_alpha(alpha)
    series = finite_series("differences", differences)
    n = series.size
    if n < 8:
        mean = float(series.mean()) if n else math.nan
        return Inference(mean, math.nan, math.nan, math.nan, math.nan, math.inf, n)
    length = optimal_block_length(series) if block_length is None else block_length
    low, high = bootstrap_interval(_mean, series, 1.0 - alpha, n_resamples, seed, length)
    deviations = series - series.mean()
    parts = resampled_counts(n, length, n_resamples, seed)
    resampled = np.concatenate([np.abs(counts @ deviations) for counts in parts]) / n
    statistic = float(series.mean()) - null
    p_value = (1 + int(np.count_nonzero(resampled >= abs(statistic)))) / (n_resamples + 1)
    return Inference(float(series.mean()), low, high, statistic, p_value, math.inf, n)


def _mean(sample: FloatArray) -> float:
    return float(sample.mean())


def _still(deviations: FloatArray, series: FloatArray) -> bool:
    """Whether the values vary by no more than rounding."""
    return float(deviations @ deviations) <= _ROUNDING * series.size * float(np.max(np.abs(series))) ** 2


def _autocovariances(series: FloatArray, n_lags: int) -> FloatArray:
    """Return the autocovariances at lags 0 to `n_lags`, each over n."""
    n = series.size
    size = scipy.fft.next_fast_len(n + n_lags, real=True)
    spectrum = scipy.fft.rfft(series - series.mean(), size)
    covariance: FloatArray = scipy.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[: n_lags + 1] / n
    return covariance
