"""From history to a served ensemble: walk-forward validation, then a fit on all that may be seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError, SettingsError
from trader.core.protocols import Model
from trader.models.base import create, min_known
from trader.models.ensemble import Ensemble
from trader.models.report import TrainingReport, score_report
from trader.models.targets import ENTRY_DELAY, scaled_target
from trader.settings.sections import ModelSettings
from trader.validation.splits import Fold, WalkForward

__all__ = ["VERSION", "TrainedEnsemble", "train_ensemble"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Progress = Callable[[str, float], None]

VERSION = "1.0.0"
"""Version of freshly trained members; their content hash is in the artefact."""

_DAY_NS = 86_400_000_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class TrainedEnsemble:
    """What training gives: the ensemble, and how well it did on data that its folds had not seen."""

    ensemble: Ensemble
    report: TrainingReport


def train_ensemble(
    features: FloatArray,
    feature_names: tuple[str, ...],
    closes: FloatArray,
    ts_ns: IntArray,
    *,
    settings: ModelSettings,
    seed: int,
    train_end_ns: int | None = None,
    on_progress: Progress | None = None,
    transform_target: Callable[[FloatArray], FloatArray] | None = None,
) -> TrainedEnsemble:
    """Validate the members walk-forward, then fit them on every label known by the end of training.

    Nothing after that end is read: data there may be missing or wrong without changing a bit of the result. A
    row of a symbol at an instant is used where its target is known and half of its features are, which leaves
    out the warm-up.

    Parameters
    ----------
    features : ndarray of shape (n_slices, n_symbols, n_features)
        As known at the close of each instant; NaN is missing.
    feature_names : tuple of str
    closes : ndarray of shape (n_slices, n_symbols)
        NaN where a symbol has no bar.
    ts_ns : ndarray of shape (n_slices,)
        Close stamps, strictly increasing.
    settings : ModelSettings
    seed : int
    train_end_ns : int, optional
        The last stamp that may be seen. None takes the end of the day `settings.train_end` (UTC), or the last
        stamp given where that is null too.
    on_progress : callable, optional
        Told what is being done and the share of the whole that is.
    transform_target : callable, optional
        Applied to the target, shape (n_slices, n_symbols), before anything is learnt: `shuffle_labels`.

    Raises
    ------
    DataError
        If the shapes do not agree.
    SettingsError
        If the members or weights of the settings cannot be.
    ModelError
        If there are fewer usable rows than `settings.min_train_rows`, or too few instants for the folds.
    """
    _check_shapes(features, feature_names, closes, ts_ns)
    _check_members(settings)
    tell = on_progress or (lambda *_: None)
    seen = int(np.searchsorted(ts_ns, _end_of_training(settings, ts_ns, train_end_ns), side="right"))
    features, closes, ts_ns = features[:seen], closes[:seen], ts_ns[:seen]
    target = scaled_target(closes, settings.horizon)
    if transform_target is not None:
        target = transform_target(target)
    panel = _Panel(np.ascontiguousarray(features, dtype=np.float64), target, tuple(feature_names))
    n_rows = int(panel.usable.sum())
    if n_rows < settings.min_train_rows:
        raise ModelError(
            f"{n_rows} rows have known features and a label by the end of training; "
            f"min_train_rows={settings.min_train_rows} are needed"
        )
    first = int(np.argmax(panel.usable.any(axis=1)))
    folds = _folds(panel, settings, first)
    work = len(folds) + 1
    out_of_sample = _validate(panel, folds, settings, seed, lambda what, done: tell(what, done / work))
    tell("fitting models on all training data", len(folds) / work)
    ensemble = _fit_ensemble(panel, np.arange(seen), settings, seed)
    report = TrainingReport(
        train_start_ns=int(ts_ns[first]),
        train_end_ns=int(ts_ns[-1]),
        horizon=settings.horizon,
        n_rows=n_rows,
        n_features=len(panel.names),
        n_symbols=int(closes.shape[1]),
        folds=tuple((int(ts_ns[fold.test[0]]), int(ts_ns[fold.test[-1]])) for fold in folds),
        scores={
            name: score_report(scores, target, [fold.test for fold in folds], ts_ns, settings.horizon)
            for name, scores in out_of_sample.items()
        },
        weights=dict(ensemble.weights),
        scales=dict(ensemble.scales),
    )
    tell("models trained", 1.0)
    return TrainedEnsemble(ensemble, report)


class _Panel:
    """Features and target of the training span."""

    def __init__(self, features: FloatArray, target: FloatArray, names: tuple[str, ...]) -> None:
        self.features = features
        self.target = target
        self.names = names
        self.usable = np.isfinite(target) & (np.isfinite(features).sum(axis=2) >= min_known(len(names)))

    def rows(self, instants: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return features (n_rows, n_features) and target (n_rows,) of the usable rows, in order of time."""
        usable = self.usable[instants]
        return self.features[instants][usable], self.target[instants][usable]


