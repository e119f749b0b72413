"""Running a search on Ray Tune, and going on with one that was interrupted."""

from __future__ import annotations

import logging
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune as ray_tune
from ray.tune.experiment import Trial as RayTrial

from trader.models.dataset import TrainingSet
from trader.validation.splits import Fold
from tune.bridge import Recorder, Suggestions, draw
from tune.journal import Journal, Trial
from tune.schedulers import create_scheduler
from tune.spec import SearchSpec
from tune.suggest import create_searcher
from tune.trainable import Job, run_trial

__all__ = ["run_search"]

_RAY_FOLDER = ".ray"


def run_search(
    spec: SearchSpec,
    data: TrainingSet,
    folds: Sequence[Fold],
    folder: Path,
    *,
    concurrent: int,
    cost_bps: float = 0.0,
    on_trial: Callable[[Trial], None] | None = None,
) -> list[Trial]:
    """Run the trials of a search that have not ended yet, on the cluster this process is connected to.

    What has been found is in the journal of `folder` before the search goes on, so a search that is killed loses no
    finished trial and no finished fold. Ray's own state, which is pickled, is thrown away and never read.

    Parameters
    ----------
    spec : SearchSpec
    data : TrainingSet
        Up to the end of training.
    folds : sequence of Fold
    folder : Path
        With `search.json`. On a cluster of several machines all of them must see it.
    concurrent : int
        Trials at once.
    cost_bps : float, default=0.0
        See `tune.objective.paper_returns`.
    on_trial : callable, optional
        Told of each trial when it ends.

    Returns
    -------
    list of Trial
        All of the search, in order of number; some are `running` where it was interrupted.
    """
    journal = Journal(folder)
    known = {number: trial for number, trial in journal.trials.items() if trial.status == "running"}
    todo = [number for number in range(spec.trials) if number in known or number not in journal.trials]
    if todo:
        job = Job(spec.model, tuple(folds), spec.metric, spec.seed, cost_bps, keep_state=spec.scheduler == "pbt")
        trainable = ray_tune.with_parameters(run_trial, job=job, data=data, known=known)
        resources = {"cpu": spec.cpus_per_trial, "gpu": spec.gpus_per_trial}
        recorder = Recorder(journal, len(folds), on_trial)
        population = spec.scheduler == "pbt"
        searcher = None if population else create_searcher(spec.searcher, spec.space, spec.seed, concurrent)
        with _quiet_tune(spec.seed):
            tuner = ray_tune.Tuner(
                ray_tune.with_resources(trainable, resources),
                param_space=_drawn(spec, journal, todo) if population else None,
                tune_config=ray_tune.TuneConfig(
                    metric="score",
                    mode="max",
                    num_samples=1 if population else len(todo),
                    max_concurrent_trials=concurrent,
                    search_alg=None if searcher is None else Suggestions(searcher, journal, todo),
                    scheduler=create_scheduler(spec, journal, len(folds)),
                    reuse_actors=True,
                    trial_dirname_creator=_dirname,
                ),
                run_config=ray_tune.RunConfig(
                    name="search",
                    storage_path=str((folder / _RAY_FOLDER).resolve()),
                    callbacks=[recorder],
                    failure_config=ray_tune.FailureConfig(max_failures=1),
                    stop={"n_folds": len(folds)},
                    verbose=0,
                ),
            )
            tuner.fit()
        shutil.rmtree(folder / _RAY_FOLDER, ignore_errors=True)
    journal.close()
    return [journal.trials[number] for number in sorted(journal.trials)]


def _drawn(spec: SearchSpec, journal: Journal, todo: Sequence[int]) -> dict[str, Any]:
    """Return a population as a grid of one dimension: Tune allows population-based training no searcher."""
    searcher = create_searcher("random", spec.space, spec.seed, 1)
    drawn = [draw(n, dict(journal.trials[n].params) if n in journal.trials else searcher.suggest(n, {})) for n in todo]
    return {"draw": ray_tune.grid_search([each["draw"] for each in drawn])}


def _dirname(trial: RayTrial) -> str:
    return str(trial.trial_id)


@contextmanager
def _quiet_tune(seed: int) -> Iterator[None]:
    """Leave out Tune's own logs, files and snapshots, and seed the generator that its schedulers draw from."""
    wanted = {
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
    }
    before = {name: os.environ.get(name) for name in wanted}
    drawn = random.getstate()
    logger = logging.getLogger("ray.tune")
    level = logger.level
    os.environ.update(wanted)
    random.seed(seed)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        random.setstate(drawn)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
