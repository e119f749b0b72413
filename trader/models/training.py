"""From history to a served ensemble: walk-forward validation, then a fit on all that may be seen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import SettingsError
from trader.core.protocols import Model
from trader.models.background import Background, draw_background
from trader.models.base import create, preset
from trader.models.dataset import TrainingSet
from trader.models.ensemble import Ensemble
from trader.models.report import TrainingReport, score_report
from trader.models.walk_forward import score_folds, walk_forward_folds
from trader.settings.sections import ModelSettings

__all__ = [
    "VERSION",
    "TrainedEnsemble",
    "build_member",
    "check_members",
    "score_scale",
    "train_ensemble",
    "training_background",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Progress = Callable[[str, float], None]

VERSION = "1.0.0"
"""Version of members trained for one run only; their content hash is in the artefact."""


@dataclasses.dataclass(frozen=True, slots=True)
class TrainedEnsemble:
    """What training gives: the ensemble, and how well it did on data that its folds had not seen."""

    ensemble: Ensemble
    report: TrainingReport


def train_ensemble(
    data: TrainingSet,
    *,
    settings: ModelSettings,
    seed: int,
    registered: Mapping[str, Model] | None = None,
    on_progress: Progress | None = None,
) -> TrainedEnsemble:
    """Validate the members walk-forward, then fit them on every label of the set.

    A row of a symbol at an instant is used where its target is known and half of its features are, which leaves
    out the warm-up.

    Parameters
    ----------
    data : TrainingSet
    settings : ModelSettings
        Members that are named with a version (`boosting@1.2.0`) are not trained but taken from `registered`.
    seed : int
    registered : mapping of str to Model, optional
        Members that were fitted before, by `name@version`. They take no part in the validation: what they have
        seen is not the folds' to say.
    on_progress : callable, optional
        Told what is being done and the share of the whole that is.

    Raises
    ------
    SettingsError
        If the members or weights of the settings cannot be.
    ModelError
        If there are fewer usable rows than `settings.min_train_rows`, or too few instants for the folds.
    """
    check_members(settings)
    tell = on_progress or (lambda *_: None)
    kinds = [name for name in settings.members if "@" not in name]
    folds = walk_forward_folds(data, settings) if kinds else []
    work = len(folds) + 1

    def fit_fold(number: int, train: IntArray) -> Ensemble:
        tell(f"validating models, fold {number + 1} of {len(folds)}", number / work)
        return _fit_ensemble(data, train, kinds, settings, seed)

    out_of_sample = score_folds(data, folds, fit_fold) if kinds else {}
    tell("fitting models on all training data", len(folds) / work)
    ensemble = _fit_ensemble(
        data, np.arange(len(data)), settings.members, settings, seed, registered or {}, training_background(data, seed)
    )
    report = TrainingReport(
        train_start_ns=int(data.ts_ns[data.first]),
        train_end_ns=int(data.ts_ns[-1]),
        horizon=data.horizon,
        n_rows=int(data.usable.sum()),
        n_features=len(data.feature_names),
        n_symbols=len(data.symbols),
        folds=tuple((int(data.ts_ns[fold.test[0]]), int(data.ts_ns[fold.test[-1]])) for fold in folds),
        scores={
            name.partition("@")[0]: score_report(
                scores, data.target, [fold.test for fold in folds], data.ts_ns, data.horizon
            )
            for name, scores in out_of_sample.items()
        },
        weights=dict(ensemble.weights),
        scales=dict(ensemble.scales),
    )
    tell("models trained", 1.0)
    return TrainedEnsemble(ensemble, report)


def build_member(kind: str, settings: ModelSettings) -> Model:
    """Return an unfitted model: the preset of the settings, changed by their `params` of that kind."""
    return create(kind, **(dict(preset(kind, settings.preset)) | settings.params.get(kind, {})))


def score_scale(model: Model, data: TrainingSet, instants: IntArray) -> float:
    """Return the standard deviation of a model's scores on the usable rows of rising instants, 1 if constant."""
    first, last = int(instants[0]), int(instants[-1])
    past = min(first, model.context - 1)
    scores = model.predict_panel(data.features[first - past : last + 1], past)[instants - first]
    scale = float(np.nanstd(scores[data.usable[instants]]))
    return scale if scale > 0.0 else 1.0


def check_members(settings: ModelSettings) -> None:
    """Raise SettingsError if the members, their parameters or weights of the settings cannot be."""
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
        if "@" not in name:
            build_member(name, settings)
    if unused := sorted(set(settings.params) - set(settings.members)):
        raise SettingsError(f"models.params names {unused[0]!r}, which is not among models.members")


def _fit_ensemble(
    data: TrainingSet,
    instants: IntArray,
    names: Sequence[str],
    settings: ModelSettings,
    seed: int,
    registered: Mapping[str, Model] | None = None,
    background: Background | None = None,
) -> Ensemble:
    members: dict[str, Model] = {}
    scales: dict[str, float] = {}
    for name in names:
        if registered is not None and name in registered:
            key, model = name, registered[name]
        else:
            key, model = f"{name}@{VERSION}", build_member(name, settings)
            data.fit(model, seed=seed, instants=instants)
        members[key] = model
        scales[key] = score_scale(model, data, instants)
    given = dict(zip(settings.members, settings.weights, strict=False))
    weights = [given[name] for name in names] if given else None
    return Ensemble(members, weights if weights and any(weights) else None, scales=scales, background=background)


def training_background(data: TrainingSet, seed: int) -> Background:
    """Return the sample of training rows that explanations are relative to."""
    rows = data.features[data.usable]
    first, last = (str(np.datetime64(int(data.ts_ns[at]), "ns").astype("datetime64[D]")) for at in (data.first, -1))
    return draw_background(rows, seed, source=f"drawn by seed {seed} from {len(rows)} of training, {first} to {last}")
