"""Which assets a loss comes from: allocations that add to the portfolio's figure (Euler)."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.results import RiskEstimate
from risk.var.historical import Empirical, age_weights, historical_each
from risk.var.methods import METHODS, estimate_sample
from risk.var.parametric import normal_tail, student_tail
from risk.var.sample import Sample
from trader.core.errors import DataError

__all__ = ["Contributions", "contributions", "elliptical_marginals", "tail_marginals"]

FloatArray = NDArray[np.float64]

_TIE = 1e-9


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """What each asset adds to value at risk and expected shortfall over one period.

    Parameters
    ----------
    estimate : RiskEstimate
        Of the portfolio.
    names : tuple of str
    weights : ndarray of shape (n_assets,)
    component_var, component_es : ndarray of shape (n_assets,)
        They add to the portfolio's figures; negative for an asset that hedges.
    marginal_var, marginal_es : ndarray of shape (n_assets,)
        What a little more of the asset, paid from cash, adds per unit of weight; a component is weight times this.
    standalone_var, standalone_es : ndarray of shape (n_assets,)
        Of the position alone, by the same method; adds to more than the portfolio's unless nothing diversifies. NaN
        for filtered methods, whose filter belongs to the portfolio.
    allocation : str
        How components are made.
    """

    estimate: RiskEstimate
    names: tuple[str, ...]
    weights: FloatArray
    component_var: FloatArray
    component_es: FloatArray
    marginal_var: FloatArray
    marginal_es: FloatArray
    standalone_var: FloatArray
    standalone_es: FloatArray
    allocation: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON; one row an asset."""
        columns = {
            "weight": self.weights,
            "component_var": self.component_var,
            "component_es": self.component_es,
            "marginal_var": self.marginal_var,
            "marginal_es": self.marginal_es,
            "standalone_var": self.standalone_var,
            "standalone_es": self.standalone_es,
        }
        rows = [
            {"asset": asset} | {name: float(values[i]) for name, values in columns.items()}
            for i, asset in enumerate(self.names)
        ]
        return {"estimate": self.estimate.to_dict(), "allocation": self.allocation, "assets": rows}


def contributions(sample: Sample, method: str = "historical", level: float = 0.99) -> Contributions:
    """Return what each asset adds to a portfolio's figures over one period.

    Elliptical methods have a closed form: an asset's expected loss is linear in the portfolio's. The others average the
    assets' losses over the periods in which the portfolio's loss is beyond the level (shortfall) or near it (value at
    risk) [1]_; where the method itself is no such average, those shares are scaled to its figures.

    Raises
    ------
    DataError
        If the method is not known, the past is too short for it, or its figures are not above 0 and shares are needed.

    References
    ----------
    .. [1] Tasche (1999), "Risk contributions and performance measurement"; Epperlein and Smillie (2006), "Cracking VaR
       with kernels".
    """
    estimate = estimate_sample(sample, method, level)
    chosen, weights, returns = METHODS[method], sample.weights, sample.panel.returns
    if chosen.elliptical:
        by_var, by_es = elliptical_marginals(sample, method, level)
        allocation = "closed form of elliptical returns"
        if method.startswith("monte_carlo"):
            by_var = _scaled(by_var, weights, estimate.var, "value at risk")
            by_es = _scaled(by_es, weights, estimate.es, "expected shortfall")
            allocation += ", scaled to the draws"
    else:
        chances = age_weights(len(returns), sample.age_decay) if method == "age_weighted" else None
        by_var, by_es = tail_marginals(returns, weights, level, chances)
        allocation = "means over the periods beyond the level (ES) and near it (VaR: triangular kernel, scaled)"
        if method not in ("historical", "age_weighted"):
            by_es = _scaled(by_es, weights, estimate.es, "expected shortfall")
            allocation = "shares of the past's losses near and beyond the level, scaled to the method's figures"
        by_var = _scaled(by_var, weights, estimate.var, "value at risk")
    alone_var, alone_es = _standalone(sample, method, level)
    return Contributions(
        estimate, sample.panel.names, weights, weights * by_var, weights * by_es,
        by_var, by_es, alone_var, alone_es, allocation,
    )  # fmt: skip


