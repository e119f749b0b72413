"""The application on a real cluster, over HTTP and by handle."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
import ray
from prometheus_client.parser import text_string_to_metric_families
from ray import serve as ray_serve

from serve.lifecycle import RunningApp, start_app
from serve.plan import Serving
from serve.predictor import ServePredictor
from serve.service import EnsembleService
from tests.support.waiting import wait_until
from trader.core.errors import DataError, OperationError, ServiceUnavailableError
from trader.core.protocols import Prediction
from trader.settings.sections import ServeSettings

if TYPE_CHECKING:
    from tests.ray.conftest import RayCluster

pytestmark = pytest.mark.ray


def same(got: Prediction, want: Prediction) -> bool:
    """Return whether two predictions are equal bit for bit."""
    return got.score.tobytes() == want.score.tobytes() and {k: v.tobytes() for k, v in got.members.items()} == {
        k: v.tobytes() for k, v in want.members.items()
    }


def request_of(service: EnsembleService, rows: np.ndarray) -> dict[str, Any]:
    """Return the HTTP request for features of shape (n_symbols, n_features)."""
    return {
        "feature_names": list(service.describe().feature_names),
        "symbols": [f"S{i}" for i in range(len(rows))],
        "features": [[None if np.isnan(value) else value for value in row] for row in rows.tolist()],
    }


def test_handle_and_http_equal_the_process(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """In process, by handle, over HTTP, in a block or one by one: the same bits."""
    want = service.predict(features)
    assert np.isfinite(want.score).all()
    assert same(app.predictor(features), want)
    for t, rows in enumerate(features):
        assert same(app.predictor(rows[None]), service.predict(rows[None]))
        answer = httpx.post(f"{app.url}/v1/predict", json=request_of(service, rows), timeout=60).json()
        assert np.array(answer["scores"], dtype=float).tobytes() == want.score[t].tobytes()
        for key, scores in answer["members"].items():
            assert np.array(scores, dtype=float).tobytes() == want.members[key][t].tobytes()


def test_blocks_of_any_size_are_scored(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """Blocks go in the message up to 256 KiB and through the object store above; the scores are the same."""
    for n_slices in (54, 55, 1000):  # 259 kB, 264 kB and 4.8 MB: a message of Serve's holds 4 MiB at most
        block = np.resize(features, (n_slices, 20, 30))
        assert same(app.predictor(block), service.predict(block))


def test_predictor_works_inside_an_actor(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """A predictor sent to an actor finds the application by its name."""

    @ray.remote(num_cpus=0)
    class Decider:
        def __init__(self, predictor: ServePredictor) -> None:
            self._predictor = predictor

        def decide(self, features: np.ndarray) -> Prediction:
            return self._predictor(features)

    decider = Decider.remote(app.predictor)
    assert same(ray.get(decider.decide.remote(features)), service.predict(features))


def test_errors_cross_the_cluster_as_our_own(app: RunningApp) -> None:
    """A wrong shape raises DataError in the caller, at once; an application that does not run, ServiceUnavailable."""
    with pytest.raises(DataError, match=r"shape \(1, 2, 3\)"):
        app.predictor(np.zeros((1, 2, 3)))
    with pytest.raises(ServiceUnavailableError, match="no Serve application 'nobody'"):
        ServePredictor("nobody")(np.zeros((1, 2, 3)))


def test_every_route_answers(app: RunningApp) -> None:
    """The routes are where the documentation says, and an answer carries one request id."""
    for path in ("/v1/models", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        response = httpx.get(app.url + path, headers={"X-Request-ID": "trace-9"}, timeout=60)
        assert response.status_code == 200, path
        assert response.headers.get_list("x-request-id") == ["trace-9"]
    members = httpx.get(f"{app.url}/v1/models", timeout=60).json()["members"]
    assert [member["key"] for member in members] == ["momentum@1", "linear@1", "boosting@1"]


def test_errors_are_problems_behind_the_proxy(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """What the ingress refuses comes through Serve's proxy as the problem it is."""
    rows = np.tile(features[0], (4, 1))
    request = request_of(service, features[0])
    for status, answer in (
        (404, httpx.get(f"{app.url}/nowhere", timeout=60)),
        (413, httpx.post(f"{app.url}/v1/predict", json=request_of(service, rows), timeout=60)),
        (413, httpx.post(f"{app.url}/v1/predict", content=b"x" * (17 * 2**20), timeout=60)),
        (422, httpx.post(f"{app.url}/v1/predict", json=request | {"symbols": []}, timeout=60)),
        (422, httpx.post(f"{app.url}/v1/predict", json=request | {"feature_names": ["x"] * 30}, timeout=60)),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert [answer.json()["request_id"]] == answer.headers.get_list("x-request-id")


def test_metrics_join_ingress_and_replica(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """One scrape shows what the ingress and the replicas count, told apart by process; a shadow sees requests late."""
    before = _settle(app)
    app.predictor(features)
    httpx.post(f"{app.url}/v1/predict", json=request_of(service, features[0]), timeout=60)
    wait_until(lambda: _rows(_scrape(app)) >= before + 60 + 20 + 20)
    assert _settle(app) == before + 60 + 20 + 20
    text = _scrape(app)
    processes = {s.labels["process"] for f in text_string_to_metric_families(text) for s in f.samples}
    assert len(processes) == 3


def test_address_is_the_cluster_s(app: RunningApp, ray_cluster: RayCluster) -> None:
    """On a cluster where Serve already listens, its address is used."""
    assert app.url == f"http://{ray_cluster.host}:{ray_cluster.port}"


def test_second_application_is_refused(app: RunningApp, model_dir: Path, features: np.ndarray) -> None:
    """One application answers at an address: another one is an error, and the first serves on."""
    with pytest.raises(OperationError, match="gpt-trader"):
        start_app(ServeSettings(port=0), Serving(model_dir=model_dir), name="another")
    assert list(ray_serve.status().applications) == [app.name]
    app.predictor(features)


def _settle(app: RunningApp) -> float:
    """Return how many rows were predicted, when the shadow has seen what was mirrored to it."""
    then = -1.0
    while then != (then := _rows(_scrape(app))):
        time.sleep(0.5)
    return then


def _scrape(app: RunningApp) -> str:
    """Return the metrics with those of both replicas, which a busy one may be too late for."""
    found: list[str] = []

    def is_whole() -> bool:
        found.append(httpx.get(f"{app.url}/metrics", timeout=60).text)
        return _total(found[-1], "gpt_trader_ensemble_replicas_scraped") == 2

    wait_until(is_whole)
    return found[-1]


def _rows(text: str) -> float:
    return _total(text, "gpt_trader_prediction_rows_total")


def _total(text: str, name: str) -> float:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(sample.value for sample in samples if sample.name == name)
