"""The challenger's ensemble: the champion's with one member replaced. What cannot be is refused before training."""

from __future__ import annotations

import dataclasses

import numpy as np

from trader.core.errors import ConflictError, SettingsError
from trader.core.protocols import Model
from trader.engine.members import load_member
from trader.experiments.book import ExperimentBook
from trader.experiments.spec import ExperimentSpec
from trader.models.dataset import TrainingSet
from trader.models.ensemble import Ensemble
from trader.models.training import VERSION, score_scale
from trader.registry import Registry
from trader.settings import Settings
from trader.storage import Store

__all__ = ["Challenger", "challenger_ensemble", "load_challenger", "planned_experiment"]


@dataclasses.dataclass(frozen=True, slots=True)
class Challenger:
    """The challenger of a run's experiment, loaded.

    Parameters
    ----------
    spec : ExperimentSpec
    model : Model
    """

    spec: ExperimentSpec
    model: Model


def planned_experiment(settings: Settings, store: Store) -> ExperimentSpec | None:
    """Return the experiment that a new run would join, None if its settings name none.

    Raises
    ------
    NotFoundError
        If there is no such experiment.
    ConflictError
        If it is over, or part of another run.
    SettingsError
        If the models of the run are loaded from a folder.
    """
    name = settings.experiment.name
    if not name:
        return None
    if settings.models.load_from is not None:
        raise SettingsError(
            f"experiment.name={name!r} is not allowed with models.load_from: "
            "the challenger is weighed by what both variants say of the training data"
        )
    experiment = ExperimentBook(store).get(name)
    if experiment.phase != "registered":
        raise ConflictError(f"experiment {name!r} is {experiment.phase}; register a new one")
    return experiment.spec


def load_challenger(
    settings: Settings, store: Store, spec: ExperimentSpec, *, feature_names: tuple[str, ...], start_ns: int
) -> Challenger:
    """Load the challenger of an experiment for a run whose models are not trained yet.

    Parameters
    ----------
    settings : Settings
        With exact references for registered members.
    store : Store
    spec : ExperimentSpec
    feature_names : tuple of str
        The schema of the run.
    start_ns : int
        First instant that is traded; a challenger that has seen labels of it or later is refused.

    Raises
    ------
    NotFoundError
        If there is no such version.
    SettingsError
        If the experiment's champion will not be a member of the run, or its challenger will be one.
    ModelError
        If the challenger cannot be loaded, or not be traded in this run.
    """
    members = [name if "@" in name else f"{name}@{VERSION}" for name in settings.models.members]
    if spec.champion not in members:
        raise SettingsError(
            f"experiment {spec.name!r} compares {spec.champion}, which is not a member of this run; "
            f"models.members gave {', '.join(members)}"
        )
    if spec.challenger in members:
        raise SettingsError(f"the challenger {spec.challenger} is a member of this run already, beside {spec.champion}")
    registry = Registry.of(store, settings.registry)
    return Challenger(spec, load_member(registry, spec.challenger, feature_names=feature_names, start_ns=start_ns)[1])


def challenger_ensemble(challenger: Challenger, champion: Ensemble, data: TrainingSet) -> Ensemble:
    """Return the ensemble of a run with the challenger of its experiment in the champion's place.

    Parameters
    ----------
    challenger : Challenger
    champion : Ensemble
        The run's own.
    data : TrainingSet
        What the scale of the scores is measured on, as that of the other members.
    """
    spec, model = challenger.spec, challenger.model

    def in_place(key: str) -> str:
        return spec.challenger if key == spec.champion else key

    scales = {in_place(key): scale for key, scale in champion.scales.items()}
    return Ensemble(
        {in_place(key): model if key == spec.champion else member for key, member in champion.members.items()},
        {in_place(key): weight for key, weight in champion.weights.items()},
        scales=scales | {spec.challenger: score_scale(model, data, np.arange(len(data)))},
        background=champion.background,
    )
