"""What a search came to: the best trial, what it cost, and how much of it is luck."""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.validation.pbo import backtest_overfitting
from trader.validation.trials import DeflatedSharpe, deflate_sharpe
from tune.journal import Trial

__all__ = ["SearchResult", "best_trial", "returns_matrix", "summarise", "write_trials"]

FloatArray = NDArray[np.float64]

_FEWEST_PERIODS = 160
"""Returns that the probability of overfitting needs: ten for each of its sixteen blocks."""


@dataclasses.dataclass(frozen=True, slots=True)
class SearchResult:
    """The account of a search.

    Parameters
    ----------
    trials : tuple of Trial
        In order of number.
    best : Trial or None
        The complete trial with the highest score; None where no trial was completed.
    n_tried : int
        Sets of hyperparameters that were looked at: every trial that began, those given up and failed included,
        and every change that population-based training made. It is what the Sharpe ratio is deflated by.
    counts : mapping of str to int
        Trials by status.
    seconds : float
        Fitting and scoring, over all trials.
    full_seconds : float
        What it would have taken to complete all of them, had each cost what a completed one did; NaN without one.
    luck : DeflatedSharpe or None
        The best trial's Sharpe ratio against the best that luck would show among so many.
    pbo : float
        Probability of backtest overfitting, over the completed trials; NaN for fewer than two or a short history.
    """

    trials: tuple[Trial, ...]
    best: Trial | None
    n_tried: int
    counts: Mapping[str, int]
    seconds: float
    full_seconds: float
    luck: DeflatedSharpe | None
    pbo: float

    @property
    def deflated_sharpe(self) -> float:
        """Probability that the best trial's true Sharpe ratio is above what luck gives the best of so many."""
        return math.nan if self.luck is None else self.luck.probability

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON; NaN where undefined."""
        best, luck = self.best, self.luck
        return {
            "best": None
            if best is None
            else {"trial": best.number, "score": best.score, "params": dict(best.params), "folds": len(best.folds)},
            "counts": dict(self.counts),
            "n_tried": self.n_tried,
            "seconds": self.seconds,
            "full_seconds": self.full_seconds,
            "deflated_sharpe": None if luck is None else luck.to_dict(),
            "pbo": self.pbo,
        }


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the completed trial with the highest score, the earliest of equals; None where there is none."""
    complete = [trial for trial in trials if trial.status == "complete" and math.isfinite(trial.score)]
    return max(complete, key=lambda trial: (trial.score, -trial.number), default=None)


def returns_matrix(trials: Sequence[Trial]) -> FloatArray:
    """Return the returns of the completed trials side by side, shape (n_periods, n_complete)."""
    complete = [trial.returns for trial in trials if trial.status == "complete"]
    if not complete:
        return np.empty((0, 0))
    return np.array(complete, dtype=np.float64).T


def summarise(trials: Sequence[Trial]) -> SearchResult:
    """Return the account of a search's trials."""
    best = best_trial(trials)
    complete = [trial for trial in trials if trial.status == "complete"]
    seconds = sum(trial.seconds for trial in trials)
    full = len(trials) * float(np.mean([trial.seconds for trial in complete])) if complete else math.nan
    n_changes = sum(trial.changes for trial in trials)
    sharpes = [trial.sharpe for trial in trials] + [math.nan] * n_changes
    luck = None if best is None else deflate_sharpe(np.array(best.returns), np.array(sharpes))
    return SearchResult(
        trials=tuple(trials),
        best=best,
        n_tried=len(sharpes),
        counts=dict(collections.Counter(trial.status for trial in trials)),
        seconds=seconds,
        full_seconds=full,
        luck=luck,
        pbo=_overfitting(returns_matrix(trials)),
    )


def write_trials(trials: Sequence[Trial], path: Path) -> None:
    """Write one row a trial as Parquet: number, status, score, Sharpe ratio, seconds, folds and hyperparameters."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = sorted({name for trial in trials for name in trial.params})
    table = pa.table(
        {
            "trial": [trial.number for trial in trials],
            "status": [trial.status for trial in trials],
            "score": [trial.score for trial in trials],
            "sharpe": [trial.sharpe for trial in trials],
            "seconds": [trial.seconds for trial in trials],
            "folds": [len(trial.folds) for trial in trials],
            "ic": [float(np.mean([f.ic for f in trial.folds])) if trial.folds else math.nan for trial in trials],
            "loss": [float(np.mean([f.loss for f in trial.folds])) if trial.folds else math.nan for trial in trials],
            "changes": [trial.changes for trial in trials],
            "error": [trial.error for trial in trials],
            "returns": pa.array([list(trial.returns) for trial in trials], pa.list_(pa.float64())),
        }
        | {f"param.{name}": _column([trial.params.get(name) for trial in trials]) for name in names}
    )
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)


def _column(values: list[Any]) -> Any:
    """Return hyperparameters as a column: numbers as they are, anything else as text."""
    import pyarrow as pa

    if all(isinstance(value, int | float) or value is None for value in values):
        return pa.array(values, pa.float64() if any(isinstance(v, float) for v in values) else None)
    return pa.array([None if value is None else str(value) for value in values])


def _overfitting(returns: FloatArray) -> float:
    n_periods, n_trials = returns.shape
    if n_trials < 2 or n_periods < _FEWEST_PERIODS:
        return math.nan
    return backtest_overfitting(returns).probability
