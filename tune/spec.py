"""What a search is asked to do."""

from __future__ import annotations

import dataclasses
import datetime as dt
import inspect
import secrets
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from trader.core.errors import DataError, SettingsError
from trader.models.kinds import create, model_class
from tune.journal import check_name
from tune.objective import METRICS, Metric
from tune.space import Space
from tune.spaces import model_space
from tune.suggest import SEARCHERS, choose

__all__ = ["SCHEDULERS", "Scheduler", "SearchSpec", "new_name"]

Scheduler = Literal["asha", "pbt", "none"]

SCHEDULERS: tuple[Scheduler, ...] = ("asha", "pbt", "none")
"""`asha` gives up the worse two thirds of trials after the first folds; `pbt` lets the worse go on from the better
with hyperparameters nearby; `none` lets every trial run to its end."""

_PRESETS = ("ci", "demo", "full")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpec:
    """A search over the hyperparameters of one kind of model.

    Parameters
    ----------
    name : str
    model : str
        A key of `trader.models.base.MODELS`.
    preset : {"ci", "demo", "full"}
        What the model's other hyperparameters are.
    trials : int
        At least 1; with `pbt` the size of the population, at least 4.
    scheduler : {"asha", "pbt", "none"}
    searcher : {"optuna", "random"}
        `pbt` draws its population at random, whatever this says.
    metric : {"ic", "loss"}
    seed : int
    fixed : mapping
        Hyperparameters held at a value.
    concurrent : int
        Trials at once; 0 takes what the cluster has room for. Optuna's suggestions depend on it.
    cpus_per_trial, gpus_per_trial : float
        Fractions share a device.

    Raises
    ------
    UserError
        If a value is not allowed.
    """

    name: str
    model: str
    preset: str = "demo"
    trials: int = 20
    scheduler: Scheduler = "asha"
    searcher: str = "optuna"
    metric: Metric = "ic"
    seed: int = 7
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    concurrent: int = 0
    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0

    def __post_init__(self) -> None:
        check_name(self.name)
        model_class(self.model)
        choose("preset", self.preset, _PRESETS)
        choose("scheduler", self.scheduler, SCHEDULERS)
        choose("searcher", self.searcher, SEARCHERS)
        choose("metric", self.metric, METRICS)
        least = 4 if self.scheduler == "pbt" else 1
        if self.trials < least:
            why = " for a population" if least > 1 else ""
            raise SettingsError(f"trials={self.trials} is not allowed; at least {least} are needed{why}")
        if self.concurrent < 0:
            raise SettingsError(f"concurrent={self.concurrent} is not allowed; 0 takes what the cluster has room for")
        if not self.cpus_per_trial > 0:
            raise SettingsError(f"cpus_per_trial={self.cpus_per_trial} is not allowed; it must be positive")
        if not (0 <= self.gpus_per_trial <= 1 or float(self.gpus_per_trial).is_integer()):
            raise SettingsError(f"gpus_per_trial={self.gpus_per_trial} is not allowed; give a fraction or whole GPUs")
        # Building one says at once whether the fixed values are allowed.
        create(self.model, **self.space.sample(np.random.default_rng(0)))

    @property
    def space(self) -> Space:
        """What it varies; a model that can use the CPUs of a trial is told of them."""
        threads = int(self.cpus_per_trial)
        takes_threads = "n_threads" in inspect.signature(model_class(self.model)).parameters
        own = {"n_threads": threads} if takes_threads and threads > 1 else {}
        return model_space(self.model, self.preset, own | dict(self.fixed))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SearchSpec:
        """Return the spec that `to_dict` gave.

        Raises
        ------
        DataError
            If a field is missing or unknown.
        """
        try:
            return cls(**content)
        except TypeError as error:
            raise DataError(f"the search's specification cannot be read: {error}") from error


def new_name(model: str, now: dt.datetime | None = None) -> str:
    """Return a name that sorts by time within its model.

    >>> new_name("linear", dt.datetime(2024, 5, 6, 7, 8, 9))[:22]
    'linear-20240506-070809'
    """
    return f"{model}-{now or dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
