"""One model, validated walk-forward and, to be registered, fitted on all that may be seen."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.protocols import FitMonitor, Forecast, Model
from trader.models.dataset import TrainingSet
from trader.models.kinds import create
from trader.models.walk_forward import past_of, walk_forward_folds
from trader.settings.sections import ModelSettings
from trader.validation.splits import Fold

__all__ = ["Candidate", "Step", "Validated", "forecast_folds", "train_candidate", "validate"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Progress = Callable[[str, float], None]
Step = Mapping[str, float]
"""What a fit said of one of its steps: `step`, and its metrics."""


@dataclasses.dataclass(frozen=True, slots=True)
class Validated:
    """What a kind of model forecast on data that its folds had not seen.

    Parameters
    ----------
    kind : str
    params : mapping
        Hyperparameters, defaults left out.
    folds : tuple of Fold
    forecast : Forecast
        Out of sample, by the models of the folds; of the whole training set, NaN outside the test folds.
    curve : tuple of Step
        Learning curve of the last fit; empty where that was in one step, or none was asked for.
    seconds : float
        Wall time of all fits.
    """

    kind: str
    params: Mapping[str, Any]
    folds: tuple[Fold, ...]
    forecast: Forecast
    curve: tuple[Step, ...]
    seconds: float


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate(Validated):
    """What was validated, with the model to keep.

    Parameters
    ----------
    model : Model
        Fitted on every label of the training set.
    """

    model: Model


def validate(
    data: TrainingSet,
    kind: str,
    params: Mapping[str, Any] | None = None,
    *,
    settings: ModelSettings,
    seed: int,
    on_progress: Progress | None = None,
) -> Validated:
    """Validate one model walk-forward with purge and embargo; nothing is kept of what the folds fitted.

    Parameters
    ----------
    data : TrainingSet
    kind : str
        As in `trader.models.kinds.create`.
    params : mapping, optional
        Its hyperparameters.
    settings : ModelSettings
        For the folds: `n_splits`, `embargo`, `min_train_rows`.
    seed : int
    on_progress : callable, optional
        Told what is being done and the share of the whole that is.

    Raises
    ------
    NotFoundError, DataError
        If there is no such kind or hyperparameter.
    ModelError
        If there is too little data for the folds.
    """
    params = dict(params or {})
    create(kind, **params)
    tell = on_progress or (lambda *_: None)
    folds = walk_forward_folds(data, settings)
    started = time.perf_counter()

    def fit_fold(number: int, train: IntArray) -> Model:
        tell(f"fold {number + 1} of {len(folds)}", number / len(folds))
        return data.fit(create(kind, **params), seed=seed, instants=train)

    forecast = forecast_folds(data, folds, fit_fold)
    seconds = time.perf_counter() - started
    return Validated(kind, MappingProxyType(params), tuple(folds), forecast, curve=(), seconds=seconds)


def train_candidate(
    data: TrainingSet,
    kind: str,
    params: Mapping[str, Any] | None = None,
    *,
    settings: ModelSettings,
    seed: int,
    monitor: FitMonitor | None = None,
    on_progress: Progress | None = None,
) -> Candidate:
    """Validate one model as `validate` does, then fit it on every label.

    Parameters
    ----------
    data, kind, params, settings, seed, on_progress
        As in `validate`.
    monitor : callable, optional
        Told of the steps of the last fit; see `trader.core.protocols.FitMonitor`.

    Raises
    ------
    NotFoundError, DataError, ModelError
        As in `validate`.
    """
    tell = on_progress or (lambda *_: None)
    n_fits = settings.n_splits + 1
    found = validate(
        data,
        kind,
        params,
        settings=settings,
        seed=seed,
        on_progress=lambda stage, share: tell(stage, share * settings.n_splits / n_fits),
    )
    tell("all training data", settings.n_splits / n_fits)
    curve: list[Step] = []

    def watch(step: int, total: int, metrics: Mapping[str, float]) -> bool:
        curve.append(MappingProxyType({"step": float(step), **metrics}))
        return monitor is None or monitor(step, total, metrics)

    started = time.perf_counter()
    model = data.fit(create(kind, **found.params), seed=seed, monitor=watch)
    tell("trained", 1.0)
    return Candidate(
        kind=kind,
        params=found.params,
        folds=found.folds,
        forecast=found.forecast,
        curve=tuple(curve),
        seconds=found.seconds + time.perf_counter() - started,
        model=model,
    )


def forecast_folds(data: TrainingSet, folds: list[Fold], fit: Callable[[int, IntArray], Model]) -> Forecast:
    """Forecast the test instants of each fold by what was fitted on its training instants.

    `fit` is given the number of the fold and its training instants. The fields of the result have the length of
    the whole set and are NaN outside the test folds.

    Raises
    ------
    DataError
        If there is no fold.
    """
    whole: dict[str, FloatArray] = {}
    levels: tuple[float, ...] = ()
    for number, fold in enumerate(folds):
        model = fit(number, fold.train)
        features, past = past_of(data.features, fold.test, model.context)
        found = model.forecast(features, past)
        levels = found.levels
        for field in ("score", "probability_up", "quantiles", "volatility"):
            part: FloatArray = getattr(found, field)
            empty = np.full((len(data), *part.shape[1:]), np.nan)
            whole.setdefault(field, empty)[fold.test] = part
    if not whole:
        raise DataError("folds is empty; at least one is needed")
    return Forecast(levels=levels, **whole)
