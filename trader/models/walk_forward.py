"""Out-of-sample scores by walk-forward: fit on the past, score what follows, move on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError, SettingsError
from trader.core.protocols import Predictor
from trader.models.dataset import TrainingSet
from trader.models.targets import ENTRY_DELAY
from trader.settings.sections import ModelSettings
from trader.validation.splits import Fold, WalkForward

__all__ = ["past_of", "score_folds", "walk_forward_folds"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def walk_forward_folds(data: TrainingSet, settings: ModelSettings) -> list[Fold]:
    """Return the folds after the warm-up whose training set has `settings.min_train_rows` usable rows.

    Raises
    ------
    ModelError
        If there are fewer usable rows than that in all, or too few instants for any fold.
    """
    usable = data.usable
    if (n_rows := int(usable.sum())) < settings.min_train_rows:
        raise ModelError(
            f"{n_rows} rows have known features and a label by the end of training; "
            f"min_train_rows={settings.min_train_rows} are needed"
        )
    first = data.first
    splitter = WalkForward(
        settings.n_splits,
        data.horizon,
        settings.embargo,
        delay=ENTRY_DELAY,
        first_test=_first_test(data, first, settings.validate_from),
    )
    try:
        folds = [Fold(fold.train + first, fold.test + first) for fold in splitter.split(len(data) - first)]
    except DataError as error:
        raise ModelError(f"the training data cannot be validated: {error}") from error
    folds = [fold for fold in folds if usable[fold.train].sum() >= settings.min_train_rows]
    if not folds:
        raise ModelError(
            f"no fold of n_splits={settings.n_splits} has min_train_rows={settings.min_train_rows} rows to train on"
        )
    return folds


def _first_test(data: TrainingSet, first: int, day: str | None) -> int | None:
    if day is None:
        return None
    try:
        start_ns = int(np.datetime64(day, "D").astype("datetime64[ns]").astype(np.int64))
    except ValueError:
        raise SettingsError(f"models.validate_from={day!r} is not a day; write it as 2005-01-01") from None
    found = int(np.searchsorted(data.ts_ns, start_ns)) - first
    if not 0 < found < len(data) - first:
        raise SettingsError(f"models.validate_from={day} is not inside the training data, after its warm-up")
    return found


def score_folds(
    data: TrainingSet,
    folds: Sequence[Fold],
    fit: Callable[[int, IntArray], Predictor],
) -> dict[str, FloatArray]:
    """Score the test instants of each fold by what was fitted on its training instants.

    Parameters
    ----------
    data : TrainingSet
    folds : sequence of Fold
    fit : callable
        Given the number of the fold and its training instants, returns a fitted predictor.

    Returns
    -------
    dict of str to ndarray of shape (n_slices, n_symbols)
        By member, and the combined score under `ensemble`; NaN outside the test folds.
    """
    scores: dict[str, FloatArray] = {}
    for number, fold in enumerate(folds):
        predictor = fit(number, fold.train)
        features, past = past_of(data.features, fold.test, predictor.context)
        prediction = predictor(features, past)
        for name, score in {"ensemble": prediction.score, **prediction.members}.items():
            scores.setdefault(name, np.full(data.target.shape, np.nan))[fold.test] = score
    return scores


def past_of(features: FloatArray, instants: IntArray, context: int) -> tuple[FloatArray, int]:
    """Return the features of consecutive instants with the past that a model of that context reads.

    Returns
    -------
    ndarray of shape (n_past + n_instants, n_symbols, n_features), int
        And `n_past`, the number of instants before the first asked for.
    """
    first, last = int(instants[0]), int(instants[-1])
    past = min(first, context - 1)
    return features[first - past : last + 1], past
