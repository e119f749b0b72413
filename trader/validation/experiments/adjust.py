"""CUPED, which removes known variance, and corrections for testing many things at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from trader.core.errors import DataError
from trader.validation.experiments.results import FloatArray, finite_series

__all__ = ["Cuped", "adjust_p_values", "cuped"]


@dataclass(frozen=True, slots=True)
class Cuped:
    """Metrics with the part that a covariate predicts taken out.

    Attributes
    ----------
    adjusted : tuple of ndarray of shape (n_arm,)
        One an arm, in the unit of the metric.
    coefficient : float
        Metric per unit of covariate; 0 where the covariate does not vary.
    variance_reduction : float
        Share of the variance within arms that is gone, between 0 and 1.
    """

    adjusted: tuple[FloatArray, ...]
    coefficient: float
    variance_reduction: float


def cuped(metrics: Sequence[ArrayLike], covariates: Sequence[ArrayLike], centre: float | None = None) -> Cuped:
    """Subtract from each arm what a covariate from before the experiment predicts [1]_.

    Parameters
    ----------
    metrics : sequence of array_like of shape (n_arm,)
        One an arm, or one series of paired differences; no NaN.
    covariates : sequence of array_like of shape (n_arm,)
        Of the same units or periods; no NaN.
    centre : float, optional
        Expected value of the covariate. Between arms it cancels and None takes the mean. A single series needs
        it: about its own mean, a covariate would take away the scatter and leave the error of the mean.

    Returns
    -------
    Cuped
        One coefficient, from the covariances within arms, and one centre serve all arms, so the difference of
        means stays an estimate of the effect.

    Notes
    -----
    Assumptions: the covariate cannot be affected by the variant: measured before, or the market's. Under
    autocorrelation: the adjustment stays unbiased and removes what dependence the covariate shares; what is
    left still depends, so test it with `hac_test` or a `SequentialComparison`.

    References
    ----------
    .. [1] Deng, Xu, Kohavi and Walker (2013), "Improving the sensitivity of online controlled experiments by
       utilizing pre-experiment data", WSDM.

    Examples
    --------
    >>> found = cuped([[3.0, 5.0, 7.0]], [[1.0, 2.0, 3.0]], centre=0.0)
    >>> found.coefficient, found.variance_reduction, found.adjusted[0].tolist()
    (2.0, 1.0, [1.0, 1.0, 1.0])
    """
    arms = [finite_series(f"metrics[{arm}]", values) for arm, values in enumerate(metrics)]
    before = [finite_series(f"covariates[{arm}]", values) for arm, values in enumerate(covariates)]
    if [arm.size for arm in arms] != [arm.size for arm in before] or not arms or min(arm.size for arm in arms) == 0:
        raise DataError(
            f"metrics of lengths {[arm.size for arm in arms]} and covariates of lengths "
            f"{[arm.size for arm in before]} are not allowed; each arm needs as many of both, at least 1"
        )
    if centre is None and len(arms) == 1:
        raise DataError("centre=None is not allowed for a single series; it must be the covariate's expected value")
    y = np.concatenate([arm - arm.mean() for arm in arms])
    x = np.concatenate([arm - arm.mean() for arm in before])
    middle = float(np.concatenate(before).mean()) if centre is None else centre
    shared, spread, total = float(x @ y), float(x @ x), float(y @ y)
    coefficient = shared / spread if spread > 0.0 else 0.0
    reduction = min(shared**2 / (spread * total), 1.0) if spread > 0.0 and total > 0.0 else 0.0
    adjusted = tuple(arm - coefficient * (known - middle) for arm, known in zip(arms, before, strict=True))
    return Cuped(adjusted, coefficient, reduction)


def adjust_p_values(
    p_values: ArrayLike, method: Literal["holm", "benjamini-hochberg", "benjamini-yekutieli"] = "holm"
) -> FloatArray:
    """Return p-values that can be compared with alpha although many were tested.

    Parameters
    ----------
    p_values : array_like of shape (n_tests,)
        Between 0 and 1. NaN stays NaN and still counts as a test.
    method : {"holm", "benjamini-hochberg", "benjamini-yekutieli"}
        ``holm`` bounds the chance of any false discovery under every dependence between tests [1]_; the others
        the expected share of false ones among the discoveries, under independence or positive dependence [2]_
        and under every dependence [3]_.

    Returns
    -------
    ndarray of shape (n_tests,)

    Notes
    -----
    Assumptions: each p-value alone is valid. Under autocorrelation: nothing is repaired that the single tests
    get wrong; 50 Kolmogorov-Smirnov tests on AR(0.5) flag as much after the correction as before.

    References
    ----------
    .. [1] Holm (1979), "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6.
    .. [2] Benjamini and Hochberg (1995), "Controlling the false discovery rate", JRSS B 57.
    .. [3] Benjamini and Yekutieli (2001), "The control of the false discovery rate in multiple testing under
       dependency", Annals of Statistics 29.

    Examples
    --------
    >>> adjust_p_values([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    found = np.asarray(p_values, dtype=np.float64)
    if found.ndim != 1 or bool(((found < 0.0) | (found > 1.0)).any()):
        raise DataError(f"p_values={found.tolist()} is not allowed; they must lie between 0 and 1, in one dimension")
    if method not in ("holm", "benjamini-hochberg", "benjamini-yekutieli"):
        raise DataError(f"method={method!r} is not allowed; it must be holm, benjamini-hochberg or benjamini-yekutieli")
    if found.size == 0:
        return found.copy()
    # An unknown p-value is the weakest evidence there is: it goes last and makes the others no smaller.
    filled = np.where(np.isnan(found), 1.0, found)
    adjusted: FloatArray
    if method == "holm":
        order = np.argsort(filled, kind="stable")
        adjusted = np.empty_like(filled)
        steps = np.maximum.accumulate((filled.size - np.arange(filled.size)) * filled[order])
        adjusted[order] = np.minimum(steps, 1.0)
    else:
        adjusted = scipy.stats.false_discovery_control(filled, method="bh" if method.endswith("hochberg") else "by")
    adjusted[np.isnan(found)] = math.nan
    return adjusted
