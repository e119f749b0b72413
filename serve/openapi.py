"""The OpenAPI document, exact: each answer that an operation can give, with its headers, schema and example.

Which statuses those are follows from what an operation is: one that reads a body can refuse it, one with a security
scheme can refuse the token, and so on; a route added later is documented by the same rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from serve.deadline import DEADLINE_HEADER, LONGEST_MS
from serve.problems import PROBLEM_MEDIA_TYPE, Problem, problem_document

__all__ = ["complete_document"]

_REF = "#/components/"
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer"}}}
_CHALLENGE = {
    "WWW-Authenticate": {"description": "`Bearer`.", "required": True, "schema": {"type": "string", "const": "Bearer"}}
}
_REQUEST_ID = {
    "description": "The client's own, if it was at most 128 letters, digits and `._:-`, or a new one. Ray Serve's "
    "proxy sends back whatever the client gave; `request_id` of the body is what logs and the audit log have.",
    "required": True,
    "schema": {"type": "string"},
}
_LOCATION = {"description": "Path of what was made.", "required": True, "schema": {"type": "string"}}
_PARAMETERS = {
    "RequestId": {
        "name": "X-Request-ID",
        "in": "header",
        "description": "Names the request in the answer, the logs and the audit log.",
        "schema": {"type": "string"},
    },
    "Deadline": {
        "name": DEADLINE_HEADER,
        "in": "header",
        "description": "Milliseconds that the client waits for the answer; it is 504 after that.",
        "schema": {"type": "integer", "minimum": 0, "maximum": LONGEST_MS},
    },
    "TraceParent": {
        "name": "traceparent",
        "in": "header",
        "description": "W3C trace context; spans of this request continue that trace where tracing is on.",
        "schema": {"type": "string"},
    },
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Refusal:
    """A status that is not 2xx: when it is answered, an example of it, its headers, and a type beside the problem."""

    when: str
    kind: str | None
    detail: str
    headers: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    plain: bool = False


_REFUSALS: Mapping[int, _Refusal] = {
    400: _Refusal("The body is not JSON, or a header is malformed.", "malformed-json", "the body is not JSON: …"),
    401: _Refusal(
        "No bearer token, or one that is nobody's.", "unauthenticated", "a bearer token is needed", _CHALLENGE
    ),
    403: _Refusal("The role of the token's user is too low.", "forbidden", "bob is viewer; admin is needed"),
    404: _Refusal("What is named does not exist.", "not-found", "experiment 'x' does not exist"),
    409: _Refusal("What is so now does not allow it.", "conflict", "experiment 'x' is stopped already"),
    413: _Refusal(
        "The body, or what it asks for, is over a limit.",
        "body-too-large",
        "the body is longer than 16777216 bytes, the most allowed",
    ),
    415: _Refusal(
        "The body is of another type than JSON.", None, "Content-Type is 'text/plain'; application/json is allowed"
    ),
    422: _Refusal("The request is understood, and not allowed.", "invalid-request", "#/features: Field required"),
    429: _Refusal(
        "The client sends more requests than it may.",
        "too-many-requests",
        "10.0.0.7 sends more requests than are allowed; the next may come in 0.35 s",
        _RETRY_AFTER,
    ),
    500: _Refusal("The models cannot answer, or the server is at fault.", "model-failed", "every member fails"),
    503: _Refusal(
        "It cannot be answered now: replicas away, queue full, store gone. Ray Serve's proxy says so in plain text.",
        "model-unavailable",
        "the ensemble did not answer within 10 s",
        _RETRY_AFTER,
        plain=True,
    ),
    504: _Refusal(
        "The client's deadline has passed.",
        "deadline-exceeded",
        f"there was no answer within the 50 ms that {DEADLINE_HEADER} gave",
    ),
}


def complete_document(app: FastAPI) -> None:
    """Make the OpenAPI document of `app` name every answer; FastAPI knows only those of success and its own 422."""
    make_document = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(make_document())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]


def _complete(document: dict[str, Any]) -> None:
    components = document["components"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    problem = Problem.model_json_schema(mode="serialization", ref_template=f"{_REF}schemas/{{model}}")
    components["schemas"] |= problem.pop("$defs", {}) | {"Problem": problem}
    components["parameters"] = _PARAMETERS
    components["headers"] = {"RequestId": _REQUEST_ID}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation)


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    statuses = _statuses(path, method, operation)
    parameters = operation.setdefault("parameters", [])
    names = ["RequestId", "TraceParent", *(["Deadline"] if 504 in statuses else [])]
    parameters += [{"$ref": f"{_REF}parameters/{name}"} for name in names]
    responses = {code: found for code, found in operation["responses"].items() if code.startswith("2")}
    for status in sorted(statuses):
        responses[str(status)] = _response(status, path)
    if "201" in responses:
        responses["201"]["headers"] = {"Location": _LOCATION}
    for response in responses.values():
        response.setdefault("headers", {})["X-Request-ID"] = {"$ref": f"{_REF}headers/RequestId"}
    operation["responses"] = responses


def _statuses(path: str, method: str, operation: dict[str, Any]) -> set[int]:
    """Return the statuses beside 2xx that an operation can answer."""
    tags = operation.get("tags", ())
    over_store = {"audit", "experiments", "risk", "serving"} & set(tags)
    reads_body = "requestBody" in operation
    rules = (
        (path != "/healthz", {500}),
        (path.startswith("/v1/"), {429}),
        (bool(operation.get("parameters")), {422}),
        (reads_body, {400, 413, 415, 422}),
        ("security" in operation, {401, 403}),
        (bool(over_store) or "models" in tags or path == "/readyz", {503}),
        ("models" in tags and reads_body, {400, 504}),
        ((bool(over_store) and ("{" in path or reads_body)) or "risk" in tags, {404}),
        ((bool(over_store) and method in ("post", "put")) or path == "/v1/explain", {409}),
    )
    return set().union(*(statuses for applies, statuses in rules if applies))


def _response(status: int, path: str) -> dict[str, Any]:
    refusal = _REFUSALS[status]
    example = problem_document(status, refusal.detail, path=path, request_id="trace-7", kind=refusal.kind)
    content: dict[str, Any] = {
        PROBLEM_MEDIA_TYPE: {"schema": {"$ref": f"{_REF}schemas/Problem"}, "example": example.model_dump()}
    }
    if refusal.plain:
        content["text/plain"] = {"schema": {"type": "string"}}
    return {"description": refusal.when, "headers": dict(refusal.headers), "content": content}
