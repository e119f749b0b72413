"""A trace across processes, and the audit log behind Ray Serve's proxy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from serve.lifecycle import RunningApp
from tests.ray.serve.conftest import TOKEN
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import numpy as np

    from serve.service import EnsembleService

pytestmark = pytest.mark.ray


def _spans(written: Path, trace: str) -> list[dict[str, Any]]:
    """The spans of a trace whose lines are whole."""
    lines = [line for line in written.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [span for span in map(orjson.loads, lines) if span["context"]["trace_id"] == f"0x{trace}"]


def _edges(spans: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Each span's name with its parent's, or with the id of one that is not ours."""
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    return {(span["name"], names.get(span["parent_id"], span["parent_id"])) for span in spans}


def test_a_trace_goes_from_the_ingress_into_the_replica(
    app: RunningApp, service: EnsembleService, features: np.ndarray
) -> None:
    """The client's trace holds request, variant, replica and each member, of two processes."""
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    description = service.describe()
    body = {
        "feature_names": list(description.feature_names),
        "symbols": ["A", "B"],
        "features": [[0.5] * features.shape[2]] * 2,
    }
    headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert httpx.post(f"{app.url}/v1/predict", json=body, headers=headers, timeout=60).status_code == 200
    written = Path(app.args.tracing.removeprefix("file:"))
    expected = {
        ("POST /v1/predict", "0x00f067aa0ba902b7"),
        ("score champion", "POST /v1/predict"),
        ("replica", "score champion"),
        *((f"member {member.key}", "replica") for member in description.members),
    }
    # Two processes write, and the request's own span ends after its answer has gone out.
    wait_until(lambda: _edges(_spans(written, trace)) >= expected)
    spans = _spans(written, trace)
    processes = {span["name"]: span["resource"]["attributes"]["process.pid"] for span in spans}
    assert processes["POST /v1/predict"] == processes["score champion"] != processes["replica"]


def test_a_denied_change_is_in_the_log(app: RunningApp) -> None:
    """The request id is the one that the proxy answered with."""
    denied = httpx.post(f"{app.url}/v1/experiments/nobody/stop", json={"why": "x"}, timeout=60)
    assert denied.status_code == 401
    log = httpx.get(f"{app.url}/v1/audit", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60).json()
    entry = next(each for each in log["entries"] if each["request_id"] == denied.headers["x-request-id"])
    assert (entry["who"], entry["path"], entry["outcome"]) == (None, "/v1/experiments/nobody/stop", "denied")
