"""Reading the registry's tables."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import orjson
from sqlalchemy import Column, Connection, Select, func, select

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
    "read_document",
    "read_lineage",
    "select_versions",
    "version_by_number",
]


_STATES = {str(state): state for state in State}
_PART_ROWS = 500


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
    found = _fetch_one(connection, _versions().where(t.model_versions.c.number == number))
    if found is None:
        raise LookupError(f"version number {number} does not exist")
    return found


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
    found = _fetch_one(connection, newest)
    if found is None:
        raise NotFoundError(_missing(connection, reference))
    return found


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
    environment = select(e.distributions).join(t.model_versions, e.digest == v.environment).where(v.number == number)
    return Lineage.from_json(read_document(connection, number, "lineage"), connection.scalars(environment).one())


def read_document(connection: Connection, number: int, what: Literal["lineage", "manifest", "report"]) -> str:
    """Return a document of a version as JSON text; that of an empty mapping if it has none yet."""
    d = t.model_documents.c
    return connection.scalar(select(d.content).where(d.number == number, d.what == what)) or "{}"


def _versions() -> Select[Any]:
    v, s, r = t.model_versions.c, t.model_states.c, t.model_results.c
    # fmt: off
    return (
        select(
            v.number, v.name, v.major, v.minor, v.patch, v.kind, s.state, v.ts_ns, v.who,
            r.metrics, r.suspect, r.n_bytes, r.content_hash, r.location,
        )
        .join(t.model_states, s.number == v.number)
        .join(t.model_results, r.number == v.number, isouter=True)
    )
    # fmt: on


def _fetch_one(connection: Connection, query: Select[Any]) -> ModelVersion | None:
    row = connection.execute(query).one_or_none()
    return None if row is None else _version(row, _Marks(connection, row[0]))


def _fetch(connection: Connection, query: Select[Any]) -> list[ModelVersion]:
    marks = _Marks(connection)
    # In parts: ten thousand rows alive at once would start the garbage collector's slowest round.
    parts = connection.execute(query).partitions(_PART_ROWS)
    return [_version(row, marks) for part in parts for row in part]


class _Marks:
    """What other tables say of versions, of one or of all; each is read once."""

    def __init__(self, connection: Connection, only: int | None = None) -> None:
        def of(number: Column[int], *others: Column[Any]) -> Select[Any]:
            query = select(number, *others)
            return query if only is None else query.where(number == only)

        found = defaultdict(list)
        for number, alias in connection.execute(of(t.model_aliases.c.number, t.model_aliases.c.alias)):
            found[number].append(Alias(alias))
        self.aliases = {number: tuple(sorted(aliases)) for number, aliases in found.items()}
        self.removed = set(connection.scalars(of(t.model_removals.c.number)))
        self.acknowledged = set(connection.scalars(of(t.model_acknowledgements.c.number)))


def _version(row: Sequence[Any], marks: _Marks) -> ModelVersion:
    # fmt: off
    (
        number, name, major, minor, patch, kind, state, ts_ns, who, metrics, suspect, n_bytes, content_hash, location,
    ) = row
    # fmt: on
    return ModelVersion(
        number=number,
        name=name,
        version=f"{major}.{minor}.{patch}",
        kind=kind,
        state=_STATES[state],
        aliases=marks.aliases.get(number, ()),
        created_ns=ts_ns,
        who=who,
        metrics=_metrics(metrics) if metrics else {},
        suspect=bool(suspect),
        acknowledged=number in marks.acknowledged,
        n_bytes=n_bytes or 0,
        content_hash=content_hash or "",
        location="" if number in marks.removed else location or "",
    )


def _metrics(text: str) -> dict[str, float]:
    metrics: dict[str, float] = orjson.loads(text)
    if "null" in text:
        metrics = {key: math.nan if value is None else value for key, value in metrics.items()}
    return metrics


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
