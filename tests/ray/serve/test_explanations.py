"""Explanations of the deployed ensemble, over HTTP, while it predicts."""

from __future__ import annotations

import threading
import time

import httpx
import numpy as np
import pytest

from serve.lifecycle import RunningApp
from serve.service import EnsembleService

pytestmark = pytest.mark.ray


def request_of(service: EnsembleService, rows: np.ndarray) -> dict[str, object]:
    """Return the HTTP request for features of shape (n_symbols, n_features)."""
    return {
        "feature_names": list(service.describe().feature_names),
        "symbols": [f"S{i}" for i in range(len(rows))],
        "features": [[None if np.isnan(value) else value for value in row] for row in rows.tolist()],
    }


def test_http_equals_the_process(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """Through proxy, ingress and handle the values have the bits they have in this process, and add up to /predict."""
    request = request_of(service, features[0])
    scores = httpx.post(f"{app.url}/v1/predict", json=request, timeout=60).json()["scores"]
    answer = httpx.post(f"{app.url}/v1/explain", json=request, timeout=60).json()
    names = service.describe().feature_names
    want = service.explain(names, features[:1], np.arange(20), "shap", "ensemble").attribution
    for row, one in enumerate(answer["explanations"]):
        values = {share["feature"]: share["value"] for share in one["values"]}
        assert [values[name] for name in names] == want.values[row].tolist()
        assert one["score"] == scores[row]
        assert one["base"] + sum(values.values()) == pytest.approx(scores[row], abs=1e-12)


def test_errors_cross_the_cluster_as_problems(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """An unknown member, a method without gradients and unknown names keep their kinds behind the handle."""
    request = request_of(service, features[0])
    for change, kind in (
        ({"member": "nobody"}, "unknown-member"),
        ({"method": "ig"}, "unsupported-method"),
        ({"feature_names": [f"x{i}" for i in range(30)]}, "unusable-features"),
        ({"method": "guess"}, "invalid-request"),
    ):
        answer = httpx.post(f"{app.url}/v1/explain", json=request | change, timeout=60)
        assert answer.status_code == 422, answer.text
        assert answer.json()["type"] == f"urn:gpt-trader:problem:{kind}"


def test_predictions_are_answered_while_explanations_are_computed(
    app: RunningApp, service: EnsembleService, features: np.ndarray
) -> None:
    """Under a stream of explanations each prediction has its bits and waits for none of them; others get 503."""
    want = service.predict(features).score
    app.predictor(features[:1])
    spans: list[tuple[float, float]] = []
    statuses: list[int] = []
    stop = threading.Event()

    def explain(name: int) -> None:
        rng = np.random.default_rng(name)
        while not stop.is_set():
            request = request_of(service, rng.normal(size=(20, 30))) | {"method": "lime"}
            started = time.monotonic()
            statuses.append(httpx.post(f"{app.url}/v1/explain", json=request, timeout=180).status_code)
            if statuses[-1] == 200:
                spans.append((started, time.monotonic()))
            else:
                time.sleep(0.02)

    threads = [threading.Thread(target=explain, args=(name,)) for name in range(2)]
    for thread in threads:
        thread.start()
    predictions: list[tuple[float, float]] = []
    deadline = time.monotonic() + 180.0
    while (len(spans) < 2 or 503 not in statuses) and time.monotonic() < deadline:
        started = time.monotonic()
        instant = len(predictions) % 3
        assert np.array_equal(app.predictor(features[instant : instant + 1]).score[0], want[instant], equal_nan=True)
        predictions.append((started, time.monotonic()))
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200, 503}
    inside = [sum(begin > start and done < end for begin, done in predictions) for start, end in spans[:2]]
    assert min(inside) >= 5, f"{inside} predictions were answered during explanations of {spans}"
