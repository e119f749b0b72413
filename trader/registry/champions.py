"""Who is champion: promotion, and the way back."""

from __future__ import annotations

import dataclasses
from itertools import islice

from msgspec import structs
from sqlalchemy import Connection

from trader.core.errors import ConflictError
from trader.registry.changes import champions_before, last_change, move, point
from trader.registry.queries import holder, version_by_number
from trader.registry.records import AliasMove, ModelVersion, Said
from trader.registry.states import Alias, State

__all__ = ["current", "promote", "rollback", "set_alias"]


def current(connection: Connection, name: str, alias: Alias) -> ModelVersion | None:
    """Return the version that has an alias."""
    number = holder(connection, name, alias)
    return None if number is None else version_by_number(connection, number)


def set_alias(
    connection: Connection, name: str, alias: Alias, version: ModelVersion | None, expected: str | None, said: Said
) -> AliasMove:
    """Give an alias to a version (None takes it off), if the version `expected` has it now.

    Raises
    ------
    ConflictError
        If another has it, which the message names, or the version's state does not allow it.
    """
    had = current(connection, name, alias)
    before = None if had is None else had.version
    if before != expected:
        raise ConflictError(
            f"the {alias} of {name!r} is {before or 'nobody'}, not {expected or 'nobody'}; it was not changed"
        )
    point(connection, name, alias, version, said, last_change(connection, name, alias))
    return AliasMove(name, alias, before, None if version is None else version.version)


def promote(
    connection: Connection, version: ModelVersion, expected: str | None, said: Said, *, window: int
) -> AliasMove:
    """Make a version the champion, and retire the former champion that leaves the rollback window."""
    name, states = version.name, {}
    if Alias.CHAMPION in version.aliases:
        raise ConflictError(f"{version.ref} is the champion already")
    if version.state is not State.PRODUCTION:
        move(connection, version, State.PRODUCTION, said)
        states[version.version] = State.PRODUCTION
        version = structs.replace(version, state=State.PRODUCTION)
    moved = set_alias(connection, name, Alias.CHAMPION, version, expected, said)
    for former, _ in islice(champions_before(connection, name), window, None):
        if former.state is State.PRODUCTION and not former.aliases:
            gone = Said(said.ts_ns, said.who, f"left the rollback window of {window} when {version.ref} was promoted")
            move(connection, former, State.RETIRED, gone)
            states[former.version] = State.RETIRED
    return dataclasses.replace(moved, states=states)


def rollback(connection: Connection, name: str, said: Said) -> AliasMove:
    """Make the champion before the present one champion again; the present one goes back to staging."""
    champion = current(connection, name, Alias.CHAMPION)
    found = next(champions_before(connection, name), None)
    if found is None:
        raise ConflictError(f"model {name!r} has no former champion to go back to; promote a version instead")
    former, before = found
    states = {}
    if former.state is not State.PRODUCTION:
        move(connection, former, State.PRODUCTION, said)
        former = structs.replace(former, state=State.PRODUCTION)
        states[former.version] = State.PRODUCTION
    point(connection, name, Alias.CHAMPION, former, said, before)
    if champion is not None:
        freed = tuple(alias for alias in champion.aliases if alias is not Alias.CHAMPION)
        move(connection, structs.replace(champion, aliases=freed), State.STAGING, said)
        states[champion.version] = State.STAGING
    return AliasMove(name, Alias.CHAMPION, None if champion is None else champion.version, former.version, states)
