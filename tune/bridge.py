"""Between Tune and the journal: what Tune is told is written down, what it asks for is drawn by our searchers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from ray import tune as ray_tune
from ray.tune.experiment import Trial as RayTrial
from ray.tune.search import Searcher as RaySearcher

from tune.journal import Journal, Trial, fold_from_dict
from tune.objective import Epoch
from tune.space import Params
from tune.suggest import Searcher

__all__ = ["Recorder", "Suggestions", "draw"]


class _NotKept:
    """Base of what Ray would pickle into its folder: nothing is read back from there, so nothing is written."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return object, ()


class Recorder(_NotKept, ray_tune.Callback):  # type: ignore[misc]  # Ray ships no types
    """Writes what Tune is told into the journal, before the search goes on."""

    def __init__(self, journal: Journal, n_folds: int, on_trial: Callable[[Trial], None] | None) -> None:
        self._journal = journal
        self._n_folds = n_folds
        self._on_trial = on_trial
        self._numbers: dict[str, int] = {}

    def on_trial_start(self, *, trial: RayTrial, **_: Any) -> None:
        """Note the trial, or the hyperparameters that it goes on with."""
        # A trial that goes on from another's checkpoint takes over its configuration, number included.
        draw = trial.config["draw"]
        number = self._numbers.setdefault(trial.trial_id, draw["number"])
        known = self._journal.trials.get(number)
        if known is None or known.params != draw["params"]:
            self._journal.begin(number, draw["params"])

    def on_trial_result(self, *, trial: RayTrial, result: dict[str, Any], **_: Any) -> None:
        """Note steps of fits, folds, and why a trial fails."""
        number = self._numbers[trial.trial_id]
        for epoch in result["epochs"]:
            self._journal.epoch(number, Epoch(**epoch))
        if "inherited" in result:
            folds = [fold_from_dict(fold) for fold in result["inherited"]]
            if folds != list(self._journal.trials[number].folds):
                self._journal.inherit(number, folds, result["scores"])
        if "fold" in result:
            self._journal.fold(number, fold_from_dict(result["fold"]), result["score"])
        if "error" in result:
            self._end(number, "failed", result["error"])

    def on_trial_complete(self, *, trial: RayTrial, **_: Any) -> None:
        """Note whether the trial came to its end or was given up."""
        number = self._numbers[trial.trial_id]
        known = self._journal.trials[number]
        if known.status == "running":
            self._end(number, "complete" if len(known.folds) == self._n_folds else "stopped")

    def on_trial_error(self, *, trial: RayTrial, **_: Any) -> None:
        """Note that the trial's process died, or broke in a way it could not tell of."""
        lines = str(trial.get_error() or "").strip().splitlines()
        self._end(self._numbers[trial.trial_id], "failed", lines[-1] if lines else "the worker died")

    def _end(self, number: int, status: Literal["complete", "stopped", "failed"], error: str = "") -> None:
        self._journal.end(number, status, error)
        if self._on_trial is not None:
            self._on_trial(self._journal.trials[number])


class Suggestions(_NotKept, RaySearcher):  # type: ignore[misc]  # Ray ships no types
    """Hands our searcher's suggestions to Tune: first the trials that a killed search left, then new ones."""

    def __init__(self, searcher: Searcher, journal: Journal, todo: Sequence[int]) -> None:
        super().__init__()
        self._own = searcher
        self._journal = journal
        self._todo = list(todo)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **_: Any) -> bool:  # noqa: ARG002
        """Accept the search as it is."""
        self._metric, self._mode = metric, mode
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # noqa: ARG002
        """Return the next trial's configuration; None while its searcher waits for others to end."""
        if not self._todo:
            return str(RaySearcher.FINISHED)
        number = self._todo[0]
        known = self._journal.trials.get(number)
        if known is None:
            ended = {n: trial for n, trial in self._journal.trials.items() if trial.status != "running"}
            if any(n not in ended for n in range(self._own.needs(number))):
                return None
        params = self._own.suggest(number, ended) if known is None else dict(known.params)
        self._todo.pop(0)
        return draw(number, params)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Learn nothing here: the journal knows."""

    def save(self, checkpoint_path: str) -> None:
        """Keep nothing: the journal knows."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is kept."""


def draw(number: int, params: Params) -> dict[str, Any]:
    """Return what Tune hands to a trial: its number and hyperparameters."""
    return {"draw": {"number": number, "params": params}}
