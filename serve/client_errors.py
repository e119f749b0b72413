"""What a client of the HTTP interface raises: problem documents as members of our exception tree.

::

    HttpError (TraderError)          status, type, errors, request_id, attempts
    ├── HttpDataError                400, 413, 422; also a DataError
    ├── HttpNotFoundError            404; also a NotFoundError
    ├── HttpConflictError            409; also a ConflictError
    ├── HttpUnavailableError         429, 502, 503, 504 or no answer in time; also a ServiceUnavailableError
    └── HttpOperationError           anything else, answers that cannot be used among it; also an OperationError
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from trader.core.errors import (
    ConflictError,
    DataError,
    NotFoundError,
    OperationError,
    ServiceUnavailableError,
    TraderError,
)

__all__ = [
    "Cause",
    "HttpConflictError",
    "HttpDataError",
    "HttpError",
    "HttpNotFoundError",
    "HttpOperationError",
    "HttpUnavailableError",
    "Reply",
    "error_of",
]

_SHOWN = 200


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read to its end.

    Parameters
    ----------
    status : int
    headers : mapping of str to str
        Case does not matter.
    content : bytes
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


class Cause(NamedTuple):
    """One of the `errors` of a problem document: a JSON pointer into the request, and what is wrong there."""

    pointer: str
    detail: str


class HttpError(TraderError):
    """A request failed; the message is the problem's `detail`.

    Parameters
    ----------
    message : str
    status : int, optional
        Of HTTP; None where no answer came.
    problem_type : str
        `urn:gpt-trader:problem:…`, kept as `type`; `about:blank` says no more than the status.
    errors : sequence of Cause
    request_id : str
        Under which the server's log has it.
    attempts : int
        Requests sent, the last one included.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        problem_type: str = "about:blank",
        errors: Sequence[Cause] = (),
        request_id: str = "",
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = problem_type
        self.errors = tuple(errors)
        self.request_id = request_id
        self.attempts = attempts


class HttpDataError(HttpError, DataError):
    """The server cannot use what was sent."""


class HttpNotFoundError(HttpError, NotFoundError):
    """The server does not have what was named."""


class HttpConflictError(HttpError, ConflictError):
    """What is so on the server now does not allow it."""


class HttpUnavailableError(HttpError, ServiceUnavailableError):
    """The server is away, busy or too slow; a later call may succeed."""


class HttpOperationError(HttpError, OperationError):
    """The server failed, or its answer cannot be used."""


_KINDS: dict[int, type[HttpError]] = {
    400: HttpDataError,
    404: HttpNotFoundError,
    409: HttpConflictError,
    413: HttpDataError,
    422: HttpDataError,
    429: HttpUnavailableError,
    502: HttpUnavailableError,
    503: HttpUnavailableError,
    504: HttpUnavailableError,
}


def error_of(reply: Reply, what: str, request_id: str, attempts: int = 1) -> HttpError:
    """Return the exception for an answer that is not 2xx.

    Parameters
    ----------
    reply : Reply
        A problem document, or what a proxy or another server says.
    what : str
        The request in words; opens the message where the answer has no `detail`.
    request_id : str
        The one that was sent; the answer's own goes before it.
    attempts : int
        Requests sent.
    """
    problem = _document(reply.content)
    detail = problem.get("detail")
    if not isinstance(detail, str) or not detail:
        text = reply.content[:_SHOWN].decode(errors="replace").strip()
        detail = f"{what} was answered {_phrase(reply.status)} without a problem document"
        detail += f": {text!r}" if text else ""
    answered_id = problem.get("request_id") or reply.headers.get("X-Request-ID") or request_id
    return _KINDS.get(reply.status, HttpOperationError)(
        detail,
        status=reply.status,
        problem_type=str(problem.get("type") or "about:blank"),
        errors=_causes(problem.get("errors")),
        request_id=str(answered_id),
        attempts=attempts,
    )


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def _causes(errors: object) -> list[Cause]:
    found = errors if isinstance(errors, list) else []
    return [Cause(str(one.get("pointer", "")), str(one.get("detail", ""))) for one in found if isinstance(one, dict)]


def _phrase(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
