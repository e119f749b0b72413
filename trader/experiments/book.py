"""Experiments as the store keeps them: what was planned, and everything that happened since, append-only."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, Engine, insert, select

from trader.core.errors import ConflictError, NotFoundError
from trader.experiments.spec import ExperimentSpec
from trader.registry.database import Database
from trader.registry.records import Said
from trader.storage import Store
from trader.storage.codec import from_json, to_json
from trader.storage.experiment_tables import experiment_events, experiments

__all__ = ["Entry", "ExperimentBook", "Experiment", "Happening", "Phase"]

Phase = Literal["registered", "running", "judged", "stopped", "promoted", "rolled back"]
Happening = Literal["joined", "share", "verdict", "held", "proposed", "stopped", "promoted", "rolled_back"]
"""`share`: the run gave the challenger another share; `held` and `proposed`: what the policy said."""

_PHASE_AFTER: Mapping[str, Phase] = {
    "joined": "running",
    "verdict": "judged",
    "stopped": "stopped",
    "promoted": "promoted",
    "rolled_back": "rolled back",
}
_ENDED = ("stopped", "promoted", "rolled back")


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to an experiment.

    Parameters
    ----------
    kind : str
    payload : mapping
        The evidence.
    run_id : str or None
    said : Said
    """

    kind: Happening
    payload: Mapping[str, Any]
    run_id: str | None
    said: Said

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON but for NaN."""
        said = dataclasses.asdict(self.said)
        return {"kind": self.kind, **said, "run_id": self.run_id, "evidence": dict(self.payload)}


@dataclasses.dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment and its history, oldest first."""

    spec: ExperimentSpec
    said: Said
    entries: tuple[Entry, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return what was registered and how far it has come, ready for JSON."""
        state = {"phase": self.phase, "run_id": self.run_id}
        said = {"registered_ns": self.said.ts_ns, "who": self.said.who, "why": self.said.why}
        return {**self.spec.to_dict(), **state, **said}

    @property
    def phase(self) -> Phase:
        """How far it has come; a verdict does not reopen what has ended."""
        phase: Phase = "registered"
        for entry in self.entries:
            if entry.kind in _PHASE_AFTER and not (entry.kind == "verdict" and phase in _ENDED):
                phase = _PHASE_AFTER[entry.kind]
        return phase

    @property
    def has_ended(self) -> bool:
        """Whether it was stopped, promoted or rolled back."""
        return self.phase in _ENDED

    @property
    def run_id(self) -> str | None:
        """The run that it is part of; None before one has joined it."""
        return next((entry.run_id for entry in self.entries if entry.kind == "joined"), None)

    @property
    def shares(self) -> tuple[Entry, ...]:
        """Changes of the challenger's share inside the run."""
        return tuple(entry for entry in self.entries if entry.kind == "share")

    @property
    def rolled_back_at(self) -> int | None:
        """The first decision that its run left the challenger none of; None while it has some."""
        return next((entry.payload["seq"] for entry in self.shares if entry.payload["share"] == 0.0), None)

    @property
    def proposal(self) -> Entry | None:
        """The policy's proposal to promote that nobody has answered, by a promotion or a stop; None without one."""
        kinds = [entry.kind for entry in self.entries]
        if "proposed" not in kinds or self.has_ended:
            return None
        return self.entries[kinds.index("proposed")]

    @property
    def held(self) -> Entry | None:
        """Why the policy did nothing when it was last asked; None if it was never, or did something."""
        asked = [entry for entry in self.entries if entry.kind in ("held", "proposed", "promoted", "rolled_back")]
        return asked[-1] if asked and asked[-1].kind == "held" else None

    @property
    def was_forced(self) -> bool:
        """Whether it was promoted without a verdict of pass."""
        promoted = [entry for entry in self.entries if entry.kind == "promoted"]
        return bool(promoted) and bool(promoted[-1].payload.get("forced"))

    @property
    def verdict(self) -> Mapping[str, Any] | None:
        """The latest verdict, None before the first."""
        return next((entry.payload for entry in reversed(self.entries) if entry.kind == "verdict"), None)


class ExperimentBook:
    """All experiments of a store.

    Parameters
    ----------
    store : Store or Engine
    """

    def __init__(self, store: Store | Engine) -> None:
        self._database = Database(store._engine if isinstance(store, Store) else store)

    def register(self, spec: ExperimentSpec, who: str, why: str) -> None:
        """Write down an experiment before it begins; a name that is taken raises ConflictError."""
        said = Said(time.time_ns(), who, why)
        values = {"name": spec.name, "spec": to_json(spec.to_dict()), **dataclasses.asdict(said)}
        with self._database.write(spec.name) as connection:
            if _find(connection, spec.name) is not None:
                raise ConflictError(
                    f"experiment {spec.name!r} exists; what was registered is not changed, take another name"
                )
            connection.execute(insert(experiments).values(values))

    def get(self, name: str) -> Experiment:
        """Return an experiment; an unknown one raises NotFoundError."""
        with self._database.read() as connection:
            found = _find(connection, name)
        if found is None:
            raise NotFoundError(f"experiment {name!r} does not exist")
        return found

    def all(self) -> list[Experiment]:
        """Return every experiment in the order of registration."""
        with self._database.read() as connection:
            names = connection.scalars(select(experiments.c.name).order_by(experiments.c.ts_ns, experiments.c.name))
            found = [_find(connection, name) for name in names.all()]
        return [each for each in found if each is not None]

    def join(self, name: str, run_id: str) -> ExperimentSpec:
        """Make an experiment part of a run, for good; the run that has joined it may do so again.

        Raises
        ------
        NotFoundError
            If there is no such experiment.
        ConflictError
            If it has ended, or another run has joined it.
        """
        with self._database.write(name) as connection:
            experiment = _find(connection, name)
            if experiment is None:
                raise NotFoundError(f"experiment {name!r} does not exist; register it with: trader experiments start")
            if experiment.run_id == run_id:
                return experiment.spec
            if experiment.phase != "registered":
                of = f" in run {experiment.run_id}" if experiment.run_id else ""
                raise ConflictError(
                    f"experiment {name!r} is {experiment.phase}{of}; one that is only registered can be joined"
                )
            _add(connection, name, "joined", {}, run_id, Said(time.time_ns(), "trader", "the run began"))
        return experiment.spec

    def add(
        self, name: str, kind: Happening, payload: Mapping[str, Any], *, who: str, why: str, run_id: str | None = None
    ) -> None:
        """Record what happened; an unknown experiment raises NotFoundError."""
        said = Said(time.time_ns(), who, why)
        with self._database.write(name) as connection:
            if _find(connection, name) is None:
                raise NotFoundError(f"experiment {name!r} does not exist")
            _add(connection, name, kind, payload, run_id, said)


def _find(connection: Connection, name: str) -> Experiment | None:
    row = connection.execute(select(experiments).where(experiments.c.name == name)).one_or_none()
    if row is None:
        return None
    c = experiment_events.c
    rows = connection.execute(select(experiment_events).where(c.name == name).order_by(c.event_no)).all()
    entries = tuple(
        Entry(each.kind, from_json(each.payload), each.run_id, Said(each.ts_ns, each.who, each.why)) for each in rows
    )
    return Experiment(ExperimentSpec.from_dict(from_json(row.spec)), Said(row.ts_ns, row.who, row.why), entries)


def _add(
    connection: Connection, name: str, kind: Happening, payload: Mapping[str, Any], run_id: str | None, said: Said
) -> None:
    connection.execute(
        insert(experiment_events).values(
            name=name, run_id=run_id, kind=kind, payload=to_json(dict(payload)), **dataclasses.asdict(said)
        )
    )