def _validate(
    panel: _Panel, folds: list[Fold], settings: ModelSettings, seed: int, tell: Progress
) -> dict[str, FloatArray]:
    """Return scores (n_slices, n_symbols) of each member and the ensemble, NaN outside the test folds."""
    scores = {name: np.full(panel.target.shape, np.nan) for name in (*settings.members, "ensemble")}
    for number, fold in enumerate(folds):
        tell(f"validating models, fold {number + 1} of {len(folds)}", number)
        prediction = _fit_ensemble(panel, fold.train, settings, seed)(panel.features[fold.test])
        scores["ensemble"][fold.test] = prediction.score
        for name, own in zip(settings.members, prediction.members.values(), strict=True):
            scores[name][fold.test] = own
    return scores


def _fit_ensemble(panel: _Panel, instants: IntArray, settings: ModelSettings, seed: int) -> Ensemble:
    features, target = panel.rows(instants)
    members: dict[str, Model] = {}
    scales: dict[str, float] = {}
    for name in settings.members:
        model = create(name).fit(features, target, feature_names=panel.names, seed=seed)
        members[f"{name}@{VERSION}"] = model
        scale = float(np.nanstd(model.predict(features)))
        scales[f"{name}@{VERSION}"] = scale if scale > 0.0 else 1.0  # a constant score has nothing to scale
    return Ensemble(members, settings.weights, scales=scales)


def _folds(panel: _Panel, settings: ModelSettings, first: int) -> list[Fold]:
    """Return the folds after the warm-up whose training set is large enough."""
    splitter = WalkForward(settings.n_splits, settings.horizon, settings.embargo, delay=ENTRY_DELAY)
    try:
        folds = [Fold(fold.train + first, fold.test + first) for fold in splitter.split(panel.target.shape[0] - first)]
    except DataError as error:
        raise ModelError(f"the training data cannot be validated: {error}") from error
    folds = [fold for fold in folds if panel.usable[fold.train].sum() >= settings.min_train_rows]
    if not folds:
        raise ModelError(
            f"no fold of n_splits={settings.n_splits} has min_train_rows={settings.min_train_rows} rows to train on"
        )
    return folds


def _end_of_training(settings: ModelSettings, ts_ns: IntArray, train_end_ns: int | None) -> int:
    if train_end_ns is not None:
        return train_end_ns
    if settings.train_end is None:
        return int(ts_ns[-1])
    try:
        day = np.datetime64(settings.train_end, "D")
    except ValueError:
        raise SettingsError(f"models.train_end={settings.train_end!r} is not a day; write it as 2015-12-31") from None
    return (int(day.astype(np.int64)) + 1) * _DAY_NS - 1


def _check_shapes(features: FloatArray, names: tuple[str, ...], closes: FloatArray, ts_ns: IntArray) -> None:
    if features.ndim != 3 or features.shape[2] != len(names):
        raise DataError(f"features have shape {features.shape}; (n_slices, n_symbols, {len(names)}) is needed")
    if closes.shape != features.shape[:2] or ts_ns.shape != features.shape[:1]:
        raise DataError(
            f"closes have shape {closes.shape} and ts_ns {ts_ns.shape}; "
            f"features of {features.shape} need {features.shape[:2]} and {features.shape[:1]}"
        )
    if ts_ns.size == 0 or np.any(np.diff(ts_ns) <= 0):
        raise DataError("ts_ns must hold at least one stamp and increase strictly")


def _check_members(settings: ModelSettings) -> None:
    if not settings.members:
        raise SettingsError("models.members is empty; name at least one model")
    if len(set(settings.members)) != len(settings.members):
        raise SettingsError(f"models.members={settings.members} hold a model more than once")
    if settings.weights and len(settings.weights) != len(settings.members):
        raise SettingsError(
            f"models.weights has {len(settings.weights)} values; models.members has {len(settings.members)}"
        )
    if settings.weights and not any(settings.weights):
        raise SettingsError("models.weights are all 0; at least one must be positive")
    for name in settings.members:
        create(name)
