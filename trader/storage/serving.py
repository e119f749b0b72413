"""What is wanted of standing applications, and what became of it, append-only."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import select

from trader.storage.codec import from_json, to_json
from trader.storage.serving_tables import serving_events
from trader.storage.store import Store

__all__ = ["ServingEvent", "ServingKind", "ServingLog"]

ServingKind = Literal["wanted", "applied", "failed", "tripped"]
"""`wanted`: somebody asked for it; `applied`: it is served; `failed`: it could not be; `tripped`: a guardrail broke."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServingEvent:
    """One thing that happened to an application.

    Parameters
    ----------
    number : int
        Counts up over all applications; that of a `wanted` is its revision.
    kind : {"wanted", "applied", "failed", "tripped"}
    payload : mapping
        What is wanted, or the evidence.
    ts_ns : int
    who, why : str
    """

    number: int
    kind: ServingKind
    payload: Mapping[str, Any]
    ts_ns: int
    who: str
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dataclasses.asdict(self)


class ServingLog:
    """The events of one standing application.

    Parameters
    ----------
    store : Store
    app : str
        Its name.

    >>> with Store.open("sqlite://") as store:
    ...     log = ServingLog(store, "standing")
    ...     number = log.add("wanted", {"members": ["linear@champion"]}, who="ada", why="the first")
    ...     log.latest("wanted").number == number, log.latest("applied")
    (True, None)
    """

    def __init__(self, store: Store, app: str) -> None:
        self._store = store
        self._app = app

    def add(self, kind: ServingKind, payload: Mapping[str, Any], *, who: str, why: str) -> int:
        """Write an event and return its number; StoreError if the store does not take it."""
        values = {"app": self._app, "kind": kind, "payload": to_json(dict(payload)), "who": who, "why": why}
        with self._store._write() as connection:
            added = serving_events.insert().values(ts_ns=time.time_ns(), **values).returning(serving_events.c.event_no)
            return int(connection.execute(added).scalar_one())

    def latest(self, kind: ServingKind) -> ServingEvent | None:
        """Return the last event of a kind, None where there is none."""
        return next(iter(self._page(1, kind)), None)

    def page(self, limit: int = 20) -> list[ServingEvent]:
        """Return the last events, newest first."""
        return self._page(limit)

    def _page(self, limit: int, kind: ServingKind | None = None) -> list[ServingEvent]:
        c = serving_events.c
        query = select(serving_events).where(c.app == self._app).order_by(c.event_no.desc()).limit(limit)
        if kind is not None:
            query = query.where(c.kind == kind)
        with self._store._read() as connection:
            rows = connection.execute(query).all()
        return [
            ServingEvent(row.event_no, row.kind, from_json(row.payload), row.ts_ns, row.who, row.why) for row in rows
        ]
