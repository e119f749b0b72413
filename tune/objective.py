"""What a trial is judged by: out-of-sample scores of walk-forward folds inside the training span."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import ModelError
from trader.models.dataset import TrainingSet
from trader.models.kinds import create
from trader.models.targets import ENTRY_DELAY, forward_returns
from trader.models.walk_forward import past_of
from trader.validation.ic import information_coefficient
from trader.validation.splits import Fold

__all__ = ["METRICS", "Epoch", "FoldScore", "Metric", "evaluate", "middle_first", "paper_returns", "score_of"]

FloatArray = NDArray[np.float64]
Metric = Literal["ic", "loss"]

METRICS: tuple[Metric, ...] = ("ic", "loss")
"""`ic`: mean rank IC, the higher the better; `loss`: squared error, the lower the better."""

_EPOCHS_TOLD = 10
"""Most steps of a fit that are told of; more would cost a trial time and a reader nothing new."""


@dataclasses.dataclass(frozen=True, slots=True)
class FoldScore:
    """What one fold came to.

    Parameters
    ----------
    fold : int
        From 0, in the order in which they are met; see `middle_first`.
    ic : float
        Mean rank IC of the scores with the target, over the fold's test instants.
    loss : float
        Mean squared error of the scores over the test cells, in units of the target's mean square: 1 is what
        scores of zero have.
    seconds : float
        Of fitting and scoring, by the wall clock.
    returns : tuple of float
        Of `paper_returns` at each test instant.
    """

    fold: int
    ic: float
    loss: float
    seconds: float
    returns: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Epoch:
    """One step of a fit, as the model tells of it; see `trader.core.protocols.FitMonitor`."""

    fold: int
    step: int
    n_steps: int
    metrics: Mapping[str, float]


def evaluate(
    data: TrainingSet,
    kind: str,
    params: Mapping[str, Any],
    folds: Sequence[Fold],
    *,
    seed: int,
    done: int = 0,
    cost_bps: float = 0.0,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Iterator[FoldScore]:
    """Fit and score fold after fold.

    A model is handed the data up to the last training instant of its fold and nothing later, so that a score
    cannot know what it is judged by. What lies after the end of training is not in `data` at all.

    Parameters
    ----------
    data : TrainingSet
    kind : str
        A key of `trader.models.base.MODELS`.
    params : mapping
        Its hyperparameters.
    folds : sequence of Fold
    seed : int
        Of the fits.
    done : int, default=0
        Folds that are known already and left out.
    cost_bps : float, default=0.0
        See `paper_returns`.
    on_epoch : callable, optional
        Told of at most ten steps of each fit.

    Raises
    ------
    ModelError
        If a fold's scores say nothing (NaN everywhere, or no order among symbols).
    """
    for number, fold in list(enumerate(folds))[done:]:
        began = time.perf_counter()
        seen = int(fold.train[-1]) + 1
        model = create(kind, **params).fit_panel(
            data.features[:seen],
            data.target[:seen],
            feature_names=data.feature_names,
            seed=seed,
            instants=fold.train,
            monitor=_watch(number, on_epoch),
        )
        features, past = past_of(data.features, fold.test, model.context)
        scores = model.predict_panel(features, past)
        yield _judge(data, number, fold, scores, time.perf_counter() - began, cost_bps)


def middle_first(folds: Sequence[Fold]) -> list[Fold]:
    """Return folds in the order in which trials meet them: from the middle of the history outwards.

    Training sets grow from fold to fold, and what suits a short one (strong regularisation) need not suit a long one.
    The middle one orders trials most like the mean over all, so giving trials up by it is wrong least often.

    >>> from trader.validation.splits import WalkForward
    >>> [fold.test.tolist() for fold in middle_first(list(WalkForward(5, horizon=1, delay=0).split(12)))]
    [[6, 7], [8, 9], [4, 5], [10, 11], [2, 3]]
    """
    middle = (len(folds) - 1) / 2
    by_distance = sorted(range(len(folds)), key=lambda place: (abs(place - middle), -place))
    return [folds[place] for place in by_distance]


def score_of(folds: Sequence[FoldScore], metric: Metric) -> float:
    """Return a trial's score after some folds, higher is better; NaN for none.

    >>> score_of([FoldScore(0, 0.02, 0.99, 1.0, ()), FoldScore(1, 0.04, 0.97, 1.0, ())], "loss")
    -0.98
    """
    if not folds:
        return math.nan
    return float(np.mean([fold.ic if metric == "ic" else -fold.loss for fold in folds]))


def paper_returns(scores: FloatArray, returns: FloatArray, cost_bps: float = 0.0) -> FloatArray:
    """Return what a portfolio that follows the scores earns at each instant.

    Long above the cross-section's mean score and short below it, in proportion, with gross exposure 1; renewed at
    every instant. It is no strategy: it makes trials comparable in the unit that the deflated Sharpe ratio needs.

    Parameters
    ----------
    scores : ndarray of shape (n_slices, n_symbols)
        NaN holds nothing.
    returns : ndarray of shape (n_slices, n_symbols)
        One bar's return that a decision at that instant earns; NaN counts as 0.
    cost_bps : float, default=0.0
        Taken from each unit of value traded.

    Returns
    -------
    ndarray of shape (n_slices,)

    Examples
    --------
    >>> paper_returns(np.array([[1.0, 3.0]]), np.array([[0.01, 0.03]])).round(9).tolist()
    [0.01]
    """
    known = np.isfinite(scores)
    counts = known.sum(axis=1, keepdims=True)
    means = np.where(known, scores, 0.0).sum(axis=1, keepdims=True) / np.maximum(counts, 1)
    centred = np.where(known, scores - means, 0.0)
    gross = np.abs(centred).sum(axis=1, keepdims=True)
    weights = np.divide(centred, gross, out=np.zeros(scores.shape), where=gross > 0.0)
    traded = np.abs(np.diff(weights, axis=0, prepend=np.zeros((1, scores.shape[1])))).sum(axis=1)
    earned: FloatArray = (weights * np.nan_to_num(returns)).sum(axis=1) - traded * cost_bps * 1e-4
    return earned


def _judge(
    data: TrainingSet, number: int, fold: Fold, scores: FloatArray, seconds: float, cost_bps: float
) -> FoldScore:
    target = data.target[fold.test]
    known = np.isfinite(scores) & np.isfinite(target)
    ics = information_coefficient(scores, target, min_symbols=min(5, target.shape[1]))
    if not known.any() or (target.shape[1] > 1 and not np.isfinite(ics).any()):
        raise ModelError(f"the scores of fold {number + 1} say nothing: {_ailment(scores)}")
    # The target of the last test instants looks past the fold; the next bar's return does not have to.
    earned = forward_returns(data.closes[: int(fold.test[-1]) + 3], 1, ENTRY_DELAY)[fold.test]
    return FoldScore(
        fold=number,
        ic=float(np.nanmean(ics)) if np.isfinite(ics).any() else math.nan,
        loss=float(np.mean((scores - target)[known] ** 2) / np.mean(target[known] ** 2)),
        seconds=seconds,
        returns=tuple(paper_returns(scores, earned, cost_bps).tolist()),
    )


def _ailment(scores: FloatArray) -> str:
    if not np.isfinite(scores).any():
        return "the model abstained everywhere"
    return "no two symbols ever differ"


def _watch(fold: int, on_epoch: Callable[[Epoch], None] | None) -> Callable[[int, int, Mapping[str, float]], bool]:
    def monitor(step: int, n_steps: int, metrics: Mapping[str, float]) -> bool:
        # Steps that open a new tenth of the fit, and the last.
        opens = step * _EPOCHS_TOLD // n_steps > (step - 1) * _EPOCHS_TOLD // n_steps
        if on_epoch is not None and opens:
            on_epoch(Epoch(fold, step, n_steps, dict(metrics)))
        return True

    return monitor
