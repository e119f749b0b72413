"""Every method by its name, and the one call that runs them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.panel import ReturnPanel
from risk.results import RiskEstimate, check_horizon, check_level
from risk.tail.spliced import fit_spliced
from risk.var.cornish_fisher import CornishFisher, fit_cornish_fisher
from risk.var.distribution import Distribution, check_draws, simulate
from risk.var.filtered import Innovations, filtered
from risk.var.historical import Empirical, age_weights, historical
from risk.var.monte_carlo import Drawn, portfolio_normal
from risk.var.parametric import Normal
from risk.var.sample import Sample
from trader.core.errors import DataError

__all__ = ["METHODS", "Method", "choose_methods", "estimate", "estimate_all", "estimate_sample"]

FloatArray = NDArray[np.float64]

_FEW_BEYOND = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Method:
    """One way to a distribution of the portfolio's return.

    Parameters
    ----------
    name, summary : str
    fit : callable
        From a `Sample` to a `Distribution`.
    elliptical : bool
        Losses of assets are linear in the portfolio's, so contributions have a closed form.
    filtered : bool
        Volatility clusters: the fit is slow, and horizons are simulated, never made of overlapping returns.
    """

    name: str
    summary: str
    fit: Callable[[Sample], Distribution]
    elliptical: bool = False
    filtered: bool = False


def estimate(
    panel: ReturnPanel,
    weights: FloatArray,
    method: str = "historical",
    level: float = 0.99,
    horizon: int = 1,
    scaling: str = "sqrt",
    **options: Any,
) -> RiskEstimate:
    """Return value at risk and expected shortfall of a portfolio.

    Parameters
    ----------
    panel : ReturnPanel
    weights : ndarray of shape (n_assets,)
        Fractions of value.
    method : str, default="historical"
        A key of `METHODS`.
    level : float, default=0.99
        Confidence.
    horizon : int, default=1
        Periods ahead.
    scaling : str, default="sqrt"
        How a horizon above 1 is reached. ``sqrt``: one period's figures times its root, right for independent returns
        without a mean. ``overlapping``: from the overlapping returns of the past. ``simulated``: periods drawn one
        after another and compounded.
    **options
        As `Sample` has them.

    Raises
    ------
    DataError
        If an argument is not allowed or the past is too short for the method.
    """
    return estimate_sample(Sample(panel, weights, **options), method, level, horizon, scaling)


def estimate_all(
    panel: ReturnPanel,
    weights: FloatArray,
    methods: Sequence[str] = (),
    level: float = 0.99,
    horizon: int = 1,
    scaling: str = "sqrt",
    **options: Any,
) -> list[RiskEstimate]:
    """Return `estimate` by several methods, all by default; what they share is computed once."""
    sample = Sample(panel, weights, **options)
    return [estimate_sample(sample, name, level, horizon, scaling) for name in choose_methods(methods)]


def choose_methods(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of methods, all if none or ``all`` is asked for.

    Raises
    ------
    DataError
        If there is none of a name.
    """
    unknown = sorted(set(names) - set(METHODS) - {"all"})
    if unknown:
        raise DataError(f"method={', '.join(unknown)} is not known; all, {', '.join(METHODS)} are allowed")
    return tuple(METHODS) if not names or "all" in names else tuple(dict.fromkeys(names))


def estimate_sample(
    sample: Sample, method: str, level: float = 0.99, horizon: int = 1, scaling: str = "sqrt"
) -> RiskEstimate:
    """Return `estimate` from a sample that several methods share."""
    chosen = METHODS[choose_methods([method])[0]]
    level, used = check_level(level), check_horizon(horizon, scaling)
    notes: tuple[str, ...] = ()
    if used == "overlapping" and chosen.filtered:
        used = "simulated"
        notes = ("overlapping returns cannot be filtered; the horizon is simulated instead",)
    if used == "overlapping":
        n_independent = sample.panel.n_periods // horizon
        notes = (f"overlapping returns: about {n_independent} of them are independent",)
        sample = sample.overlapping(horizon)
    distribution = chosen.fit(sample)
    if used == "simulated":
        check_draws(sample.n_paths, level)
        var, es = historical(simulate(distribution, horizon, sample.n_paths, sample.seed), level)
    else:
        var, es = distribution.var_es(level)
        if used == "sqrt":
            var, es = var * horizon**0.5, es * horizon**0.5
    notes += distribution.warnings + _few_beyond(distribution, level)
    return RiskEstimate(chosen.name, level, horizon, used, sample.panel.n_periods, var, es, notes)


