"""Which artefacts may go: never one in use.

A version is in use while an alias names it, while it is TRAINING or PRODUCTION, while it is one of the last former
champions that a rollback may want, while somebody holds a lease of it, and while an unfinished run names it.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from itertools import islice

from sqlalchemy import Connection, or_, select

from trader.registry.changes import champions_before
from trader.registry.queries import select_versions
from trader.registry.records import ModelVersion
from trader.registry.states import State
from trader.storage import registry_tables as t
from trader.storage.codec import from_json
from trader.storage.schema import runs

__all__ = ["Plan", "make_plan", "reasons_in_use", "stray_folders"]

_UNFINISHED = ("running", "incomplete")
"""States of a run that still trades, or may be resumed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """Versions of one model whose artefacts may go, and by reference why the others stay."""

    doomed: tuple[ModelVersion, ...]
    kept: Mapping[str, tuple[str, ...]]


def reasons_in_use(connection: Connection, name: str, *, window: int, now_ns: int) -> dict[str, tuple[str, ...]]:
    """Return by reference why versions of a model are in use; those that are not are left out."""
    versions = {version.number: version for version in select_versions(connection, name=name)}
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for version in versions.values():
        reasons[version.ref] += [f"alias {alias}" for alias in version.aliases]
        if version.state in {State.PRODUCTION, State.TRAINING}:
            reasons[version.ref].append(f"state {version.state}")
    for former, _ in islice(champions_before(connection, name), window):
        reasons[former.ref].append("rollback")
    leases = t.model_leases.c
    query = (
        select(leases.number, leases.holder)
        .join(t.model_versions, t.model_versions.c.number == leases.number)
        .where(t.model_versions.c.name == name, or_(leases.expires_ns.is_(None), leases.expires_ns > now_ns))
    )
    for number, holder in connection.execute(query):
        reasons[versions[number].ref].append(f"lease {holder}")
    for run_id, used in _models_of_runs(connection).items():
        for version in versions.values():
            if version.ref in used:
                reasons[version.ref].append(f"run {run_id}")
    return {ref: tuple(why) for ref, why in reasons.items() if why}


def make_plan(connection: Connection, name: str, *, keep: int, window: int, now_ns: int) -> Plan:
    """Return what clean-up would take away of a model, with `keep` of its newest artefacts kept in any case."""
    used = reasons_in_use(connection, name, window=window, now_ns=now_ns)
    doomed: list[ModelVersion] = []
    kept: dict[str, tuple[str, ...]] = {}
    present = [version for version in select_versions(connection, name=name) if version.location]
    for place, version in enumerate(present):
        reasons = used.get(version.ref, ())
        if place < keep:
            reasons = (*reasons, f"one of the newest {keep}")
        if reasons:
            kept[version.ref] = reasons
        else:
            doomed.append(version)
    return Plan(tuple(doomed), kept)


def stray_folders(connection: Connection, name: str) -> list[str]:
    """Return folders that no version has: uploads that broke off, and artefacts that were taken away."""
    folders, results = t.model_folders.c, t.model_results.c
    removed = select(t.model_removals.c.number).where(t.model_removals.c.number == folders.number)
    has_it = select(results.number).where(results.location == folders.location, results.number == folders.number)
    query = (
        select(folders.location)
        .join(t.model_versions, t.model_versions.c.number == folders.number)
        .join(t.model_states, t.model_states.c.number == folders.number)
        .where(
            t.model_versions.c.name == name,
            t.model_states.c.state != str(State.TRAINING),
            or_(removed.exists(), ~has_it.exists()),
        )
    )
    return list(connection.scalars(query))


def _models_of_runs(connection: Connection) -> dict[str, set[str]]:
    """Return the references that each unfinished run names: its members, and `models` of its extra facts."""
    query = select(runs.c.run_id, runs.c.member_names, runs.c.extra).where(runs.c.status.in_(_UNFINISHED))
    found = {}
    for run_id, members, extra in connection.execute(query):
        models = from_json(extra).get("models", ())
        named = models.values() if isinstance(models, Mapping) else models
        found[run_id] = {*from_json(members), *(ref for ref in named if isinstance(ref, str))}
    return found
