"""Monte Carlo: a portfolio of 50 assets beside what drawing its random numbers costs, and 10 million paths on Ray."""

from __future__ import annotations

import time

import numpy as np
import psutil

from benchmarks.cluster import local_cluster
from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target, ratio
from benchmarks.sampling import Contender, alternate, in_process
from risk.panel import ReturnPanel
from risk.simulation import SimulationPlan, SimulationSpec, plan_simulation, simulate
from risk.threads import one_thread
from trader.runtime.simulation import simulate_on_ray

__all__ = ["run"]

_ASSETS, _PERIODS, _PATHS = 50, 10, 10_000
_RAY_ASSETS, _RAY_PATHS, _RAY_ROUNDS = 10, 10_000_000, 3
_BLOCK = 2048


def run(options: Options) -> Result:
    """Measure on one thread, then on one and on two workers."""
    panel = _panel(_ASSETS)
    weights, covariance = panel.weights(), np.cov(panel.returns, rowvar=False)
    numpy_rng = np.random.default_rng(1)
    generator, block = np.random.Generator(np.random.SFC64(1)), np.empty((_ASSETS, _BLOCK), np.float32)
    n_numbers = _PATHS * _PERIODS * _ASSETS

    def draw() -> None:
        for _ in range(n_numbers // block.size):
            generator.standard_normal(dtype=np.float32, out=block)
        generator.standard_normal(n_numbers % block.size, np.float32)

    def by_numpy() -> None:
        with one_thread():
            numpy_rng.multivariate_normal(np.zeros(_ASSETS), covariance, (_PATHS, _PERIODS))

    def of(**chosen: object) -> Contender:
        spec = SimulationSpec(n_paths=_PATHS, horizon=_PERIODS, **chosen)  # type: ignore[arg-type]
        name = ", ".join(str(value) for value in chosen.values())
        return Contender(name, "variant", _PATHS, in_process(lambda: simulate(panel, weights, spec)))

    held = SimulationSpec(n_paths=_PATHS, horizon=_PERIODS, holding="held")
    outcomes = alternate(
        [
            Contender(
                "ours",
                "ours",
                _PATHS,
                in_process(lambda: simulate(panel, weights, held)),
                versions_of(["numpy", "numba"]),
                "covariance from 1,000 days, every asset's path, VaR and ES at two levels, drawdown; float32",
            ),
            Contender(
                "Generator.multivariate_normal",
                "peer",
                _PATHS,
                in_process(by_numpy),
                note="draws the returns alone; float64 is all it has; one thread, as all rows",
            ),
            Contender(
                "random numbers alone", "variant", _PATHS, in_process(draw), note="by numpy: SFC64, float32, in blocks"
            ),
            of(model="t", holding="held"),
            of(model="bootstrap", holding="held"),
            of(model="normal", holding="rebalanced"),
            of(model="t", holding="rebalanced"),
            of(sampling="antithetic", holding="rebalanced"),
            of(sampling="sobol", holding="rebalanced"),
        ],
        on_round=lambda number: options.say(f"round {number}"),
    )
    ours, peer, alone = outcomes[:3]
    portfolio = next(found for found in outcomes if found.name == "normal, rebalanced")
    scaling = _scaling(options)
    return Result(
        "risk_simulation",
        f"Monte Carlo, {_PATHS:,} paths × {_ASSETS} assets × {_PERIODS} days, one thread",
        "paths",
        {"paths": _PATHS, "assets": _ASSETS, "periods": _PERIODS, "paths on Ray": options.scaled(_RAY_PATHS)},
        outcomes,
        [
            Target("held: times the random numbers alone, by numpy", "×", ours.wall_s / alone.wall_s, "<=", 1.5),
            Target("held: faster than multivariate_normal", "×", ratio(ours, peer), ">=", 3.0),
            Target("rebalanced: faster than multivariate_normal", "×", ratio(portfolio, peer), ">=", 3.0),
            Target("two workers over half of one", "×", scaling["two workers, times perfect"], "<=", 1.15),
            Target("memory of a process, ten times the paths", "×", scaling["memory, times"], "<=", 1.1),
        ],
        scaling,
    )


def _scaling(options: Options) -> dict[str, float]:
    """Return times on one and two workers, taking turns, and what memory does with ten times the paths."""
    panel = _panel(_RAY_ASSETS)
    large, small = (
        plan_simulation(panel, panel.weights(), SimulationSpec(n_paths=n, horizon=_PERIODS, holding="held"))
        for n in (options.scaled(_RAY_PATHS), options.scaled(_RAY_PATHS) // 10)
    )
    with local_cluster(num_cpus=2, object_store_mb=256):
        options.say("workers start")
        for n_workers in (1, 2):
            simulate_on_ray(small, n_workers=n_workers)
        peak_small = _peak_memory(small)
        times: dict[int, list[float]] = {1: [], 2: []}
        for number in range(_RAY_ROUNDS):
            options.say(f"10 million paths, round {number}")
            for n_workers in (1, 2) if number % 2 else (2, 1):
                began = time.perf_counter()
                simulate_on_ray(large, n_workers=n_workers)
                times[n_workers].append(time.perf_counter() - began)
        peak_large = _peak_memory(large)
    one, two = (float(np.median(times[n_workers])) for n_workers in (1, 2))
    return {
        "one worker, s": one,
        "two workers, s": two,
        "two workers, times perfect": two / (one / 2.0),
        "memory of a process at most, a tenth of the paths, MB": peak_small / 1e6,
        "memory of a process at most, all paths, MB": peak_large / 1e6,
        "memory, times": peak_large / peak_small,
    }


def _peak_memory(plan: SimulationPlan) -> float:
    """Return the most memory of its own that this process or a worker had when results came in, in bytes."""
    peak = 0.0

    def on_paths(_n_paths: int) -> None:
        nonlocal peak
        me = psutil.Process()
        for process in [me, *me.children(recursive=True)]:
            try:
                if process.pid == me.pid or process.cmdline()[:1] == ["ray::simulate_chunks"]:
                    peak = max(peak, float(process.memory_full_info().uss))
            except psutil.Error:
                continue

    simulate_on_ray(plan, n_workers=2, on_paths=on_paths)
    return peak


def _panel(n_assets: int) -> ReturnPanel:
    """Return 1,000 days of assets that share a market."""
    rng = np.random.default_rng(0)
    returns = rng.normal(0.0, 0.015, (1000, n_assets)) + rng.normal(0.0, 0.01, (1000, 1))
    return ReturnPanel.of([f"asset-{number}" for number in range(n_assets)], returns)
