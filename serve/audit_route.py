"""`GET /v1/audit`: the audit log, page by page."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Query, Request

from serve.audit import AuditDesk
from serve.auth import Guard, Role
from serve.problems import ProblemError
from serve.schema import Message
from trader.core.errors import StoreError

__all__ = ["AuditEntryMessage", "AuditResponse", "add_audit_route"]

_LARGEST = 2**63 - 1  # of a number in the store


class AuditEntryMessage(Message):
    """A request that would change something, and what came of it."""

    entry_no: int
    """Counts up; a number that is missing belongs to an entry that was never written."""
    ts_ns: int
    """When it was answered: nanoseconds since 1970, UTC."""
    request_id: str
    who: str | None
    """The user; null where the token was nobody's."""
    role: str | None
    method: str
    path: str
    body_sha256: str
    """Digest of the request's body."""
    status: int
    outcome: Literal["done", "refused", "denied", "failed"]


class AuditResponse(Message):
    """A page of the audit log, newest first."""

    request_id: str
    entries: list[AuditEntryMessage]
    next: int | None
    """Give this as `before` to get the page of older entries; null where there may be none."""


def add_audit_route(api: FastAPI, desk: AuditDesk, guard: Guard) -> None:
    """Add the route; it needs the role of admin."""

    @api.get("/v1/audit", tags=["audit"], dependencies=[Depends(guard.needs(Role.ADMIN))])
    async def audit(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=1000, description="Most entries of a page.")] = 100,
        before: Annotated[int | None, Query(ge=1, le=_LARGEST, description="Entries with lower numbers only.")] = None,
    ) -> AuditResponse:
        """List who asked for which change, what came of it, and who was denied one."""
        try:
            found = await asyncio.to_thread(desk.page, limit, before)
        except StoreError as error:
            raise ProblemError(503, "store-unavailable", str(error), headers={"Retry-After": "5"}) from None
        entries = [AuditEntryMessage(**each) for each in found]
        older = entries[-1].entry_no if len(entries) == limit else None
        return AuditResponse(request_id=request.state.request_id, entries=entries, next=older)
