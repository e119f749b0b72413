"""What an application serves, as data, and the steps from one state to the next. No Ray."""

# No `from __future__ import annotations`: Ray Serve reads `AppArgs`, which is made of `Serving`, from a signature.

import hashlib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Plan", "Serving", "deployment_of", "retired", "stages"]


class Serving(BaseModel):
    """Which ensembles are loaded, and who answers."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)

    model_dir: Path
    """Folder of a saved ensemble, the champion; every node that runs a replica must see it."""
    weights: dict[str, float] = {}
    """Of the champion's members; as saved where none are given."""
    challenger_dir: Path | None = None
    """Folder of the ensemble of an experiment's challenger, which gets a deployment of its own."""
    challenger_weights: dict[str, float] = {}
    """Of the challenger's members; as saved where none are given."""
    experiment: str = "challenger"
    """Name of the experiment; symbols are assigned by it."""
    challenger_share: float = Field(0.0, ge=0, le=1)
    """Share of the symbols that the challenger answers for; 0 for a shadow."""
    holdout: float = Field(0.0, ge=0, le=1)
    """Share of the symbols that the experiment leaves out."""
    challenger_timeout_s: float = Field(2.0, gt=0)
    """How long the challenger may take; the champion answers for all symbols after that."""
    fallback_dir: Path | None = None
    """Folder of the champion before this one, kept loaded: traffic goes back to it when this one fails."""
    fallback_weights: dict[str, float] = {}
    """Of that champion's members."""
    warm: tuple[Path, ...] = ()
    """Folders of ensembles that are loaded and answer nothing yet."""

    @model_validator(mode="after")
    def _each_folder_has_one_part(self) -> Self:
        if self.challenger_dir is not None and self.challenger_dir.resolve() == self.model_dir.resolve():
            raise ValueError(f"challenger_dir={self.challenger_dir} is model_dir too; a challenger is another ensemble")
        return self

    @property
    def folders(self) -> dict[Path, dict[str, float]]:
        """All folders that are loaded, each once, and the weights of their members."""
        found = {self.model_dir.resolve(): self.weights}
        for folder, weights in (
            (self.challenger_dir, self.challenger_weights),
            (self.fallback_dir, self.fallback_weights),
            *((folder, {}) for folder in self.warm),
        ):
            if folder is not None:
                found.setdefault(folder.resolve(), weights)
        return found


class Plan(BaseModel):
    """Which deployment does what; the ingress is told it, and told again when it changes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    champion: str
    challenger: str | None = None
    fallback: str | None = None
    experiment: str = "challenger"
    share: float = 0.0
    holdout: float = 0.0
    timeout_s: float = 2.0

    @classmethod
    def of(cls, serving: Serving) -> Self:
        """Return the plan that what is served comes to."""
        challenger, fallback = serving.challenger_dir, serving.fallback_dir
        return cls(
            champion=deployment_of(serving.model_dir),
            challenger=None if challenger is None else deployment_of(challenger),
            fallback=None if fallback is None else deployment_of(fallback),
            experiment=serving.experiment,
            share=serving.challenger_share,
            holdout=serving.holdout,
            timeout_s=serving.challenger_timeout_s,
        )


def deployment_of(folder: Path) -> str:
    """Return the name of the deployment that holds the ensemble of a folder.

    >>> deployment_of(Path("/models/one"))
    'ensemble-4e7e7a68'
    """
    return f"ensemble-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def stages(now: Serving, wanted: Serving) -> tuple[Serving, ...]:
    """Return the states to pass through: what is new is loaded and checked before traffic moves to it.

    A champion that is replaced stays loaded as the fallback, until `retired`.

    Parameters
    ----------
    now, wanted : Serving
        `fallback_dir` and `warm` of `wanted` are not looked at.
    """
    if now.model_dir.resolve() != wanted.model_dir.resolve():
        fallback = {"fallback_dir": now.model_dir, "fallback_weights": now.weights}
    else:
        fallback = {"fallback_dir": now.fallback_dir, "fallback_weights": now.fallback_weights}
    switched = wanted.model_copy(update={**fallback, "warm": ()})
    new = tuple(folder for folder in switched.folders if folder not in now.folders)
    if not new:
        return (switched,)
    return now.model_copy(update={"warm": (*now.warm, *new)}), switched


def retired(now: Serving) -> Serving:
    """Return the state without what answers nothing."""
    return now.model_copy(update={"fallback_dir": None, "fallback_weights": {}, "warm": ()})
