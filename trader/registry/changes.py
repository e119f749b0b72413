"""Changing the registry's tables, inside a transaction that holds the model's lock."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import orjson
import semver
from sqlalchemy import Connection, delete, func, insert, select, update

from trader.core.errors import ConflictError
from trader.registry.database import insert_new, lock, upsert
from trader.registry.lineage import Lineage
from trader.registry.queries import find, holder, version_by_number
from trader.registry.records import ModelVersion, Said
from trader.registry.references import FIRST_VERSION, Bump, Reference
from trader.registry.states import ALIASED, Alias, State, check_move
from trader.storage import registry_tables as t
from trader.storage.codec import to_json

__all__ = ["add_removal", "add_result", "add_version", "champions_before", "last_change", "move", "point"]


def add_version(
    connection: Connection, name: str, kind: str, lineage: Lineage, *, bump: Bump, said: Said
) -> ModelVersion:
    """Insert the next version of a model, in state TRAINING."""
    parent = None
    if lineage.parent is not None:
        found = find(connection, Reference.parse(lineage.parent))
        parent, lineage = found.number, dataclasses.replace(lineage, parent=found.ref)
    insert_new(connection, t.models, name=name, created_ns=said.ts_ns)
    lock(connection, name)
    environment = lineage.environment
    distributions = to_json(environment.distributions)
    insert_new(connection, t.model_environments, digest=environment.digest, distributions=distributions)
    version = _next_version(connection, name, bump)
    number = connection.execute(
        insert(t.model_versions)
        .values(
            name=name,
            major=version.major,
            minor=version.minor,
            patch=version.patch,
            kind=kind,
            ts_ns=said.ts_ns,
            who=said.who,
            why=said.why,
            parent=parent,
            environment=environment.digest,
        )
        .returning(t.model_versions.c.number)
    ).scalar_one()
    _add_document(connection, number, "lineage", lineage.to_json())
    connection.execute(insert(t.model_states).values(number=number, state=State.TRAINING))
    _log(connection, number, None, State.TRAINING, said)
    return version_by_number(connection, number)


def move(connection: Connection, version: ModelVersion, state: State, said: Said) -> None:
    """Change a version's state by the table of moves, and log it.

    Raises
    ------
    ConflictError
        If the table does not have the move, an alias or a missing artefact forbids it, or the report is SUSPECT
        and nobody has acknowledged it.
    """
    check_move(version.ref, version.state, state)
    if state is State.PRODUCTION and version.suspect and not version.acknowledged:
        raise ConflictError(
            f"the report of {version.ref} is SUSPECT; acknowledge why it is right first "
            f"(trader models acknowledge {version.ref} --why ...)"
        )
    if state is State.STAGING and version.state is State.RETIRED and not version.location:
        raise ConflictError(f"{version.ref} cannot become STAGING: clean-up took its artefact away")
    _refuse_aliased(version, state)
    connection.execute(update(t.model_states).where(t.model_states.c.number == version.number).values(state=str(state)))
    _log(connection, version.number, version.state, state, said)


def _refuse_aliased(version: ModelVersion, state: State) -> None:
    """Raise ConflictError if an alias of the version does not allow the state."""
    for alias in version.aliases:
        if state not in ALIASED[alias]:
            raise ConflictError(f"{version.ref} is the {alias} and cannot become {state}; give the alias away first")


def point(
    connection: Connection,
    name: str,
    alias: Alias,
    version: ModelVersion | None,
    said: Said,
    before: int | None,
) -> None:
    """Let an alias name a version, or nothing; `before` is the change that a rollback goes back to."""
    number = None if version is None else version.number
    if version is not None and version.state not in ALIASED[alias]:
        allowed = " and ".join(sorted(ALIASED[alias]))
        raise ConflictError(f"{version.ref} is {version.state}; only {allowed} can be {alias}")
    values = {"ts_ns": said.ts_ns, "who": said.who, "why": said.why, "number": number, "before": before}
    connection.execute(insert(t.model_alias_changes).values(name=name, alias=str(alias), **values))
    key = {"name": name, "alias": str(alias)}
    if number is None:
        a = t.model_aliases.c
        connection.execute(delete(t.model_aliases).where(a.name == name, a.alias == str(alias)))
    else:
        upsert(connection, t.model_aliases, key, {"number": number})


def last_change(connection: Connection, name: str, alias: Alias) -> int | None:
    """Return the last change of an alias, None if there was none."""
    changes = t.model_alias_changes.c
    query = select(func.max(changes.change_no)).where(changes.name == name, changes.alias == str(alias))
    number: int | None = connection.scalar(query)
    return number


def champions_before(connection: Connection, name: str) -> Iterator[tuple[ModelVersion, int | None]]:
    """Yield the former champions that could be champion again, last first, each once.

    With each comes the change that a rollback to it would leave to go back to. One that was retired is left out.
    """
    changes = t.model_alias_changes.c
    seen = {holder(connection, name, Alias.CHAMPION), None}
    change_no = last_change(connection, name, Alias.CHAMPION)
    while change_no is not None:
        query = select(changes.number, changes.before).where(changes.change_no == change_no)
        number, change_no = connection.execute(query).one()
        if number not in seen:
            seen.add(number)
            version = version_by_number(connection, number)
            if version.state in ALIASED[Alias.CHALLENGER]:
                yield version, change_no


def add_result(
    connection: Connection,
    version: ModelVersion,
    *,
    location: str,
    manifest: Mapping[str, str],
    n_bytes: int,
    content_hash: str,
    report: Mapping[str, object],
    metrics: Mapping[str, float],
    suspect: bool,
) -> None:
    """Insert what training gave."""
    connection.execute(
        insert(t.model_results).values(
            number=version.number,
            location=location,
            n_bytes=n_bytes,
            content_hash=content_hash,
            suspect=suspect,
            metrics=orjson.dumps(dict(metrics), option=orjson.OPT_SERIALIZE_NUMPY).decode(),
        )
    )
    _add_document(connection, version.number, "manifest", to_json(manifest))
    _add_document(connection, version.number, "report", to_json(report))


def add_removal(connection: Connection, version: ModelVersion, said: Said) -> None:
    """Record that the artefact of a version is taken away."""
    values = {"number": version.number, "ts_ns": said.ts_ns, "who": said.who, "why": said.why}
    connection.execute(insert(t.model_removals).values(values))


def _add_document(connection: Connection, number: int, what: str, content: str) -> None:
    connection.execute(insert(t.model_documents).values(number=number, what=what, content=content))


def _next_version(connection: Connection, name: str, bump: Bump) -> semver.Version:
    v = t.model_versions.c
    order = (v.major.desc(), v.minor.desc(), v.patch.desc())
    highest = select(v.major, v.minor, v.patch).where(v.name == name).order_by(*order).limit(1)
    row = connection.execute(highest).one_or_none()
    return FIRST_VERSION if row is None else semver.Version(*row).next_version(bump)


def _log(connection: Connection, number: int, before: State | None, after: State, said: Said) -> None:
    connection.execute(
        insert(t.model_transitions).values(
            number=number,
            from_state=None if before is None else str(before),
            to_state=str(after),
            ts_ns=said.ts_ns,
            who=said.who,
            why=said.why,
        )
    )