def _few_beyond(distribution: Distribution, level: float) -> tuple[str, ...]:
    if not isinstance(distribution, Empirical):
        return ()
    n_beyond = distribution.n_effective() * (1.0 - level)
    return (f"about {n_beyond:.1f} effective periods lie beyond the level",) if n_beyond < _FEW_BEYOND else ()


def _historical(sample: Sample) -> Empirical:
    return Empirical(sample.series, notes=() if sample.varies else ("returns of the portfolio do not vary",))


def _age_weighted(sample: Sample) -> Empirical:
    notes = () if sample.varies else ("returns of the portfolio do not vary",)
    return Empirical(sample.series, age_weights(sample.series.size, sample.age_decay), notes)


def _normal(sample: Sample) -> Normal:
    found = portfolio_normal(sample.weights, sample.means, sample.covariance)
    return dataclasses.replace(found, notes=sample.covariance_notes)


def _ewma(sample: Sample) -> Normal:
    # The variance along the weights is that of the portfolio's own returns: no matrix is needed.
    sample.check_varies()
    weights = age_weights(sample.series.size, sample.decay)
    return Normal(0.0, float(np.sqrt(weights @ np.square(sample.series))))


def _cornish_fisher(sample: Sample) -> CornishFisher:
    sample.check_varies()
    return fit_cornish_fisher(sample.series)


def _monte_carlo_t(sample: Sample) -> Drawn:
    # A multivariate t whose scatter is the covariance, scaled along the portfolio to the fitted t: seen along the
    # weights it is that t, and one number a path is drawn.
    return Drawn(sample.student_t, sample.n_paths, sample.seed)


def _with_filter(innovations: Innovations) -> Callable[[Sample], Distribution]:
    return lambda sample: filtered(sample.garch, innovations, sample.tail_fraction)


_ALL = (
    Method("historical", "each period of the past equally likely", _historical),
    Method("age_weighted", "the younger a period, the likelier", _age_weighted),
    Method("normal", "normal returns with the covariance of the past", _normal, elliptical=True),
    Method("ewma", "normal, mean 0, variance exponentially weighted", _ewma, elliptical=True),
    Method("student_t", "a t fitted to the portfolio's returns", lambda s: s.student_t, elliptical=True),
    Method("cornish_fisher", "normal quantile bent by skewness and kurtosis", _cornish_fisher),
    Method(
        "monte_carlo_normal",
        "draws of a multivariate normal",
        lambda s: Drawn(_normal(s), s.n_paths, s.seed),
        elliptical=True,
    ),
    Method("monte_carlo_t", "draws of a multivariate t", _monte_carlo_t, elliptical=True),
    Method("bootstrap", "draws of the past, with replacement", lambda s: Drawn(_historical(s), s.n_paths, s.seed)),
    Method("evt", "the past, with a generalised Pareto tail", lambda s: fit_spliced(s.series, s.tail_fraction)),
    Method("garch_t", "GJR-GARCH volatility, t surprises", _with_filter("t"), filtered=True),
    Method("fhs", "GJR-GARCH volatility, surprises of the past", _with_filter("historical"), filtered=True),
    Method("fhs_evt", "the same, with a generalised Pareto tail", _with_filter("evt"), filtered=True),
)

METHODS = MappingProxyType({method.name: method for method in _ALL})
"""Every method by its name."""
