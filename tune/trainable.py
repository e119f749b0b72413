"""One trial inside a Ray worker."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune as ray_tune

from trader.core.errors import TraderError
from trader.models.dataset import TrainingSet
from trader.validation.splits import Fold
from tune.journal import Trial, fold_from_dict
from tune.objective import Epoch, FoldScore, Metric, evaluate, score_of

__all__ = ["Job", "run_trial"]

_TELL_EVERY_S = 5.0
_STATE = "folds.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """What all trials of a search share.

    Parameters
    ----------
    model : str
    folds : tuple of Fold
    metric : {"ic", "loss"}
    seed : int
    cost_bps : float
    keep_state : bool
        Whether folds are checkpointed, so that another trial can go on from them.
    """

    model: str
    folds: tuple[Fold, ...]
    metric: Metric
    seed: int
    cost_bps: float
    keep_state: bool


def run_trial(config: dict[str, Any], *, job: Job, data: TrainingSet, known: Mapping[int, Trial]) -> None:
    """Evaluate fold after fold and report each to Tune.

    Folds that are known already are not fitted again: those of the checkpoint that Tune hands over when a trial goes
    on from another, or those in `known`, the journal of a search that is resumed. An error of the model ends the
    trial, not the search.
    """
    draw = config["draw"]
    report = _Reporter(job, _known_folds(draw["number"], known))
    if report.folds:
        report.inherited()
    if len(report.folds) == len(job.folds):
        return
    try:
        for fold in evaluate(
            data,
            job.model,
            draw["params"],
            job.folds,
            seed=job.seed,
            done=len(report.folds),
            cost_bps=job.cost_bps,
            on_epoch=report.epoch,
        ):
            report.fold(fold)
    except (TraderError, ArithmeticError, ValueError, MemoryError, RuntimeError) as error:
        report.failed(f"{type(error).__name__}: {' '.join(str(error).split())}")


class _Reporter:
    """Tells Tune how the trial stands; every report carries the score that schedulers compare."""

    def __init__(self, job: Job, folds: list[FoldScore]) -> None:
        self._job = job
        self._epochs: list[Epoch] = []
        self._told = time.monotonic()
        self.folds = folds

    def epoch(self, epoch: Epoch) -> None:
        """Keep a step of a fit for the next report; a long fold tells of it on the way."""
        self._epochs.append(epoch)
        if time.monotonic() - self._told > _TELL_EVERY_S:
            self._report({})

    def fold(self, fold: FoldScore) -> None:
        """Report a finished fold."""
        self.folds.append(fold)
        self._report({"fold": dataclasses.asdict(fold)}, checkpoint=self._job.keep_state)

    def inherited(self) -> None:
        """Report the folds that were known from the start."""
        scores = [score_of(self.folds[: n + 1], self._job.metric) for n in range(len(self.folds))]
        self._report({"inherited": [dataclasses.asdict(fold) for fold in self.folds], "scores": scores})

    def failed(self, error: str) -> None:
        """Report why the trial ends."""
        self._report({"error": error})

    def _report(self, content: dict[str, Any], *, checkpoint: bool = False) -> None:
        metrics = content | {
            "score": score_of(self.folds, self._job.metric),
            "n_folds": len(self.folds),
            "epochs": [dataclasses.asdict(epoch) for epoch in self._epochs],
        }
        self._epochs = []
        self._told = time.monotonic()
        if not checkpoint:
            ray_tune.report(metrics)
            return
        with tempfile.TemporaryDirectory() as folder:
            state = json.dumps([dataclasses.asdict(fold) for fold in self.folds])
            (Path(folder) / _STATE).write_text(state, encoding="utf-8")
            ray_tune.report(metrics, checkpoint=ray_tune.Checkpoint.from_directory(folder))


def _known_folds(number: int, known: Mapping[int, Trial]) -> list[FoldScore]:
    checkpoint = ray_tune.get_checkpoint()
    if checkpoint is None:
        return list(known[number].folds) if number in known else []
    with checkpoint.as_directory() as folder:
        content = json.loads((Path(folder) / _STATE).read_text(encoding="utf-8"))
    return [fold_from_dict(fold) for fold in content]
