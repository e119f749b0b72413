"""What the registry gives: frozen records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trader.core.errors import DataError
from trader.registry.states import Alias, State

__all__ = ["AliasMove", "CleanUp", "HistoryEntry", "ModelVersion", "Said"]


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One version of a model.

    A listing makes thousands of them, which a frozen dataclass would take four times as long for.

    Parameters
    ----------
    number : int
        Counts all versions of all models in order of creation; the cursor of listings.
    name, version : str
        `transformer` and `1.2.0`; together the reference `transformer@1.2.0`.
    kind : str
        Which class loads it, a key of `trader.models.base.MODELS`.
    state : State
    aliases : tuple of Alias
    created_ns : int
        UTC nanoseconds.
    who : str
        Who began it.
    metrics : mapping of str to float
        Empty until it is complete. `ic_low` and `ic_high` are the interval of `ic`.
    suspect, acknowledged : bool
        Whether its report is stamped SUSPECT, and whether somebody has said why it is right.
    n_bytes : int
        Size of the artefact; 0 until it is complete.
    content_hash : str
        One SHA-256 for all files of the artefact; empty until it is complete.
    location : str
        Folder of the artefact below the root of all artefacts; empty until it is complete and after clean-up
        took it away.
    """

    number: int
    name: str
    version: str
    kind: str
    state: State
    aliases: tuple[Alias, ...] = ()
    created_ns: int
    who: str
    metrics: Mapping[str, float] = {}
    suspect: bool = False
    acknowledged: bool = False
    n_bytes: int = 0
    content_hash: str = ""
    location: str = ""

    @property
    def ref(self) -> str:
        """The reference that always means this version."""
        return f"{self.name}@{self.version}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"ref": self.ref, **msgspec.structs.asdict(self)}


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """When something was done, by whom and why; an empty text raises DataError."""

    ts_ns: int
    who: str
    why: str

    def __post_init__(self) -> None:
        for field in ("who", "why"):
            if not getattr(self, field).strip():
                raise DataError(f"{field} is empty; the registry keeps who changed a model, and why")


@dataclasses.dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to a version.

    Parameters
    ----------
    ts_ns : int
    what : {"state", "alias", "acknowledged", "removed"}
    before, after : str or None
        States, or the alias that it lost or got.
    who, why : str
    """

    ts_ns: int
    what: Literal["state", "alias", "acknowledged", "removed"]
    before: str | None
    after: str | None
    who: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class AliasMove:
    """An alias that went from one version to another.

    Parameters
    ----------
    name : str
    alias : Alias
    before, after : str or None
        Versions; None where nothing has the alias.
    states : mapping of str to State
        Versions whose state changed with it, and their new state.
    """

    name: str
    alias: Alias
    before: str | None
    after: str | None
    states: Mapping[str, State] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class CleanUp:
    """What clean-up took away, or would.

    Parameters
    ----------
    removed : tuple of str
        References of versions whose artefacts went.
    n_bytes : int
        Their size together.
    leftovers : int
        Folders of uploads that never became a version, or that an earlier clean-up could not delete.
    kept : mapping of str to tuple of str
        Reference to the reasons why it stays, of every other version with an artefact.
    """

    removed: tuple[str, ...]
    n_bytes: int
    leftovers: int
    kept: Mapping[str, tuple[str, ...]]
