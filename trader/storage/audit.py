"""The audit log: every change that was asked for over HTTP, and what came of it."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from sqlalchemy import select

from trader.core.errors import UserError
from trader.storage.audit_tables import audit_log
from trader.storage.store import Store

__all__ = ["AuditEntry", "AuditLog", "Outcome", "outcome_of"]

Outcome = Literal["done", "refused", "denied", "failed"]
"""`denied`: the token did not allow it (401, 403); `refused`: something else about the request did not."""

_MOST = 1000


def outcome_of(status: int) -> Outcome:
    """Return what an HTTP status says of a change.

    >>> outcome_of(201), outcome_of(403), outcome_of(409), outcome_of(503)
    ('done', 'denied', 'refused', 'failed')
    """
    if status in (401, 403):
        return "denied"
    return "done" if status < 400 else "refused" if status < 500 else "failed"


@dataclasses.dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request.

    Parameters
    ----------
    ts_ns : int
        When it was answered.
    request_id : str
    who, role : str, optional
        Of the bearer token; None where it was nobody's.
    method, path : str
    body_sha256 : str
        Digest of the request's body, so that a copy of it can be told to be the one.
    status : int
        Of the answer.
    outcome : {"done", "refused", "denied", "failed"}
    entry_no : int, optional
        Its number in the log, which counts up; None before it is written.
    """

    ts_ns: int
    request_id: str
    who: str | None
    role: str | None
    method: str
    path: str
    body_sha256: str
    status: int
    outcome: Outcome
    entry_no: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dataclasses.asdict(self)


class AuditLog:
    """The audit log of a store; the database refuses to change or delete what is in it.

    >>> with Store.open("sqlite://") as store:
    ...     log = AuditLog(store)
    ...     log.add(AuditEntry(0, "r-1", "ada", "trader", "POST", "/v1/experiments", "", 201, "done"))
    ...     [(entry.entry_no, entry.who, entry.outcome) for entry in log.page()]
    [(1, 'ada', 'done')]
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, entry: AuditEntry) -> None:
        """Write an entry; StoreError if the store does not take it."""
        values = entry.to_dict()
        del values["entry_no"]
        with self._store._write() as connection:
            connection.execute(audit_log.insert().values(values))

    def page(self, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """Return the newest entries, or the newest of those with a number below `before`; newest first.

        Raises
        ------
        UserError
            If `limit` is not 1 to 1000.
        """
        if not 1 <= limit <= _MOST:
            raise UserError(f"limit={limit} is not allowed; 1 to {_MOST} is")
        number = audit_log.c.entry_no
        query = select(audit_log).order_by(number.desc()).limit(limit)
        if before is not None:
            query = query.where(number < before)
        with self._store._read() as connection:
            return [AuditEntry(**row) for row in connection.execute(query).mappings()]
