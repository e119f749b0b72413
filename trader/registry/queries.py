"""Reading the registry's tables."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Select, func, select

from trader.core.errors import NotFoundError
from trader.registry.lineage import Lineage
from trader.registry.records import ModelVersion
from trader.registry.references import Reference, closest
from trader.registry.states import Alias, State
from trader.storage import registry_tables as t

__all__ = [
    "check_model",
    "find",
    "holder",
    "model_names",
    "read_lineage",
    "read_manifest",
    "select_versions",
    "version_by_number",
]


def select_versions(
    connection: Connection,
    *,
    name: str | None = None,
    state: State | None = None,
    limit: int | None = None,
    before: int | None = None,
) -> list[ModelVersion]:
    """Return versions, newest first."""
    query = _versions().order_by(t.model_versions.c.number.desc())
    if name is not None:
        query = query.where(t.model_versions.c.name == name)
    if state is not None:
        query = query.where(t.model_states.c.state == state)
    if before is not None:
        query = query.where(t.model_versions.c.number < before)
    return _fetch(connection, query.limit(limit))


def version_by_number(connection: Connection, number: int) -> ModelVersion:
    """Return the version of a number that exists."""
    return _fetch(connection, _versions().where(t.model_versions.c.number == number))[0]


def find(connection: Connection, reference: Reference) -> ModelVersion:
    """Return the version that a reference means.

    Raises
    ------
    NotFoundError
        If there is none; the message names the nearest.
    """
    name, selector = reference.name, reference.selector
    if isinstance(selector, Alias) or selector is None:
        number = holder(connection, name, selector or Alias.CHAMPION)
        if number is not None:
            return version_by_number(connection, number)
        if selector is not None:
            raise NotFoundError(_missing(connection, reference))
    versions = t.model_versions.c
    query = _versions().where(versions.name == name)
    if selector is None:
        query = query.where(t.model_states.c.state == State.STAGING)
    else:
        numbers = (versions.major, selector.major), (versions.minor, selector.minor), (versions.patch, selector.patch)
        query = query.where(*(column == value for column, value in numbers))
    newest = query.order_by(versions.major.desc(), versions.minor.desc(), versions.patch.desc()).limit(1)
    found = _fetch(connection, newest)
    if not found:
        raise NotFoundError(_missing(connection, reference))
    return found[0]


def holder(connection: Connection, name: str, alias: Alias) -> int | None:
    """Return the number of the version that has an alias, None if none has."""
    aliases = t.model_aliases.c
    number: int | None = connection.scalar(
        select(aliases.number).where(aliases.name == name, aliases.alias == str(alias))
    )
    return number


def model_names(connection: Connection) -> list[str]:
    """Return the names of all models, in order of the alphabet."""
    return list(connection.scalars(select(t.models.c.name).order_by(t.models.c.name)))


def check_model(connection: Connection, name: str) -> None:
    """Raise NotFoundError with the nearest name if a model does not exist."""
    if connection.scalar(select(t.models.c.name).where(t.models.c.name == name)) is None:
        raise NotFoundError(_missing(connection, Reference(name)))


def read_lineage(connection: Connection, number: int) -> Lineage:
    """Return where a version comes from."""
    v, e = t.model_versions.c, t.model_environments.c
    query = select(v.lineage, e.distributions).join(t.model_environments, e.digest == v.environment)
    lineage, distributions = connection.execute(query.where(v.number == number)).one()
    return Lineage.from_json(lineage, distributions)


def read_manifest(connection: Connection, number: int) -> dict[str, str]:
    """Return the SHA-256 of each file of an artefact."""
    text = connection.scalar(select(t.model_results.c.manifest).where(t.model_results.c.number == number))
    manifest: dict[str, str] = orjson.loads(text or "{}")
    return manifest


def _versions() -> Select[Any]:
    v, s, r = t.model_versions.c, t.model_states.c, t.model_results.c
    removed = select(t.model_removals.c.number).where(t.model_removals.c.number == v.number).exists()
    known = select(t.model_acknowledgements.c.number).where(t.model_acknowledgements.c.number == v.number).exists()
    # fmt: off
    return (
        select(
            v.number, v.name, v.major, v.minor, v.patch, v.kind, s.state, v.ts_ns, v.who,
            r.metrics, r.suspect, r.n_bytes, r.content_hash, r.location, removed, known,
        )
        .join(t.model_states, s.number == v.number)
        .join(t.model_results, r.number == v.number, isouter=True)
    )
    # fmt: on


def _fetch(connection: Connection, query: Select[Any]) -> list[ModelVersion]:
    rows = connection.execute(query).all()
    a = t.model_aliases.c
    wanted = select(a.number, a.alias)
    if len(rows) == 1:
        wanted = wanted.where(a.number == rows[0][0])
    aliases = defaultdict(list)
    for number, alias in connection.execute(wanted.order_by(a.alias)) if rows else ():
        aliases[number].append(Alias(alias))
    return [_version(row, tuple(aliases.get(row[0], ()))) for row in rows]


def _version(row: Sequence[Any], aliases: tuple[Alias, ...]) -> ModelVersion:
    number, name, major, minor, patch, kind, state, ts_ns, who = row[:9]
    metrics, suspect, n_bytes, content_hash, location, removed, known = row[9:]
    return ModelVersion(
        number=number,
        name=name,
        version=f"{major}.{minor}.{patch}",
        kind=kind,
        state=_STATES[state],
        aliases=aliases,
        created_ns=ts_ns,
        who=who,
        metrics=_metrics(metrics) if metrics else {},
        suspect=bool(suspect),
        acknowledged=bool(known),
        n_bytes=n_bytes or 0,
        content_hash=content_hash or "",
        location="" if removed else location or "",
    )


_STATES = {str(state): state for state in State}


def _metrics(text: str) -> dict[str, float]:
    return {key: math.nan if value is None else value for key, value in orjson.loads(text).items()}


def _missing(connection: Connection, reference: Reference) -> str:
    names = model_names(connection)
    name, selector = reference.name, reference.selector
    if name not in names:
        known = f"known are {', '.join(names)}" if names else "none is registered yet"
        return f"model {name!r} does not exist; {known}{closest(name, names)}"
    if selector is None:
        return f"model {name!r} has no champion and no version in staging; name one as {name}@1.2.0"
    if isinstance(selector, Alias):
        return f"model {name!r} has no {selector}"
    v = t.model_versions.c
    n_versions = connection.scalar(select(func.count()).where(v.name == name))
    recent = select(v.major, v.minor, v.patch).where(v.name == name).order_by(v.number.desc()).limit(5)
    numbers = ", ".join(f"{a}.{b}.{c}" for a, b, c in connection.execute(recent))
    return f"{reference} does not exist; the newest of {n_versions} versions are {numbers}"
