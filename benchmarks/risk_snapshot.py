"""A full risk snapshot of a portfolio, as the loop takes it, beside the same figures by skfolio and numpy."""

from __future__ import annotations

import numpy as np

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, alternate, in_process
from risk.snapshot import SNAPSHOT_METHODS, take_snapshot
from risk.watch import Holdings

__all__ = ["run"]

_ASSETS, _BARS = 50, 1000
_SNAPSHOTS = 50


def run(options: Options) -> Result:
    """Measure all methods without a filter, contributions, exposures and concentration, 50 assets × 1,000 bars."""
    from skfolio.measures import cvar, effective_number_assets, value_at_risk

    rng = np.random.default_rng(5)
    market = rng.standard_t(4, (_BARS, 1)) * 0.006
    returns = market + rng.standard_t(4, (_BARS, _ASSETS)) * 0.01
    positions = rng.normal(2e4, 1e4, _ASSETS) / 100
    holdings = Holdings(0, 1e6, 0.05, positions, np.full(_ASSETS, 100.0), returns)
    names = tuple(f"A{i}" for i in range(_ASSETS))
    weights = holdings.weights
    n = options.scaled(_SNAPSHOTS)

    def by_skfolio() -> tuple[object, ...]:
        series = returns @ weights
        alone = [(value_at_risk(column, 0.99), cvar(column, 0.99)) for column in (returns * weights).T]
        return value_at_risk(series, 0.99), cvar(series, 0.99), alone, effective_number_assets(weights)

    def whole() -> None:
        for _ in range(n):
            take_snapshot(names, holdings)

    def ours() -> None:
        for _ in range(n):
            take_snapshot(names, holdings, methods=("historical",))

    def peer() -> None:
        for _ in range(n):
            by_skfolio()

    outcomes = alternate(
        [
            Contender("ours, in full", "variant", n, in_process(whole), versions_of(["numpy", "scipy"]),
                      f"{len(SNAPSHOT_METHODS)} methods, contributions, exposure, concentration, beta"),
            Contender("ours", "ours", n, in_process(ours), note="the same by the historical method alone"),
            Contender("skfolio", "peer", n, in_process(peer), versions_of(["skfolio"]),
                      "one method (historical), alone and together; effective number of assets"),
        ],
        on_round=lambda number: options.say(f"round {number}"),
    )  # fmt: skip
    per_snapshot = 1e3 / outcomes[0].rate
    return Result(
        "risk_snapshot",
        "Full risk snapshot, 50 assets × 1,000 bars",
        "snapshots",
        {"assets": _ASSETS, "bars": _BARS, "methods": len(SNAPSHOT_METHODS), "snapshots": n},
        outcomes,
        [Target("one snapshot", "ms", per_snapshot, "<=", 10.0)],
    )
