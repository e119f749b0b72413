"""What every request passes through: a request id, a limit on its body, its metrics, and a last net for errors."""

from __future__ import annotations

import logging
import math
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.metrics import HttpMetrics
from serve.problems import ProblemError, problem_response
from serve.rate_limit import RateLimiter

__all__ = ["REQUEST_ID_HEADER", "RequestEnvelope"]

REQUEST_ID_HEADER = "X-Request-ID"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_log = logging.getLogger(__name__)


class RequestEnvelope:
    """ASGI middleware around the whole interface.

    Parameters
    ----------
    app : ASGIApp
    metrics : HttpMetrics
    max_body_bytes : int
        A longer body is answered 413, whether it says its length or not.
    limiter : RateLimiter
        A client that sends more is answered 429; health and metrics are never refused.
    echo_request_id : bool
        Send the request id as a header; Ray Serve's proxy does that itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: HttpMetrics,
        max_body_bytes: int,
        limiter: RateLimiter,
        echo_request_id: bool = True,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._limiter = limiter
        self._echo_request_id = echo_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._echo_request_id:
                    MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            if (wait_s := self._wait_s(scope)) > 0.0:
                answer = problem_response(
                    429,
                    f"{scope['client'][0]} sends more requests than are allowed; the next may come in {wait_s:.2f} s",
                    path=scope["path"],
                    request_id=request_id,
                    kind="too-many-requests",
                    headers={"Retry-After": str(math.ceil(wait_s))},
                )
                await answer(scope, receive, send_and_note)
                return
            await self._app(scope, _limited(receive, scope, self._max_body_bytes), send_and_note)
        except Exception:
            if status:
                raise
            _log.exception("request %s to %s failed", request_id, scope["path"])
            detail = f"an internal error occurred; the server's log has it under request id {request_id}"
            answer = problem_response(500, detail, path=scope["path"], request_id=request_id)
            await answer(scope, receive, send_and_note)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.requests.labels(route, scope["method"], str(status or 499)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - started)

    def _wait_s(self, scope: Scope) -> float:
        if not scope["path"].startswith("/v1/") or not scope.get("client"):
            return 0.0
        return self._limiter.wait_s(scope["client"][0])


def _request_id(scope: Scope) -> str:
    """Return the client's request id if it is a plain token, else a new one."""
    given: str = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _limited(receive: Receive, scope: Scope, max_body_bytes: int) -> Receive:
    """Return `receive`, refusing a body that is, or says it is, too long."""
    declared = Headers(scope=scope).get("content-length", "")
    received = 0

    async def limited() -> Message:
        nonlocal received
        if declared.isdigit() and int(declared) > max_body_bytes:
            raise _too_large(max_body_bytes)
        message = await receive()
        if message["type"] == "http.request":
            received += len(message.get("body", b""))
            if received > max_body_bytes:
                raise _too_large(max_body_bytes)
        return message

    return limited


def _too_large(max_body_bytes: int) -> ProblemError:
    return ProblemError(413, "body-too-large", f"the body is longer than {max_body_bytes} bytes, the most allowed")
