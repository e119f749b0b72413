"""What happened to a version, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from trader.registry.records import HistoryEntry, ModelVersion
from trader.storage import registry_tables as t

__all__ = ["read_history"]


def read_history(connection: Connection, version: ModelVersion) -> list[HistoryEntry]:
    """Return transitions, alias changes, acknowledgements and the removal of the artefact, oldest first."""
    entries = [
        HistoryEntry(row.ts_ns, "state", row.from_state, row.to_state, row.who, row.why)
        for row in connection.execute(_of(version, t.model_transitions).order_by(t.model_transitions.c.transition_no))
    ]
    entries += _alias_changes(connection, version)
    for row in connection.execute(_of(version, t.model_acknowledgements)):
        entries.append(HistoryEntry(row.ts_ns, "acknowledged", None, None, row.who, row.why))
    for row in connection.execute(_of(version, t.model_removals)):
        entries.append(HistoryEntry(row.ts_ns, "removed", None, None, row.who, row.why))
    return sorted(entries, key=lambda entry: entry.ts_ns)


def _alias_changes(connection: Connection, version: ModelVersion) -> Iterator[HistoryEntry]:
    changes = t.model_alias_changes
    holders: dict[str, int | None] = {}
    for row in connection.execute(select(changes).where(changes.c.name == version.name).order_by(changes.c.change_no)):
        had, has = holders.get(row.alias) == version.number, row.number == version.number
        if had != has:
            before, after = (row.alias, None) if had else (None, row.alias)
            yield HistoryEntry(row.ts_ns, "alias", before, after, row.who, row.why)
        holders[row.alias] = row.number


def _of(version: ModelVersion, table: Table) -> Select[Any]:
    return select(table).where(table.c.number == version.number)
