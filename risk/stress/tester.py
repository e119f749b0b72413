"""A portfolio put through scenarios."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from risk.stress.covariance import correlation_loss, liquidity_cost
from risk.stress.history import ReturnHistory, index_factor
from risk.stress.proxy import Proxy, fit_proxy
from risk.stress.result import AssetImpact, StressResult
from risk.stress.scenario import Scenario
from trader.core.errors import DataError

__all__ = ["OnScenario", "StressTester"]

FloatArray = NDArray[np.float64]
OnScenario = Callable[[int], object]
"""Told how many scenarios are done."""

_WEAK = 0.05

_BY_DAYS = ("replay", "proxy")
"""How an asset comes by a return for each day."""


class StressTester:
    """Runs scenarios over a portfolio; positions are held through each.

    An asset moves by its own returns of the days, where a historical scenario is covered; by what the scenario says
    of it; or by a regression on those of the scenario's factors that there are, which is the move to be expected given
    theirs. What none of these moves is listed as unshocked and is not counted.

    Parameters
    ----------
    history : ReturnHistory
        Of the assets; may have gaps.
    weights : mapping of str to float
        Fractions of value by asset.
    factors : ReturnHistory, optional
        Named as in the scenarios. The default is `equity`: the S&P 500, 1990 to 2022.
    volumes : mapping of str to float, optional
        Value traded a day, by asset; with `value`, what it takes to sell is counted in liquidity scenarios.
    value : float, optional
        Of the portfolio, in the currency of the volumes.

    Raises
    ------
    DataError
        If there is no weight, one is not finite or of an asset without a history, or volumes come without a value.

    Examples
    --------
    >>> days = np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]")
    >>> equity = np.random.default_rng(0).normal(0, 0.01, (100, 1))
    >>> tester = StressTester(
    ...     ReturnHistory.of(["A"], 2 * equity, days), {"A": 0.5}, ReturnHistory.of(["equity"], equity, days)
    ... )
    >>> crash = Scenario("x", "Fall", "hypothetical", {"equity": -0.1}, source=("assumed",))
    >>> round(tester.run(crash).pnl, 6)
    -0.1
    """

    def __init__(
        self,
        history: ReturnHistory,
        weights: Mapping[str, float],
        factors: ReturnHistory | None = None,
        volumes: Mapping[str, float] | None = None,
        value: float | None = None,
    ) -> None:
        unknown = sorted(set(weights) - set(history.names))
        if unknown:
            raise DataError(f"weights name {', '.join(unknown)}, which have no returns; leave them out, or add returns")
        self.weights = {name: float(weight) for name, weight in weights.items() if weight != 0.0}
        if not self.weights or not all(map(math.isfinite, self.weights.values())):
            raise DataError(f"weights={dict(weights)} is not allowed; at least one, all finite, is needed")
        if (volumes is None) != (value is None) or (value is not None and value <= 0.0):
            raise DataError(f"volumes and value={value} are needed together, the value positive")
        self.history = history
        self.factors = factors if factors is not None else index_factor()
        self._volumes, self._value = volumes, value
        self._proxies: dict[tuple[str, tuple[str, ...]], Proxy | str] = {}

    def run_all(self, scenarios: Iterable[Scenario], on_scenario: OnScenario | None = None) -> list[StressResult]:
        """Return the results of scenarios, in their order."""
        results = []
        for scenario in scenarios:
            results.append(self.run(scenario))
            if on_scenario is not None:
                on_scenario(len(results))
        return results

    def run(self, scenario: Scenario) -> StressResult:
        """Return what a scenario does to the portfolio.

        Raises
        ------
        DataError
            For a correlation or liquidity scenario, if there are too few periods, or a volume is missing.
        """
        if scenario.kind in ("correlation", "liquidity"):
            return self._modelled(scenario)
        window = None
        if scenario.first is not None and scenario.last is not None:
            window = self.history.window(scenario.first, scenario.last)
        usable = tuple(name for name in self.factors.names if name in scenario.shocks)
        by_days = self._factor_days(usable, window)
        moves = np.array([[scenario.shocks[name] for name in usable]]) if by_days is None else by_days
        impacts, paths, proxies, warnings = [], [], [], []
        for asset, weight in self.weights.items():
            path, how = None, "unshocked"
            if asset in scenario.shocks:
                path, how = np.array([scenario.shocks[asset]]), "given"
            elif window is not None and np.isfinite(own := self.history.column(asset)[window]).all():
                path, how = own, "replay"
            elif usable:
                proxy = self._proxy(asset, usable)
                if isinstance(proxy, str):
                    warnings.append(proxy)
                else:
                    path, how = proxy.apply(moves), "factors" if by_days is None else "proxy"
                    proxies.append(proxy)
            if path is None:
                impacts.append(AssetImpact(asset, weight, math.nan, math.nan, how))
                continue
            if (path < -1.0).any():
                warnings.append(
                    f"{asset} cannot lose more than all: a proxied return of {path.min():.0%} is cut at -100%"
                )
                path = np.maximum(path, -1.0)
            curve = np.cumprod(1.0 + path)
            paths.append(weight * (curve - 1.0))
            impacts.append(AssetImpact(asset, weight, float(curve[-1] - 1.0), float(paths[-1][-1]), how))
        weak = [proxy.asset for proxy in proxies if proxy.r2 < _WEAK]
        if weak:
            warnings.append(f"regressions explain less than {_WEAK:.0%} of {', '.join(weak)}: their moves are guesses")
        unshocked = [impact.asset for impact in impacts if impact.how == "unshocked"]
        if unshocked and paths:
            warnings.append(f"{', '.join(unshocked)}: nothing known, not counted in the P&L")
        used = {name for proxy in proxies for name in proxy.factors} | set(self.weights)
        replayed = all(impact.how == "replay" for impact in impacts)
        unused = () if replayed else tuple(n for n, size in scenario.shocks.items() if size and n not in used)
        return StressResult(
            scenario,
            math.fsum(path[-1] for path in paths) if paths else math.nan,
            _drawdown(paths) if all(impact.how in _BY_DAYS for impact in impacts) else math.nan,
            _sorted(impacts),
            tuple(proxies),
            unused,
            tuple(warnings),
        )

    def _factor_days(self, usable: tuple[str, ...], window: slice | None) -> FloatArray | None:
        """Return the factors' own returns of the days of the window; None if one of them is not known."""
        if window is None or not usable:
            return None
        days = self.history.days[window]
        there = np.searchsorted(self.factors.days, days)
        if there[-1] >= len(self.factors.days) or (self.factors.days[there] != days).any():
            return None
        moves = self.factors.returns[there][:, [self.factors.names.index(name) for name in usable]]
        return moves if np.isfinite(moves).all() else None

    def _proxy(self, asset: str, names: tuple[str, ...]) -> Proxy | str:
        """Return a regression, or why there is none; each is fitted once."""
        key = (asset, names)
        if key not in self._proxies:
            try:
                self._proxies[key] = fit_proxy(self.history, asset, self.factors, names)
            except DataError as error:
                self._proxies[key] = str(error)
        return self._proxies[key]

    def _modelled(self, scenario: Scenario) -> StressResult:
        names, weights = tuple(self.weights), np.array(list(self.weights.values()))
        returns = self.history.complete(names)
        if scenario.kind == "correlation":
            parts, warnings = correlation_loss(returns, weights, scenario)
        else:
            volumes = None
            if self._volumes is not None and self._value is not None:
                missing = sorted(set(names) - set(self._volumes))
                if missing:
                    raise DataError(f"volumes lack {', '.join(missing)}; each asset with a weight needs one")
                volumes = np.array([self._volumes[name] for name in names]) / self._value
            parts, warnings = liquidity_cost(returns, weights, scenario, volumes)
        impacts = [
            AssetImpact(name, weight, -part / weight, -part, "model")
            for name, weight, part in zip(names, weights.tolist(), parts.tolist(), strict=True)
        ]
        return StressResult(scenario, -math.fsum(parts), math.nan, _sorted(impacts), warnings=tuple(warnings))


def _drawdown(paths: list[FloatArray]) -> float:
    """Return the worst fall of the portfolio from a peak, over paths of the same days."""
    value = np.concatenate([[1.0], 1.0 + np.sum(paths, axis=0)])
    peak = np.maximum.accumulate(value)
    return float((1.0 - value / peak).max())


def _sorted(impacts: list[AssetImpact]) -> tuple[AssetImpact, ...]:
    return tuple(
        sorted(impacts, key=lambda impact: math.inf if math.isnan(impact.contribution) else impact.contribution)
    )
