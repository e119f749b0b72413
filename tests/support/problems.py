"""Errors of the HTTP interface, RFC 9457."""

from __future__ import annotations

from typing import Any

import httpx

from serve.problems import PROBLEM_MEDIA_TYPE


def is_problem(response: httpx.Response, status: int, kind: str | None = None) -> dict[str, Any]:
    """Check that the answer is the problem document it should be, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE
    problem: dict[str, Any] = response.json()
    assert problem["status"] == status
    assert problem["type"] == (f"urn:gpt-trader:problem:{kind}" if kind else "about:blank")
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    return problem
