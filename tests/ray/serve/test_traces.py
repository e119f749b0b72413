"""A trace across processes, and the audit log behind Ray Serve's proxy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import orjson
import pytest

from serve.lifecycle import RunningApp
from tests.ray.serve.conftest import TOKEN

if TYPE_CHECKING:
    import numpy as np

    from serve.service import EnsembleService

pytestmark = pytest.mark.ray


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
    assert httpx.post(f"{app.url}/v1/predict", json=body, headers=headers).status_code == 200
    lines = Path(app.args.tracing.removeprefix("file:")).read_text().splitlines()
    spans = [span for span in map(orjson.loads, lines) if span["context"]["trace_id"] == f"0x{trace}"]
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    found = {(span["name"], names.get(span["parent_id"], span["parent_id"])) for span in spans}
    assert found >= {
        ("POST /v1/predict", "0x00f067aa0ba902b7"),
        ("score champion", "POST /v1/predict"),
        ("replica", "score champion"),
        *((f"member {member.key}", "replica") for member in description.members),
    }
    processes = {span["name"]: span["resource"]["attributes"]["process.pid"] for span in spans}
    assert processes["POST /v1/predict"] == processes["score champion"] != processes["replica"]


def test_a_denied_change_is_in_the_log(app: RunningApp) -> None:
    """The request id is the one that the proxy answered with."""
    denied = httpx.post(f"{app.url}/v1/experiments/nobody/stop", json={"why": "x"})
    assert denied.status_code == 401
    log = httpx.get(f"{app.url}/v1/audit", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    entry = next(each for each in log["entries"] if each["request_id"] == denied.headers["x-request-id"])
    assert (entry["who"], entry["path"], entry["outcome"]) == (None, "/v1/experiments/nobody/stop", "denied")
