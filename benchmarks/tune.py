"""What a search costs: Tune's share of a trial, and how much of a full search halving needs to find its best."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cluster import local_cluster
from benchmarks.options import Options
from benchmarks.results import Result, Target
from trader.engine.training_set import load_past
from trader.models.dataset import TrainingSet
from trader.models.walk_forward import walk_forward_folds
from trader.settings import load_settings
from trader.validation.splits import Fold
from tune.journal import Journal, Trial
from tune.objective import evaluate, middle_first
from tune.search import run_search
from tune.spec import Scheduler, SearchSpec

__all__ = ["run"]

_SEEDS = (1, 2, 3, 4, 5)
_TRIALS = 24
_DAYS = 800
_SYMBOLS = 10
_OVERHEAD_TRIALS = 16


def run(options: Options) -> Result:
    """Measure both on markets with a planted signal, one trial at a time; each seed is of a market and its searches."""
    seeds = _SEEDS[:1] if options.quick else _SEEDS
    n_trials = 8 if options.quick else _TRIALS
    data, folds = _market(seeds[0])
    with local_cluster(num_cpus=2, object_store_mb=200):
        options.say("overhead")
        overhead = _overhead(data, folds, options.scratch)
        shares, totals = [], []
        for seed in seeds:
            options.say(f"halving, seed {seed}")
            reached, total = _halving(*_market(seed), options.scratch, seed, n_trials)
            shares.append(reached)
            totals.append(total)
    return Result(
        "tune",
        "Searches of hyperparameters on Ray Tune",
        "trials",
        {
            "model": "boosting, demo space",
            "searcher": "random",
            "trials": n_trials,
            "seeds": list(seeds),
            "days": _DAYS,
            "symbols": _SYMBOLS,
            "folds": len(folds),
            "metric": "loss",
        },
        (),
        [
            Target("overhead of a trial over bare training", "s", overhead, "<=", 2.0),
            Target(
                "training time until ASHA has the best loss of the full search, median of seeds",
                "% of the full search's",
                100 * statistics.median(shares),
                "<=",
                40.0,
            ),
        ],
        {
            "until the best loss, % of the full search, by seed": [100 * share for share in shares],
            "all of ASHA, % of the full search, by seed": [100 * total for total in totals],
            "seeds in which ASHA completed the best trial": int(np.isfinite(shares).sum()),
        },
    )


def _market(seed: int) -> tuple[TrainingSet, list[Fold]]:
    settings = load_settings(
        overrides={
            "run": {"seed": seed},
            "feed": {
                "kind": "planted",
                "planted": {"signal": "momentum", "strength": 0.2, "n_symbols": _SYMBOLS, "n_days": _DAYS},
            },
            "features": {"families": ["returns", "momentum", "volatility"]},
            "models": {"horizon": 1},
        }
    )
    data = load_past(settings).data
    return data, middle_first(walk_forward_folds(data, settings.models))


def _overhead(data: TrainingSet, folds: Sequence[Fold], scratch: Path) -> float:
    """Return what a trial of a search takes longer than the same training in this process, in seconds."""
    spec = SearchSpec(name="overhead", model="linear", trials=_OVERHEAD_TRIALS, scheduler="none", searcher="random")
    began = time.perf_counter()
    trials = _search(spec, data, folds, scratch)
    searched = time.perf_counter() - began
    params = [trial.params for trial in trials]
    list(evaluate(data, "linear", params[0], folds, seed=spec.seed))  # compiled and loaded
    began = time.perf_counter()
    for each in params:
        list(evaluate(data, "linear", each, folds, seed=spec.seed))
    bare = time.perf_counter() - began
    return (searched - bare) / len(trials)


def _halving(data: TrainingSet, folds: Sequence[Fold], scratch: Path, seed: int, n_trials: int) -> tuple[float, float]:
    """Return the shares of the full search's training time that ASHA took to its best loss, and in all.

    Both searches try the same hyperparameters, and a fold costs in both what it took in the full one: equal work
    is paid equally, whatever else the machine does meanwhile. The first share is infinite if ASHA gave that trial up.
    """

    def search(scheduler: Scheduler) -> list[Trial]:
        spec = SearchSpec(
            name=f"{scheduler}-{seed}",
            model="boosting",
            trials=n_trials,
            scheduler=scheduler,
            searcher="random",
            metric="loss",
            seed=seed,
        )
        return _search(spec, data, folds, scratch)

    full, halved = search("none"), search("asha")
    price: NDArray[np.float64] = np.array([[fold.seconds for fold in trial.folds] for trial in full])
    paid = np.cumsum([price[trial.number, : len(trial.folds)].sum() for trial in halved])
    best = max(trial.score for trial in full)
    reached = [place for place, trial in enumerate(halved) if trial.status == "complete" and trial.score >= best]
    until_best = float(paid[reached[0]]) if reached else float("inf")
    return until_best / float(price.sum()), float(paid[-1] / price.sum())


def _search(spec: SearchSpec, data: TrainingSet, folds: Sequence[Fold], scratch: Path) -> list[Trial]:
    folder = scratch / spec.name
    Journal(folder).create(spec.to_dict())
    return run_search(spec, data, folds, folder, concurrent=1)