def elliptical_marginals(sample: Sample, method: str, level: float) -> tuple[FloatArray, FloatArray]:
    """Return what a unit of weight adds to VaR and ES, shape (n_assets,) each: ``q Σw / σ − μ``."""
    weights = sample.weights
    if method == "ewma":
        by_age = age_weights(sample.panel.n_periods, sample.decay)
        means = np.zeros(weights.size)
        joint = sample.panel.returns.T @ (by_age * sample.series)
    else:
        means, joint = sample.means, sample.covariance @ weights
    deviation = math.sqrt(float(weights @ joint))
    var, es = normal_tail(level)
    if method in ("student_t", "monte_carlo_t"):
        # The fitted scale and location belong to the portfolio; assets share them as they share its variance and mean.
        fitted = sample.student_t
        q, shortfall = student_tail(level, fitted.df)
        shift = (float(weights @ means) - fitted.location) * joint / deviation**2
        spread = joint / deviation**2 * fitted.scale
        return spread * q - means + shift, spread * shortfall - means + shift
    spread = joint / deviation
    return spread * var - means, spread * es - means


def tail_marginals(
    returns: FloatArray, weights: FloatArray, level: float, chances: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return what a unit of each asset lost on average near the portfolio's value at risk, and beyond it.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_assets)
    weights : ndarray of shape (n_assets,)
    level : float
    chances : ndarray of shape (n_periods,), optional
        Of the periods; equal by default.

    Returns
    -------
    near, beyond : ndarray of shape (n_assets,)
        Times the weights, `beyond` adds to the expected shortfall exactly, and `near`, a kernel estimate, to about the
        value at risk. The kernel is triangular, its half width 2.575 standard deviations times ``n ** -.2``.
    """
    chance = np.full(len(returns), 1.0 / len(returns)) if chances is None else chances
    losses = -(returns @ weights)
    var, _ = Empirical(-losses, None if chances is None else chance).var_es(level)
    order = np.argsort(-losses, kind="stable")
    reached = np.cumsum(chance[order])
    taken = np.zeros(losses.size)
    alpha = 1.0 - level
    taken[order] = np.clip(alpha - (reached - chance[order]), 0.0, chance[order])
    beyond = -(taken @ returns) / alpha
    width = 2.575 * max(float(losses.std()), _TIE * abs(var)) * losses.size**-0.2
    kernel = chance * np.maximum(1.0 - np.abs(losses - var) / width, 0.0) if width > 0.0 else chance
    near = -(kernel @ returns) / kernel.sum()
    return np.asarray(near, np.float64), np.asarray(beyond, np.float64)


def _scaled(marginals: FloatArray, weights: FloatArray, total: float, name: str) -> FloatArray:
    found = float(weights @ marginals)
    if found == 0.0 and total == 0.0:
        return marginals
    if not math.isfinite(total):
        raise DataError(f"the {name} of the method is infinite; it cannot be shared")
    if not found > 0.0:
        raise DataError(f"the {name} of the past near the level is {found:.3g}; shares need a loss above 0")
    return np.asarray(marginals * (total / found), np.float64)


def _standalone(sample: Sample, method: str, level: float) -> tuple[FloatArray, FloatArray]:
    n_assets = sample.panel.n_assets
    var, es = np.full(n_assets, np.nan), np.full(n_assets, np.nan)
    if METHODS[method].filtered:
        return var, es
    if method == "historical":
        return historical_each(sample.panel.returns * sample.weights, level)
    for i, weight in enumerate(sample.weights.tolist()):
        alone = sample.of_position(i)
        if weight == 0.0:
            var[i] = es[i] = 0.0
        elif alone.varies or method in ("historical", "age_weighted", "bootstrap"):
            found = estimate_sample(alone, method, level)
            var[i], es[i] = found.var, found.es
    return var, es
