"""Expected shortfall against what came: the size of losses beyond the value at risk."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk.results import check_level
from risk.validation.coverage import exceedances
from trader.core.errors import DataError

__all__ = ["ShortfallTest", "acerbi_szekely"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class ShortfallTest:
    """The first two tests of Acerbi and Szekely; both statistics are 0 on average if the figures are right.

    Parameters
    ----------
    z1, z2 : float
        Below 0: losses are worse than stated. `z1` looks at the size of exceedances alone and is NaN without any; `z2`
        at size and number.
    p1, p2 : float
        Chance of a statistic at least as low if VaR and ES are right; NaN where the statistic is.
    n_simulations : int
        Histories the chances are counted in.
    """

    z1: float
    z2: float
    p1: float
    p2: float
    n_simulations: int


def acerbi_szekely(
    returns: ArrayLike,
    var: ArrayLike,
    es: ArrayLike,
    level: float = 0.99,
    *,
    n_simulations: int = 2000,
    tail_shape: float = 0.2,
    seed: int = 0,
) -> ShortfallTest:
    """Test expected shortfalls [1]_.

    ``Z1 = 1 − mean(L / ES over exceedances)`` and ``Z2 = 1 − sum(L / ES over exceedances) / (T (1 − level))``.

    Under the null hypothesis each period exceeds its VaR with chance ``1 − level``, and by a generalised Pareto excess
    of shape `tail_shape` whose mean is ``ES − VaR``. That fixes everything but the shape, on which Z2 hardly depends.

    Parameters
    ----------
    returns, var, es : array-like of shape (n_periods,)
        What came, and what had been stated for it: losses as positive fractions, 0 < var <= es.
    level : float, default=0.99
    n_simulations : int, default=2000
    tail_shape : float, default=0.2
        Below .5, so that the statistics have a variance; 0 is an exponential tail.
    seed : int, default=0

    Raises
    ------
    DataError
        If shapes differ, a number is not finite, an ES is not above 0 or below its VaR, or an argument is not allowed.

    References
    ----------
    .. [1] Acerbi and Szekely (2014), "Back-testing expected shortfall".
    """
    if not 0.0 <= tail_shape < 0.5:
        raise DataError(f"tail_shape={tail_shape} is not allowed; 0 or more and below .5 is")
    if n_simulations < 100:
        raise DataError(f"n_simulations={n_simulations} is not allowed; 100 or more are")
    alpha = 1.0 - check_level(level)
    hits = exceedances(returns, var)
    losses, limit, shortfall = -np.asarray(returns), np.asarray(var, np.float64), np.asarray(es, np.float64)
    if shortfall.shape != limit.shape or not np.isfinite(shortfall).all():
        raise DataError(f"es has shape {shortfall.shape}, or numbers that are not finite; {limit.shape} is needed")
    if not (shortfall > 0.0).all() or not (shortfall >= limit - 1e-12).all():
        raise DataError("es holds values at or below 0 or below var; a shortfall is a loss no smaller than var")
    ratios = losses[hits] / shortfall[hits]
    z1 = 1.0 - float(ratios.mean()) if ratios.size else math.nan
    z2 = 1.0 - float(ratios.sum()) / (alpha * losses.size)
    sums, counts = _simulate(limit / shortfall, alpha, n_simulations, tail_shape, seed)
    with np.errstate(invalid="ignore"):
        by_size = 1.0 - sums / counts
    by_both = 1.0 - sums / (alpha * losses.size)
    known = by_size[counts > 0]
    # The history itself is one of those that the null hypothesis allows: no p-value is 0.
    p1 = math.nan if math.isnan(z1) else float((1 + np.count_nonzero(known <= z1)) / (1 + known.size))
    p2 = float((1 + np.count_nonzero(by_both <= z2)) / (1 + n_simulations))
    return ShortfallTest(z1, z2, p1, p2, n_simulations)


def _simulate(
    start: FloatArray, alpha: float, n_simulations: int, shape: float, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Return the sum of ``L / ES`` over the exceedances of each history, and their number."""
    generator = np.random.default_rng(seed)
    n_hits = generator.binomial(start.size, alpha, n_simulations)
    # Which periods they fall in matters through VaR / ES alone, which varies little; drawn with replacement.
    at = start[generator.integers(0, start.size, int(n_hits.sum()))]
    u = 1.0 - generator.random(at.size)
    unit = -np.log(u) if shape == 0.0 else np.expm1(-shape * np.log(u)) * (1.0 - shape) / shape
    history = np.repeat(np.arange(n_simulations), n_hits)
    sums = np.bincount(history, at + (1.0 - at) * unit, minlength=n_simulations)
    return np.asarray(sums, np.float64), n_hits.astype(np.float64)
