"""Historical value at risk and expected shortfall beside skfolio, pandas and numpy; every other method."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, alternate, in_process
from risk.panel import ReturnPanel
from risk.var.decomposition import contributions
from risk.var.historical import historical
from risk.var.methods import METHODS, estimate, estimate_all
from risk.var.sample import Sample

__all__ = ["run"]

_LEVEL = 0.99
_REPEATS = 200


def run(options: Options) -> Result:
    """Measure one portfolio of 50 assets and 1,000 days again and again, one thread."""
    import pandas as pd
    from skfolio.measures import cvar, value_at_risk

    rng = np.random.default_rng(5)
    returns, weights = rng.standard_t(4, (1000, 50)) * 0.01, np.full(50, 0.02)
    frame = pd.DataFrame(returns)
    portfolio = returns @ weights
    n = options.scaled(5000)

    def by_numpy() -> tuple[float, float]:
        losses = -(returns @ weights)
        var = float(np.quantile(losses, _LEVEL, method="inverted_cdf"))
        return var, float(losses[losses >= var].mean())

    def by_pandas() -> tuple[float, float]:
        losses = -(frame @ weights)
        var = float(losses.quantile(_LEVEL))
        return var, float(losses[losses >= var].mean())

    def by_skfolio() -> tuple[float, float]:
        series = returns @ weights
        return float(value_at_risk(series, _LEVEL)), float(cvar(series, _LEVEL))

    outcomes = alternate(
        [
            Contender("ours", "ours", n, in_process(_times(n, lambda: historical(returns @ weights, _LEVEL))),
                      versions_of(["numpy"]), "portfolio product, one partition, both figures"),
            Contender("numpy", "peer", n, in_process(_times(n, by_numpy)), note="quantile, and the mean beyond it"),
            Contender("pandas", "peer", n, in_process(_times(n, by_pandas)), versions_of(["pandas"]), "the same"),
            Contender("skfolio", "peer", n, in_process(_times(n, by_skfolio)), versions_of(["skfolio"]),
                      "value_at_risk and cvar of the product"),
        ],
        on_round=lambda number: options.say(f"round {number}"),
    )  # fmt: skip
    options.say("methods")
    panel = ReturnPanel.of([f"A{i}" for i in range(50)], np.maximum(returns, -0.9))
    quick = [name for name in METHODS if not METHODS[name].filtered]
    figures = {
        f"{name}, ms": 1e3 * _median(lambda name=name: estimate(panel, weights, name), 20 if name in quick else 3)
        for name in METHODS
    }
    figures["components of historical, ms"] = 1e3 * _median(lambda: contributions(Sample(panel, weights)), 20)
    return Result(
        "risk_var",
        "Value at risk and expected shortfall, 50 assets × 1,000 days, one thread",
        "portfolios",
        {"assets": 50, "days": 1000, "level": _LEVEL, "portfolios": n},
        outcomes,
        [
            Target("historical VaR + ES", "µs", 1e6 * _median(lambda: historical(portfolio, _LEVEL)), "<=", 50.0),
            Target(
                "all methods but the filtered", "ms", 1e3 * _median(lambda: estimate_all(panel, weights, quick), 20),
                "<=", 10.0,
            ),
        ],
        figures,
    )  # fmt: skip


def _times(n: int, work: Callable[[], object]) -> Callable[[], None]:
    def repeat() -> None:
        for _ in range(n):
            work()

    return repeat


def _median(work: Callable[[], object], repeats: int = _REPEATS) -> float:
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)
