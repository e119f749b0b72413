"""What somebody wants of a standing application, and the versions that it means now. No Ray."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from serve.assembling import assemble
from serve.plan import Serving
from trader.core.errors import ConflictError, SettingsError, UserError
from trader.experiments.assignment import Split
from trader.experiments.book import Experiment, ExperimentBook
from trader.models.artifacts import load_ensemble, read_manifest
from trader.registry import Registry
from trader.settings import RegistrySettings
from trader.storage import Store

__all__ = ["Intent", "Wanted", "intent_of", "members_of", "realised"]


class Wanted(BaseModel):
    """What is wanted of an application, as it was asked for.

    Raises
    ------
    UserError
        By `of`: if a field is not allowed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    members: tuple[str, ...] = ()
    """References of registered versions; `linear@champion` follows the champion. Either these or `models`."""
    models: Path | None = None
    """Folder of a saved ensemble."""
    weights: dict[str, float] = Field(default={})
    """Of all members, named as in `members` or, for a folder, as in it; equal or as saved where none are given."""
    experiment: str | None = None
    """Experiment whose challenger answers for its share of the symbols."""
    share: float | None = Field(None, ge=0, le=1)
    """That share; as registered where it is not given, and none for a shadow."""

    @classmethod
    def of(cls, **fields: object) -> Self:
        """Return what the fields say."""
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "what is wanted"
            raise UserError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if (self.models is None) == (not self.members):
            raise ValueError("either members or models are needed")
        if self.members and self.weights and set(self.weights) != set(self.members):
            raise ValueError(f"weights are given for {sorted(self.weights)}; the members are {sorted(self.members)}")
        if self.experiment is not None and self.models is not None:
            raise ValueError("an experiment needs members that are registered versions, and models is a folder")
        if self.share is not None and self.experiment is None:
            raise ValueError(f"share={self.share} needs an experiment")
        return self


@dataclasses.dataclass(frozen=True, slots=True)
class Intent:
    """What `Wanted` means at a moment: exact versions, and who answers for what.

    Parameters
    ----------
    champion : tuple of str
        `name@version` of the members, or none for a folder.
    models : Path or None
    weights : tuple of float
        In the order of the members; none are as saved.
    challenger : tuple of str
        Members of the challenger; none if there is none.
    split : Split or None
        Of the experiment.
    """

    champion: tuple[str, ...]
    models: Path | None
    weights: tuple[float, ...]
    challenger: tuple[str, ...] = ()
    split: Split | None = None

    def pinned(self) -> Wanted:
        """Return a wish for the champion's exact versions, whatever becomes of aliases and experiments."""
        weights = dict(zip(members_of(self), self.weights, strict=True)) if self.weights else {}
        return Wanted(members=self.champion, models=self.models, weights=weights)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return dataclasses.asdict(self) | {"models": None if self.models is None else str(self.models)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Intent:
        """Return what `to_dict` was made of."""
        models, split = content["models"], content["split"]
        return cls(
            champion=tuple(content["champion"]),
            models=None if models is None else Path(models),
            weights=tuple(content["weights"]),
            challenger=tuple(content["challenger"]),
            split=None if split is None else Split(**split),
        )


def intent_of(wanted: Wanted, store: Store, settings: RegistrySettings) -> Intent:
    """Return what is meant now; cheap, so that it can be asked every second.

    An experiment that runs adds its challenger. One that was promoted has its challenger in the champion's place, also
    where `wanted` names the champion's version; one that was stopped or rolled back changes nothing.

    Raises
    ------
    NotFoundError
        If a version or the experiment does not exist.
    ModelError
        If the folder holds no ensemble.
    UserError
        If the weights are not those of the folder's members.
    ConflictError
        If the experiment's champion is not served, or its challenger is beside it.
    """
    if wanted.models is not None:
        folder = wanted.models.resolve()
        return Intent((), folder, _in_order(wanted.weights, folder))
    registry = Registry.of(store, settings)
    members = tuple(registry.resolve(ref).ref for ref in wanted.members)
    weights = tuple(wanted.weights[ref] for ref in wanted.members) if wanted.weights else ()
    if wanted.experiment is None:
        return Intent(members, None, weights)
    experiment = ExperimentBook(store).get(wanted.experiment)
    spec = experiment.spec
    if experiment.phase == "promoted":
        return Intent(_in_place(members, spec.champion, spec.challenger), None, weights)
    if experiment.phase in ("stopped", "rolled back"):
        return Intent(members, None, weights)
    if spec.champion not in members or spec.challenger in members:
        raise ConflictError(
            f"experiment {spec.name!r} compares {spec.challenger} with {spec.champion}; {', '.join(members)} are served"
        )
    challenger = _in_place(members, spec.champion, spec.challenger)
    return Intent(members, None, weights, challenger, _split(experiment, wanted.share))


def realised(intent: Intent, registry: Registry, parent: Path, timeout_s: float) -> tuple[Serving, str]:
    """Return what is to be served, its ensembles saved below `parent`, and where their scales come from.

    Raises
    ------
    ModelError
        If files were changed, or members do not fit together.
    SettingsError
        If weights are not allowed.
    """
    if intent.models is not None:
        members = tuple(load_ensemble(intent.models).members)
        return Serving(model_dir=intent.models, weights=_named(members, intent.weights)), "as saved with the ensemble"
    made = assemble(registry, intent.champion, parent)
    serving = Serving(model_dir=made.folder, weights=_named(intent.champion, intent.weights))
    if intent.split is not None:
        beside = assemble(registry, intent.challenger, parent)
        serving = serving.model_copy(
            update={
                "challenger_dir": beside.folder,
                "challenger_weights": _named(intent.challenger, intent.weights),
                "experiment": intent.split.salt,
                "challenger_share": intent.split.challenger,
                "holdout": intent.split.holdout,
                "challenger_timeout_s": timeout_s,
            }
        )
    return serving, made.scales_from


def _split(experiment: Experiment, share: float | None) -> Split:
    registered = experiment.spec.split
    if share is None or share == registered.challenger:
        return registered
    if experiment.spec.kind == "shadow":
        raise ConflictError(f"share={share} is not allowed: {experiment.spec.name!r} is a shadow, and answers nothing")
    return registered.at(share)


def _in_order(weights: Mapping[str, float], folder: Path) -> tuple[float, ...]:
    members = _members(folder)
    if weights and set(weights) != set(members):
        raise UserError(f"weights are given for {sorted(weights)}; the members of {folder} are {sorted(members)}")
    return tuple(weights[key] for key in members) if weights else ()


def members_of(intent: Intent) -> tuple[str, ...]:
    """Return the champion's members, `name@version`."""
    return intent.champion if intent.models is None else _members(intent.models)


def _members(folder: Path) -> tuple[str, ...]:
    return tuple(member["key"] for member in read_manifest(folder)["members"])


def _in_place(members: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    if new in members:
        return members
    return tuple(new if ref == old else ref for ref in members)


def _named(members: tuple[str, ...], weights: tuple[float, ...]) -> dict[str, float]:
    named = dict(zip(members, weights, strict=True)) if weights else {}
    for ref, weight in named.items():
        if not 0.0 <= weight < float("inf"):
            raise SettingsError(f"weights[{ref!r}]={weight} is not allowed; it is finite and not negative")
    if named and not any(weights):
        raise SettingsError(f"weights of {', '.join(members)} are all 0; at least one must be positive")
    return named
