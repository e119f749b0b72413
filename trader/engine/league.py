"""All kinds of model on the same data, walk-forward and after costs: which of them is worth what."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.engine.evaluation import Evaluation, evaluate
from trader.engine.training_set import Past
from trader.engine.trial import BUY_AND_HOLD
from trader.models.candidate import validate
from trader.models.kinds import preset
from trader.models.report import plain
from trader.validation.ic import information_coefficient
from trader.validation.pbo import backtest_overfitting

__all__ = ["ENSEMBLE", "League", "Row", "run_league"]

FloatArray = NDArray[np.float64]
Progress = Callable[[str, float], None]

ENSEMBLE = "equal weights"
"""Name of the row of all models together."""

_BLOCKS = 16


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One model's figures, out of sample and after costs; intervals are at 95 %.

    Parameters
    ----------
    name : str
    ic, auc, sharpe : tuple of float
        Estimate, low and high.
    deflated_sharpe : float
        Counts every model of the league as a trial.
    annual_return, drawdown, turnover : float
    seconds : float
        Wall time of all fits.
    """

    name: str
    ic: tuple[float, float, float]
    auc: tuple[float, float, float]
    sharpe: tuple[float, float, float]
    deflated_sharpe: float
    annual_return: float
    drawdown: float
    turnover: float
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class League:
    """The rows of all models, best rank IC first, and what doing nothing would have earned.

    Parameters
    ----------
    rows : tuple of Row
    first_ns, last_ns : int
        What was traded, out of sample.
    n_folds, n_symbols : int
    hold_sharpe, hold_return : float
        Of equal-weight buy-and-hold.
    overfitting : float
        Chance that the model which looks best by rank IC is below the median elsewhere (PBO); NaN for one model, or
        where too few instants are judged.
    """

    rows: tuple[Row, ...]
    first_ns: int
    last_ns: int
    n_folds: int
    n_symbols: int
    hold_sharpe: float
    hold_return: float
    overfitting: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        whole: dict[str, Any] = plain(dataclasses.asdict(self))
        return whole


def run_league(past: Past, kinds: Sequence[str], size: str, on_progress: Progress | None = None) -> League:
    """Validate every kind on the same folds and trade what each said out of sample.

    Parameters
    ----------
    past : Past
    kinds : sequence of str
        At least one.
    size : {"ci", "demo", "full"}
        Preset of every model.
    on_progress : callable, optional

    Raises
    ------
    DataError
        If there is no kind, or one is named twice.
    """
    if not kinds or len(set(kinds)) != len(kinds):
        raise DataError(f"kinds={tuple(kinds)} are not allowed; at least one is needed, and none twice")
    tell = on_progress or (lambda *_: None)
    n_trials = len(kinds) + (len(kinds) > 1)
    rows, standard, daily_ic = [], [], []
    for kind in kinds:
        candidate = validate(
            past.data,
            kind,
            preset(kind, size),
            settings=past.settings.models,
            seed=past.settings.run.seed,
            on_progress=_prefixed(tell, kind),
        )
        evaluation = evaluate(candidate, past, n_trials=n_trials)
        rows.append(_row(kind, evaluation))
        score = candidate.forecast.score
        standard.append(score / np.nanstd(score))
        daily_ic.append(information_coefficient(score, past.data.target))
    if len(kinds) > 1:
        together = dataclasses.replace(
            candidate.forecast, score=np.where(np.isfinite(standard).any(axis=0), _mean(standard), np.nan)
        )
        whole = dataclasses.replace(candidate, kind=ENSEMBLE, forecast=together, seconds=sum(r.seconds for r in rows))
        evaluation = evaluate(whole, past, n_trials=n_trials)
        rows.append(_row(ENSEMBLE, evaluation))
    (held,) = (mark for mark in evaluation.traded.benchmarks if mark.name == BUY_AND_HOLD)
    return League(
        rows=tuple(sorted(rows, key=lambda row: -np.nan_to_num(row.ic[0], nan=-np.inf))),
        first_ns=evaluation.folds[0][0],
        last_ns=evaluation.folds[-1][1],
        n_folds=len(evaluation.folds),
        n_symbols=evaluation.n_symbols,
        hold_sharpe=held.sharpe,
        hold_return=held.annual_return,
        overfitting=_overfitting(np.array(daily_ic).T),
    )


def _prefixed(tell: Progress, kind: str) -> Progress:
    return lambda stage, share: tell(f"{kind}: {stage}", share)


def _mean(scores: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of the models that do not abstain; 0 where all do."""
    known = np.isfinite(scores)
    total: FloatArray = np.where(known, scores, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return total


def _overfitting(daily_ic: FloatArray) -> float:
    known = daily_ic[np.isfinite(daily_ic).all(axis=1)]
    if known.shape[1] < 2 or known.shape[0] < 2 * _BLOCKS:
        return math.nan
    return backtest_overfitting(known, n_blocks=_BLOCKS, statistic="mean").probability


def _row(name: str, found: Evaluation) -> Row:
    ic, auc, traded = found.score.ic, found.auc, found.traded
    return Row(
        name=name,
        ic=(ic.mean, ic.low, ic.high),
        auc=(auc.value, auc.low, auc.high),
        sharpe=(traded.sharpe, *traded.sharpe_interval),
        deflated_sharpe=traded.deflated_sharpe,
        annual_return=traded.annual_return,
        drawdown=traded.drawdown.depth,
        turnover=traded.turnover,
        seconds=found.seconds,
    )
