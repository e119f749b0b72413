"""The challenger's ensemble: the champion's with one member replaced."""

from __future__ import annotations

import numpy as np

from trader.core.errors import ConflictError, SettingsError
from trader.engine.members import load_member
from trader.experiments.book import ExperimentBook
from trader.models.dataset import TrainingSet
from trader.models.ensemble import Ensemble
from trader.models.training import score_scale
from trader.registry import Registry
from trader.settings import Settings
from trader.storage import Store

__all__ = ["challenger_ensemble"]


def challenger_ensemble(
    settings: Settings, store: Store, champion: Ensemble, data: TrainingSet, *, start_ns: int
) -> Ensemble:
    """Return the ensemble of a run with the challenger of its experiment in the champion's place.

    Parameters
    ----------
    settings : Settings
        Name the experiment.
    store : Store
    champion : Ensemble
        The run's own.
    data : TrainingSet
        What the scale of the scores is measured on, as that of the other members.
    start_ns : int
        First instant that is traded; a challenger that has seen labels of it or later is refused.

    Raises
    ------
    NotFoundError
        If there is no such experiment or version.
    ConflictError
        If the experiment is over, or part of another run.
    SettingsError
        If the experiment's champion is not a member of the run.
    ModelError
        If the challenger cannot be loaded, or not be traded in this run.
    """
    experiment = ExperimentBook(store).get(settings.experiment.name)
    if experiment.phase != "registered":
        raise ConflictError(f"experiment {experiment.spec.name!r} is {experiment.phase}; register a new one")
    spec = experiment.spec
    if spec.champion not in champion.members:
        raise SettingsError(
            f"experiment {spec.name!r} compares {spec.champion}, which is not a member of this run; "
            f"models.members gave {', '.join(champion.members)}"
        )
    ref, model = load_member(
        Registry.of(store, settings.registry), spec.challenger, feature_names=champion.feature_names, start_ns=start_ns
    )
    if ref in champion.members:
        raise SettingsError(f"the challenger {ref} is a member of this run already, beside {spec.champion}")

    def in_place(key: str) -> str:
        return ref if key == spec.champion else key

    scales = {in_place(key): scale for key, scale in champion.scales.items()}
    return Ensemble(
        {in_place(key): model if key == spec.champion else member for key, member in champion.members.items()},
        {in_place(key): weight for key, weight in champion.weights.items()},
        scales=scales | {ref: score_scale(model, data, np.arange(len(data)))},
        background=champion.background,
    )
