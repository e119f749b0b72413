"""Where a tail begins, and whether a generalised Pareto distribution describes it."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from risk.results import check_sample
from risk.tail.gpd import GpdTail, fit_gpd, fit_tail
from trader.core.errors import DataError

__all__ = ["FRACTIONS", "Goodness", "TailAt", "choose_fraction", "goodness", "mean_excess", "stability"]

FloatArray = NDArray[np.float64]

FRACTIONS = (0.15, 0.125, 0.1, 0.075, 0.05, 0.04, 0.03, 0.02)
"""Shares of losses that `choose_fraction` tries as the tail, largest first."""

_LEAST = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Goodness:
    """How far the excesses are from the fitted distribution.

    Parameters
    ----------
    kolmogorov_smirnov, anderson_darling : float
        Distances; the second weighs the ends, where risk lies.
    ks_p, ad_p : float
        Chance of distances at least as large if the tail is generalised Pareto, from samples of the fit that are
        fitted again: tables for known parameters would be too kind.
    n_simulations : int
    """

    kolmogorov_smirnov: float
    anderson_darling: float
    ks_p: float
    ad_p: float
    n_simulations: int


@dataclasses.dataclass(frozen=True, slots=True)
class TailAt:
    """What one threshold says; a good one lies where shape and quantile no longer move with it.

    Parameters
    ----------
    fraction : float
        Share of losses in the tail.
    tail : GpdTail
    shape_error : float
        Standard error of the shape, ``(1 + ξ) / sqrt(n)``; NaN for a shape of −.5 or less.
    quantile, shortfall : float
        At the level asked for.
    """

    fraction: float
    tail: GpdTail
    shape_error: float
    quantile: float
    shortfall: float


def mean_excess(losses: FloatArray, n_thresholds: int = 50) -> tuple[FloatArray, FloatArray]:
    """Return thresholds and the mean excess over each: a straight line where the tail is generalised Pareto.

    Thresholds run from the median to the loss that 10 others exceed, evenly by rank. The slope of the line is
    ``ξ / (1 − ξ)``.

    Raises
    ------
    DataError
        If there are fewer than 40 losses or one is not finite.
    """
    ordered = np.sort(check_sample(losses, 40, "losses"))
    places = np.unique(np.linspace(ordered.size // 2, ordered.size - 11, n_thresholds).astype(np.int64))
    above = np.cumsum(ordered[::-1])[::-1]
    n_above = ordered.size - 1 - places
    return ordered[places], above[places + 1] / n_above - ordered[places]


def stability(losses: FloatArray, level: float = 0.99, fractions: tuple[float, ...] = FRACTIONS) -> list[TailAt]:
    """Return the fit at each threshold whose tail holds the level and at least 30 losses, largest tail first."""
    values = check_sample(losses, 2, "losses")
    found = []
    for fraction in fractions:
        if 1.0 - level > fraction + 1e-9 or fraction * values.size < _LEAST:
            continue
        tail = fit_tail(values, fraction)
        error = (1.0 + tail.shape) / np.sqrt(tail.n_exceedances) if tail.shape > -0.5 else np.nan
        found.append(TailAt(fraction, tail, float(error), tail.quantile(level), tail.shortfall(level)))
    return found


def goodness(losses: FloatArray, tail: GpdTail, *, n_simulations: int = 200, seed: int = 0) -> Goodness:
    """Return distances between the losses beyond the threshold and the tail, and their p-values."""
    excesses = np.asarray(losses, np.float64) - tail.threshold
    excesses = excesses[excesses > 0.0]
    ks, ad = _distances(excesses, tail.shape, tail.scale)
    generator = np.random.default_rng(seed)
    from_zero = dataclasses.replace(tail, threshold=0.0)
    drawn = np.array(
        [
            _distances(sample, *fit_gpd(sample))
            for sample in from_zero.exceed(1.0 - generator.random((n_simulations, excesses.size)))
        ]
    )
    ks_p, ad_p = ((1 + np.count_nonzero(drawn >= [ks, ad], axis=0)) / (1 + n_simulations)).tolist()
    return Goodness(ks, ad, ks_p, ad_p, n_simulations)


def choose_fraction(
    losses: FloatArray, level: float = 0.99, *, significance: float = 0.1, n_simulations: int = 100, seed: int = 0
) -> tuple[float, Goodness]:
    """Return the largest tail that Anderson and Darling's test does not reject, and the test.

    The first of `FRACTIONS` whose p-value is above `significance`; the one with the highest if none is. As the
    thresholds are looked at one after another, and the same data then fit the tail, the p-value flatters.

    Raises
    ------
    DataError
        If no fraction holds the level and 30 losses.
    """
    values = check_sample(losses, 2, "losses")
    tried: list[tuple[float, Goodness]] = []
    for row in stability(values, level):
        tried.append((row.fraction, goodness(values, row.tail, n_simulations=n_simulations, seed=seed)))
        if tried[-1][1].ad_p > significance:
            return tried[-1]
    if not tried:
        raise DataError(f"losses has {values.size} periods; more are needed for {_LEAST} in a tail at level {level}")
    return max(tried, key=lambda found: found[1].ad_p)


def _distances(excesses: FloatArray, shape: float, scale: float) -> tuple[float, float]:
    """Return the distances of Kolmogorov-Smirnov and Anderson-Darling."""
    x = np.sort(excesses) / scale
    # Chances of a larger excess, falling along the sorted sample; rounding must not make one 0 or 1.
    above = np.exp(-x) if abs(shape) < 1e-7 else np.maximum(1.0 + shape * x, 0.0) ** (-1.0 / shape)
    above = np.clip(above, 1e-15, 1.0 - 1e-15)
    n = x.size
    steps = np.arange(n + 1) / n
    ks = max(float((steps[1:] - (1.0 - above)).max()), float((1.0 - above - steps[:-1]).max()))
    odd = 2.0 * np.arange(1, n + 1) - 1.0
    ad = -n - float((odd * (np.log1p(-above) + np.log(above[::-1]))).sum()) / n
    return ks, ad
