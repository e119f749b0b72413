"""Effect sizes with intervals: how large a difference is, beside whether there is one."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike

from trader.core.errors import DataError
from trader.validation.experiments.results import FloatArray, Inference, check_alpha, finite_series

__all__ = ["cliffs_delta", "cohens_d"]

_LARGE = 2000


def cohens_d(challenger: ArrayLike, champion: ArrayLike, *, alpha: float = 0.05, corrected: bool = True) -> Inference:
    """Return the difference of means in pooled standard deviations, by default with Hedges' correction [1]_.

    Parameters
    ----------
    challenger : array_like of shape (n_challenger,)
        No NaN.
    champion : array_like of shape (n_champion,)
        No NaN.
    alpha : float, default=0.05
    corrected : bool, default=True
        Multiply estimate and interval by Hedges' factor, which removes the bias of small samples.

    Returns
    -------
    Inference
        The interval inverts the noncentral t distribution up to 2,000 observations and is normal beyond; the
        test is Student's with equal variances. NaN where an arm has fewer than two values or nothing varies.

    Notes
    -----
    Assumptions: independent, normal observations of equal variance for the exact interval. Under autocorrelation: the
    estimate is consistent, the interval too narrow; at AR(0), AR(.6) and AR(.9) it leaves out a true 0 in .046, .312
    and .658 of 1,000 runs (n = 500 an arm, t3, seed 11). A d of `block_means` is that of another quantity: their
    standard deviation is smaller.

    References
    ----------
    .. [1] Hedges and Olkin (1985), "Statistical methods for meta-analysis", chapter 5.

    Examples
    --------
    >>> round(cohens_d([3.0, 4.0, 5.0], [1.0, 2.0, 3.0], corrected=False).estimate, 6)
    2.0
    """
    check_alpha(alpha)
    a, b = finite_series("challenger", challenger), finite_series("champion", champion)
    n, degrees = a.size + b.size, a.size + b.size - 2
    pooled = 0.0
    if min(a.size, b.size) >= 2:
        pooled = math.sqrt((float(a.var()) * a.size + float(b.var()) * b.size) / degrees)
    if pooled == 0.0:
        return Inference(math.nan, math.nan, math.nan, math.nan, math.nan, float(degrees), n)
    scale = math.sqrt(1.0 / a.size + 1.0 / b.size)
    d = float(a.mean() - b.mean()) / pooled
    statistic = d / scale
    if n <= _LARGE:
        low, high = scale * scipy.special.nctdtrinc(degrees, np.array([1.0 - alpha / 2.0, alpha / 2.0]), statistic)
    else:
        radius = float(scipy.special.ndtri(1.0 - alpha / 2.0)) * math.sqrt(scale**2 + d**2 / (2.0 * n))
        low, high = d - radius, d + radius
    factor = 1.0
    if corrected:
        log_factor = scipy.special.gammaln(degrees / 2.0) - scipy.special.gammaln((degrees - 1.0) / 2.0)
        factor = math.exp(float(log_factor)) / math.sqrt(degrees / 2.0)
    p_value = 2.0 * float(scipy.special.stdtr(degrees, -abs(statistic)))
    return Inference(factor * d, factor * float(low), factor * float(high), statistic, p_value, float(degrees), n)


def cliffs_delta(
    challenger: ArrayLike, champion: ArrayLike, *, alpha: float = 0.05, inflation: float = 1.0
) -> Inference:
    """Return ``P(challenger > champion) - P(challenger < champion)`` with its asymmetric interval [1]_.

    Parameters
    ----------
    challenger : array_like of shape (n_challenger,)
        No NaN.
    champion : array_like of shape (n_champion,)
        No NaN.
    alpha : float, default=0.05
    inflation : float, default=1.0
        At least 1: factor on the variance for dependent observations, as from `variance_inflation`.

    Returns
    -------
    Inference
        Between -1 and 1, in O(n log n) time; statistic and p-value refer to the normal distribution. NaN where
        an arm has fewer than two values.

    Notes
    -----
    Assumptions: independent observations, of any distributions, which may differ in spread. Under autocorrelation: at
    AR(0), AR(.6) and AR(.9) equal arms are rejected in .051, .340 and .647 of runs, with the estimated `inflation` in
    .048, .068 and .088 (2,000 runs of n = 500, t3 innovations, seed 11).

    References
    ----------
    .. [1] Cliff (1993), "Dominance statistics", Psychological Bulletin 114; Feng and Cliff (2004), "Monte Carlo
       evaluation of ordinal d with improved confidence interval", J. Modern Applied Statistical Methods 3(2).

    Examples
    --------
    >>> round(cliffs_delta([2.0, 3.0, 4.0], [1.0, 2.0, 3.0]).estimate, 4)
    0.5556
    """
    check_alpha(alpha)
    if not 1.0 <= inflation < math.inf:
        raise DataError(f"inflation={inflation} is not allowed; it must be at least 1")
    a, b = finite_series("challenger", challenger), finite_series("champion", champion)
    n = a.size + b.size
    if min(a.size, b.size) < 2:
        return Inference(math.nan, math.nan, math.nan, math.nan, math.nan, math.inf, n)
    rows, ties = _dominance(a, b)
    columns = -_dominance(b, a)[0]
    d = float(rows.mean())
    m, k = float(a.size), float(b.size)
    cells = m * k - ties - m * k * d**2
    between = k**2 * float(((rows - d) ** 2).sum()) + m**2 * float(((columns - d) ** 2).sum())
    floor = (1.0 - d**2) / (m * k - 1.0)
    # The unbiased variance can fall below what a binary outcome must have; Cliff's floor replaces it then.
    variance = inflation * max((between - cells) / (m * k * (m - 1.0) * (k - 1.0)), floor)
    z = float(scipy.special.ndtri(1.0 - alpha / 2.0))
    if variance == 0.0:
        low, high = _separated_interval(d, min(a.size, b.size) / inflation, z)
        return Inference(d, low, high, math.copysign(math.inf, d), 0.0, math.inf, n)
    spread = z * math.sqrt(variance * ((1.0 - d**2) ** 2 + z**2 * variance))
    scale = 1.0 - d**2 + z**2 * variance
    low, high = max((d - d**3 - spread) / scale, -1.0), min((d - d**3 + spread) / scale, 1.0)
    statistic = d / math.sqrt(variance)
    return Inference(d, low, high, statistic, 2.0 * float(scipy.special.ndtr(-abs(statistic))), math.inf, n)


def _dominance(a: FloatArray, b: FloatArray) -> tuple[FloatArray, float]:
    """Return for each value of `a` the share of `b` below it less that above it, and the number of ties."""
    ordered = np.sort(b)
    below, not_above = np.searchsorted(ordered, a, "left"), np.searchsorted(ordered, a, "right")
    shares: FloatArray = (below + not_above - b.size) / b.size
    return shares, float((not_above - below).sum())


def _separated_interval(d: float, n_smaller: float, z: float) -> tuple[float, float]:
    """Return Feng and Cliff's interval for arms that do not overlap, where the variance vanishes."""
    bound = (n_smaller - z**2) / (n_smaller + z**2)
    return (bound, 1.0) if d > 0.0 else (-1.0, -bound)
