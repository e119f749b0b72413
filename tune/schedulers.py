"""When a trial is given up, or goes on as another."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining, TrialScheduler

from tune.journal import Journal
from tune.spec import SearchSpec

__all__ = ["create_scheduler"]

_REDUCTION = 3
"""ASHA keeps one trial in so many at each rung."""
_QUANTILE = 0.25
"""Share of a population that goes on from its best share."""


def create_scheduler(spec: SearchSpec, journal: Journal, n_folds: int) -> TrialScheduler:
    """Return Tune's scheduler for a search; its unit of time is a fold.

    ASHA [1]_ judges after the folds 1, 3, 9, … and gives up what is not among the best third of those that came so
    far. Population-based training [2]_ judges after every fold: the worst quarter goes on from the folds of one of
    the best quarter, with hyperparameters near its own.

    References
    ----------
    .. [1] Li et al. (2020), "A system for massively parallel hyperparameter tuning".
    .. [2] Jaderberg et al. (2017), "Population based training of neural networks".
    """
    if spec.scheduler == "none":
        return FIFOScheduler()
    if spec.scheduler == "asha":
        scheduler = ASHAScheduler(time_attr="n_folds", max_t=n_folds, grace_period=1, reduction_factor=_REDUCTION)
        _remind(scheduler, journal)
        return scheduler
    rng = np.random.default_rng([spec.seed, 1])
    space = spec.space

    def explore(config: dict[str, Any]) -> dict[str, Any]:
        draw = config["draw"]
        return {"draw": draw | {"params": space.mutate(draw["params"], rng)}}

    return PopulationBasedTraining(
        time_attr="n_folds", perturbation_interval=1, quantile_fraction=_QUANTILE, custom_explore_fn=explore
    )


def _remind(scheduler: ASHAScheduler, journal: Journal) -> None:
    """Tell the rungs of the trials that ended before the search was interrupted."""
    for trial in journal.trials.values():
        if trial.status in ("complete", "stopped"):
            earlier = SimpleNamespace(trial_id=f"earlier-{trial.number}")
            for n_folds, score in enumerate(trial.scores, start=1):
                for bracket in scheduler._brackets:
                    bracket.on_result(earlier, n_folds, score)
