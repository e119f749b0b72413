"""Correlations of 528 pairs, rolling over 5,000 days and live, beside pandas, bottleneck and numpy."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, alternate, in_process
from risk.correlation.monitor import CorrelationMonitor
from risk.correlation.rolling import pair_indices, rolling_correlations

__all__ = ["run"]

_ASSETS = 33
_WINDOW = 60


def run(options: Options) -> Result:
    """Measure both on heavy-tailed returns, one thread."""
    import bottleneck as bn
    import pandas as pd

    n_days = options.scaled(5000)
    rng = np.random.default_rng(5)
    returns = 0.01 * (rng.standard_t(4, (n_days, _ASSETS)) + rng.standard_t(4, (n_days, 1)))
    frame = pd.DataFrame(returns)
    first, second = pair_indices(_ASSETS)
    n_windows = (n_days - _WINDOW + 1) * first.size

    def by_bottleneck() -> None:
        means = bn.move_mean(returns, _WINDOW, axis=0)
        variances = bn.move_mean(returns**2, _WINDOW, axis=0) - means**2
        products = bn.move_mean(returns[:, first] * returns[:, second], _WINDOW, axis=0)
        covariances = products - means[:, first] * means[:, second]
        covariances / np.sqrt(variances[:, first] * variances[:, second])

    outcomes = alternate(
        [
            Contender(
                "rolling_correlations",
                "ours",
                n_windows,
                in_process(lambda: rolling_correlations(returns, _WINDOW)),
                versions_of(["numba", "numpy"]),
                "every window within 1e-10 of two passes, whatever was before it",
            ),
            Contender(
                "pandas rolling().corr()",
                "peer",
                n_windows,
                in_process(lambda: frame.rolling(_WINDOW).corr()),
                versions_of(["pandas"]),
            ),
            Contender(
                "bottleneck.move_mean of products",
                "peer",
                n_windows,
                in_process(by_bottleneck),
                versions_of(["bottleneck"]),
                "sums that outliers leave traces in",
            ),
        ],
        on_round=lambda number: options.say(f"round {number}"),
    )
    options.say("live")
    rolling = CorrelationMonitor([str(i) for i in range(_ASSETS)], _WINDOW)
    exponential = CorrelationMonitor([str(i) for i in range(_ASSETS)], decay=0.97)
    live = {
        name: 1e6 * _median(work, returns)
        for name, work in (
            ("rolling", rolling.update),
            ("exponential", exponential.update),
            ("numpy.corrcoef", lambda _: np.corrcoef(returns[:_WINDOW].T)),
        )
    }
    ours, pandas = outcomes[0].rate, outcomes[1].rate
    return Result(
        "risk_correlation",
        f"Correlations of {first.size} pairs over {_WINDOW} days",
        "pair windows",
        {"assets": _ASSETS, "pairs": int(first.size), "days": n_days, "window": _WINDOW},
        outcomes,
        [
            Target("rolling, times pandas", "x", ours / pandas, ">=", 20.0),
            Target("one live update of all pairs", "µs", live["rolling"], "<=", 5.0),
        ],
        {f"live update, {name}, µs": figure for name, figure in live.items()},
    )


def _median(work: Callable[[np.ndarray], object], rows: np.ndarray) -> float:
    times = []
    for row in rows[:2000]:
        began = time.perf_counter()
        work(row)
        times.append(time.perf_counter() - began)
    return statistics.median(times)
