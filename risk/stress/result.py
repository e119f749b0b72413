"""What a scenario does to a portfolio."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

from risk.stress.proxy import Proxy
from risk.stress.scenario import Scenario

__all__ = ["HOW", "AssetImpact", "StressResult", "worst_first"]

HOW = {
    "replay": "its own returns of the days",
    "proxy": "a regression, and the factors' returns of the days",
    "factors": "a regression, and the scenario's shocks",
    "given": "the scenario names the asset",
    "model": "its part of the portfolio's loss",
    "unshocked": "nothing is known: not counted",
}
"""Where an asset's return comes from."""


@dataclasses.dataclass(frozen=True, slots=True)
class AssetImpact:
    """One asset under a scenario.

    Parameters
    ----------
    asset : str
    weight : float
    change : float
        Its return; NaN where none is known.
    contribution : float
        To the portfolio's P&L, a fraction of value; NaN where none is known.
    how : str
        A key of `HOW`.
    """

    asset: str
    weight: float
    change: float
    contribution: float
    how: str


@dataclasses.dataclass(frozen=True, slots=True)
class StressResult:
    """A portfolio under one scenario.

    Parameters
    ----------
    scenario : Scenario
    pnl : float
        Fraction of value, negative is lost; of the assets that are not unshocked, NaN if all are.
    drawdown : float
        Worst fall from a peak within the window, positive; NaN without a path.
    impacts : tuple of AssetImpact
        One an asset with a weight, worst first.
    proxies : tuple of Proxy
        Regressions that stood for assets.
    unused : tuple of str
        Factors that the scenario moves, and that moved nothing.
    warnings : tuple of str
    """

    scenario: Scenario
    pnl: float
    drawdown: float
    impacts: tuple[AssetImpact, ...]
    proxies: tuple[Proxy, ...] = ()
    unused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def unshocked(self) -> tuple[str, ...]:
        """Assets that nothing is known of, and that are not in `pnl`."""
        return tuple(impact.asset for impact in self.impacts if impact.how == "unshocked")

    @property
    def applies(self) -> bool:
        """Whether any asset is moved."""
        return not math.isnan(self.pnl)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "scenario": self.scenario.to_dict(),
            "pnl": self.pnl,
            "drawdown": self.drawdown,
            "applies": self.applies,
            "impacts": [dataclasses.asdict(impact) for impact in self.impacts],
            "proxies": [proxy.to_dict() for proxy in self.proxies],
            "unused": list(self.unused),
            "unshocked": list(self.unshocked),
            "warnings": list(self.warnings),
        }


def worst_first(results: Iterable[StressResult]) -> list[StressResult]:
    """Return results by P&L, the greatest loss first; those that do not apply come last."""
    return sorted(results, key=lambda result: result.pnl if result.applies else math.inf)
