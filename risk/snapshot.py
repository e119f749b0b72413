"""All measures of a portfolio's risk at one instant."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.exposure.concentration import Concentration, concentration
from risk.exposure.holdings import Exposure, exposure
from risk.panel import ReturnPanel
from risk.results import RiskEstimate
from risk.threads import one_thread
from risk.var.decomposition import Contributions, contributions
from risk.var.methods import estimate_sample
from risk.var.sample import Sample
from risk.watch import Holdings
from trader.core.errors import DataError

__all__ = ["SNAPSHOT_METHODS", "RiskSnapshot", "take_snapshot"]

FloatArray = NDArray[np.float64]

SNAPSHOT_METHODS = (
    "historical",
    "age_weighted",
    "normal",
    "ewma",
    "student_t",
    "cornish_fisher",
    "monte_carlo_normal",
    "monte_carlo_t",
    "bootstrap",
    "evt",
)
"""Every method that needs no filter to be fitted; the first one allocates risk to the names held."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RiskSnapshot:
    """Measures of risk of one portfolio over the next bar.

    Parameters
    ----------
    ts_ns : int
        Instant that it is of.
    equity, drawdown : float
        As in `Holdings`.
    names : tuple of str
    weights : ndarray of shape (n_symbols,)
    exposure : Exposure
    concentration : Concentration, optional
        None without enough of a past.
    market_beta : float
        To the equally weighted universe; NaN if unknown.
    estimates : tuple of RiskEstimate
        By every method; empty if nothing is held or the past is too short.
    contributions : Contributions, optional
        Of the names held, by the first method.
    n_bars : int
        Of the past that all names held have.
    warnings : tuple of str
        Why something is missing.
    """

    ts_ns: int
    equity: float
    drawdown: float
    names: tuple[str, ...]
    weights: FloatArray
    exposure: Exposure
    concentration: Concentration | None
    market_beta: float
    estimates: tuple[RiskEstimate, ...]
    contributions: Contributions | None
    n_bars: int
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is not known is NaN or None."""
        held = np.flatnonzero(self.weights)
        return {
            "ts_ns": self.ts_ns,
            "equity": self.equity,
            "drawdown": self.drawdown,
            "weights": {self.names[i]: float(self.weights[i]) for i in held.tolist()},
            "exposure": self.exposure.to_dict(),
            "concentration": None if self.concentration is None else self.concentration.to_dict(),
            "market_beta": self.market_beta,
            "estimates": [estimate.to_dict() for estimate in self.estimates],
            "contributions": None if self.contributions is None else self.contributions.to_dict(),
            "n_bars": self.n_bars,
            "warnings": list(self.warnings),
        }


def take_snapshot(
    names: Sequence[str],
    holdings: Holdings,
    *,
    level: float = 0.99,
    min_bars: int = 100,
    methods: Sequence[str] = SNAPSHOT_METHODS,
    options: Mapping[str, Any] | None = None,
) -> RiskSnapshot:
    """Measure the risk of holdings.

    Parameters
    ----------
    names : sequence of str
        The symbols.
    holdings : Holdings
    level : float, default=0.99
    min_bars : int, default=100
        Bars that every name held must have behind it; with fewer nothing is estimated, and a warning says so.
    methods : sequence of str, optional
        Of `risk.var.methods.METHODS`. One that cannot be fitted is left out with a warning.
    options : mapping, optional
        As `risk.var.sample.Sample` has them.
    """
    weights = holdings.weights
    held = np.flatnonzero(weights)
    known = np.isfinite(holdings.returns).sum(axis=0)
    n_bars = int(known[held].min()) if len(held) else len(holdings.returns)
    warnings: list[str] = []
    sample: Sample | None = None
    if not len(held):
        warnings.append("nothing is held")
    elif n_bars < max(min_bars, 2):
        youngest = names[held[int(np.argmin(known[held]))]]
        warnings.append(f"{youngest} has {n_bars} bars behind it; {min_bars} are needed")
    else:
        past = holdings.returns[len(holdings.returns) - n_bars :, held]
        stamps = np.arange(n_bars).astype("datetime64[D]").astype("datetime64[ns]")
        panel = ReturnPanel(tuple(names[i] for i in held.tolist()), np.ascontiguousarray(past), stamps)
        sample = Sample(panel, weights[held], **(options or {}))
    estimates: list[RiskEstimate] = []
    parts: Contributions | None = None
    spread: Concentration | None = None
    if sample is not None:
        with one_thread():
            for method in methods:
                try:
                    estimates.append(estimate_sample(sample, method, level))
                    if method == methods[0]:
                        parts = contributions(sample, method, level)
                except DataError as error:
                    warnings.append(f"{method}: {error}")
            spread = concentration(sample.weights, sample.covariance)
    return RiskSnapshot(
        ts_ns=holdings.ts_ns,
        equity=holdings.equity,
        drawdown=holdings.drawdown,
        names=tuple(names),
        weights=weights,
        exposure=exposure(weights),
        concentration=spread,
        market_beta=float("nan") if sample is None else _beta(sample.series, holdings.returns[-n_bars:]),
        estimates=tuple(estimates),
        contributions=parts,
        n_bars=n_bars,
        warnings=tuple(warnings),
    )


def _beta(series: FloatArray, returns: FloatArray) -> float:
    """Return the slope of a series (n_bars,) on the mean return of the symbols that are known all along."""
    whole = np.isfinite(returns).all(axis=0)
    market = returns[:, whole].mean(axis=1)
    centred = market - market.mean()
    variance = float(centred @ centred)
    return float(centred @ series) / variance if variance > 0.0 else float("nan")
