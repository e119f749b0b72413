"""Errors as problem documents (RFC 9457): every answer that is not 2xx has this shape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from serve.overload import OverloadedError
from trader.core.errors import DataError, OperationError, ServiceUnavailableError

__all__ = [
    "PROBLEM_MEDIA_TYPE",
    "Problem",
    "ProblemDetail",
    "ProblemError",
    "install_problem_handlers",
    "problem_document",
    "problem_response",
]

PROBLEM_MEDIA_TYPE = "application/problem+json"

_TYPE_PREFIX = "urn:gpt-trader:problem:"
_MAX_DETAILS = 20


class ProblemDetail(BaseModel):
    """One cause among several."""

    pointer: str
    """Where in the request body, as a JSON pointer in a URI fragment (RFC 6901)."""
    detail: str


class Problem(BaseModel):
    """A problem document."""

    type: str = Field(examples=[f"{_TYPE_PREFIX}invalid-request"])
    """Identifies the kind of problem; `about:blank` says no more than the status."""
    title: str
    status: int
    detail: str
    instance: str
    """Path of the request."""
    request_id: str
    errors: list[ProblemDetail] = []


class ProblemError(HTTPException):
    """An answer that is a problem document.

    It derives from Starlette's HTTPException because FastAPI lets that, and nothing else, through while it reads
    a request body.
    """

    def __init__(self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.kind = kind


def problem_response(
    status: int,
    detail: str,
    *,
    path: str,
    request_id: str,
    kind: str | None = None,
    errors: Sequence[ProblemDetail] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the problem as a response; the arguments are those of `problem_document`."""
    problem = problem_document(status, detail, path=path, request_id=request_id, kind=kind, errors=errors)
    return Response(orjson.dumps(problem.model_dump()), status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


def problem_document(
    status: int,
    detail: str,
    *,
    path: str,
    request_id: str,
    kind: str | None = None,
    errors: Sequence[ProblemDetail] = (),
) -> Problem:
    """Return the problem; without a `kind` its type is `about:blank`."""
    return Problem(
        type=f"{_TYPE_PREFIX}{kind}" if kind else "about:blank",
        title=kind.replace("-", " ").capitalize() if kind else HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=path,
        request_id=request_id,
        errors=list(errors),
    )


def install_problem_handlers(app: FastAPI) -> None:
    """Make `app` answer every error that it knows with a problem document."""
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(DataError, _on_data_error)
    app.add_exception_handler(ServiceUnavailableError, _on_unavailable)
    app.add_exception_handler(OperationError, _on_operation_error)


def _answer(request: Request, status: int, detail: str, **more: Any) -> Response:
    return problem_response(
        status, detail, path=request.url.path, request_id=getattr(request.state, "request_id", ""), **more
    )


def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows Starlette's handler signature
    causes = error.errors()
    if any(cause["type"] == "json_invalid" for cause in causes):
        return _answer(request, 400, f"the body is not JSON: {causes[0]['ctx']['error']}", kind="malformed-json")
    content_type = request.headers.get("content-type", "")
    # FastAPI leaves a body of another type as the bytes that it is.
    unread = isinstance(error.body, bytes) and bool(error.body)
    if causes[0]["loc"] == ("body",) and (unread or "json" not in content_type.lower()):
        return _answer(request, 415, f"Content-Type is {content_type!r}; application/json is allowed")
    details = [ProblemDetail(pointer=_pointer(cause["loc"]), detail=cause["msg"]) for cause in causes[:_MAX_DETAILS]]
    summary = f"{details[0].pointer}: {details[0].detail}"
    if len(causes) > 1:
        summary += f" (and {len(causes) - 1} more)"
    return _answer(request, 422, summary, kind="invalid-request", errors=details)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - narrows Starlette's handler signature
    kind = error.kind if isinstance(error, ProblemError) else None
    if error.status_code == 400 and kind is None:
        kind = "malformed-json"  # FastAPI's answer to bytes that its JSON parser could not even begin with
    headers = dict(error.headers) if error.headers else None
    if error.status_code == 405:
        headers = {"Allow": _allowed(request)}
    return _answer(request, error.status_code, str(error.detail), kind=kind, headers=headers)


def _allowed(request: Request) -> str:
    """Return the methods of a path; Starlette would name those of its first route only."""
    partial = (route for route in request.app.routes if route.matches(request.scope)[0] is Match.PARTIAL)
    return ", ".join(sorted({method for route in partial for method in getattr(route, "methods", None) or ()}))


def _on_data_error(request: Request, error: Exception) -> Response:
    return _answer(request, 422, str(error), kind="unusable-features")


def _on_unavailable(request: Request, error: Exception) -> Response:
    kind = "overloaded" if isinstance(error, OverloadedError) else "model-unavailable"
    return _answer(request, 503, str(error), kind=kind, headers={"Retry-After": "1"})


def _on_operation_error(request: Request, error: Exception) -> Response:
    return _answer(request, 500, str(error), kind="model-failed")


def _pointer(location: Sequence[Any]) -> str:
    """Return the JSON pointer of a pydantic location, e.g. ('body', 'features', 0, 1) is '#/features/0/1'."""
    parts = [re.sub("~", "~0", str(part)).replace("/", "~1") for part in location if part != "body"]
    return "#" + "".join(f"/{part}" for part in parts)
