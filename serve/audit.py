"""The audit log of the HTTP interface: every change that was asked for is written down before it is answered."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.metrics import HttpMetrics
from serve.problems import problem_response
from serve.rate_limit import RateLimiter
from trader.core.errors import StoreError
from trader.storage import Store
from trader.storage.audit import AuditEntry, AuditLog, outcome_of

__all__ = ["AuditDesk", "AuditTrail"]

_READING = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_DENIED_A_MINUTE = 60
_LONGEST_PATH = 512
_log = logging.getLogger(__name__)


class AuditDesk:
    """The audit log of a store, which is opened for each request: it may be gone for a while.

    Parameters
    ----------
    store_url : str
    """

    def __init__(self, store_url: str) -> None:
        self._store_url = store_url

    def add(self, entry: AuditEntry) -> None:
        """Write an entry; StoreError if the store does not take it."""
        with Store.open(self._store_url) as store:
            AuditLog(store).add(entry)

    def page(self, limit: int, before: int | None) -> list[dict[str, Any]]:
        """Return the newest entries below the number `before`, newest first."""
        with Store.open(self._store_url) as store:
            return [entry.to_dict() for entry in AuditLog(store).page(limit, before)]


class AuditTrail:
    """ASGI middleware that writes down each request that would change something, once its token was looked at.

    A change that was made and could not be written down is answered 503, and told in the server's log. At most 60
    denied requests a minute are written, so that nobody fills the disk without a token; all are counted.

    Parameters
    ----------
    app : ASGIApp
    desk : AuditDesk
    metrics : HttpMetrics
    """

    def __init__(self, app: ASGIApp, *, desk: AuditDesk, metrics: HttpMetrics) -> None:
        self._app = app
        self._desk = desk
        self._metrics = metrics
        self._denied = RateLimiter(_DENIED_A_MINUTE / 60.0, _DENIED_A_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but a change over HTTP passes untouched."""
        if scope["type"] != "http" or scope["method"] in _READING:
            await self._app(scope, receive, send)
            return
        body: list[bytes] = []
        begun = replaced = False

        async def kept() -> Message:
            message = await receive()
            body.append(message.get("body", b""))
            return message

        async def recorded(message: Message) -> None:
            nonlocal begun, replaced
            if message["type"] == "http.response.start":
                begun = True
                status = message["status"]
                if not await self._record(scope, body, status) and status < 400:
                    replaced = True
                    await _unwritten(scope)(scope, receive, send)
            if not replaced:
                await send(message)

        try:
            await self._app(scope, kept, recorded)
        except Exception:
            if not begun:
                await self._record(scope, body, 500)
            raise

    async def _record(self, scope: Scope, body: list[bytes], status: int) -> bool:
        """Write an entry if the request came as far as its token; return whether nothing is missing."""
        state = scope["state"]
        if "caller" not in state:
            return True
        who, role = state["caller"]
        path = scope["path"][:_LONGEST_PATH]
        outcome = outcome_of(status)
        counts = self._metrics.audited
        if outcome == "denied" and self._denied.wait_s("denied") > 0.0:
            counts.labels(outcome, "dropped").inc()
            return True
        digest = hashlib.sha256(b"".join(body)).hexdigest()
        entry = AuditEntry(
            time.time_ns(), state["request_id"], who, role, scope["method"], path, digest, status, outcome
        )
        try:
            await asyncio.to_thread(self._desk.add, entry)
        except StoreError as error:
            counts.labels(outcome, "failed").inc()
            _log.error("an audit entry could not be written (%s): %s", error, dataclasses.asdict(entry))
            return False
        counts.labels(outcome, "stored").inc()
        return True


def _unwritten(scope: Scope) -> ASGIApp:
    detail = "the change was made, but the store did not take its entry in the audit log; the server's log has it"
    request_id = scope["state"]["request_id"]
    headers = {"Retry-After": "5"}
    return problem_response(
        503, detail, path=scope["path"], request_id=request_id, kind="store-unavailable", headers=headers
    )
