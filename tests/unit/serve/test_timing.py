"""What the router measures of each variant, and the metrics of all replicas in one answer."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families
from ray.serve.exceptions import BackPressureError

from serve.backend import HandleBackend, InProcessBackend
from serve.ingress import create_api
from serve.metrics import HttpMetrics
from serve.overload import OverloadedError
from serve.routing import Challenge, Router
from serve.service import EnsembleService
from serve.timing import TimedBackend
from tests.support.problems import is_problem
from trader.core.errors import DataError, ModelError, ServiceUnavailableError
from trader.core.protocols import Prediction
from trader.experiments.assignment import Split

ROW = np.zeros((1, 2, 3))


class _Slow:
    """Answers after a while, or raises."""

    deployment = "ensemble-1"

    def __init__(self, error: BaseException | None = None, takes_s: float = 0.0) -> None:
        self._error, self._takes_s = error, takes_s

    async def score(self, names: tuple[str, ...], features: np.ndarray, trace: str | None = None) -> Prediction:
        await asyncio.sleep(self._takes_s)
        if self._error is not None:
            raise self._error
        return Prediction(np.zeros((1, features.shape[1])), {})


def _sample(metrics: HttpMetrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"gpt_trader_variant_{name}", labels)
    return 0.0 if found is None else found


async def test_predictions_are_timed_by_variant_and_deployment() -> None:
    """The time is that of the call, answered or not."""
    metrics = HttpMetrics()
    backend: Any = _Slow(takes_s=0.06)
    await TimedBackend(backend, metrics, "challenger").score((), ROW)
    where = {"variant": "challenger", "deployment": "ensemble-1"}
    assert _sample(metrics, "seconds_count", **where) == 1
    assert 0.06 <= _sample(metrics, "seconds_sum", **where) < 60.0
    assert _sample(metrics, "seconds_bucket", **where, le="0.05") == 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DataError("x"), "refused"),
        (OverloadedError("x"), "overloaded"),
        (ServiceUnavailableError("x"), "unavailable"),
        (ModelError("x"), "failed"),
        (asyncio.CancelledError(), "cancelled"),
        (ZeroDivisionError(), "unexpected"),
    ],
)
async def test_errors_are_counted_by_kind(error: BaseException, kind: str) -> None:
    metrics = HttpMetrics()
    backend: Any = _Slow(error)
    with pytest.raises(type(error)):
        await TimedBackend(backend, metrics, "champion").score((), ROW)
    assert _sample(metrics, "errors_total", variant="champion", deployment="ensemble-1", kind=kind) == 1
    assert _sample(metrics, "seconds_count", variant="champion", deployment="ensemble-1") == 1


async def test_the_replicas_of_every_variant_are_merged(service: EnsembleService, body: dict[str, Any]) -> None:
    """Each series says whose deployment it is of; the ingress's own have no such label but where it is theirs."""

    class Named(InProcessBackend):
        """One of several deployments."""

        def __init__(self, name: str) -> None:
            super().__init__(service)
            self.deployment = name

    router = Router(Named("ensemble-a"), (Named("ensemble-b"), Challenge(Split("e", 0.5))))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_api(router)), base_url="http://test") as client:
        assert (await client.post("/v1/predict", json=body)).is_success
        answer = await client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    rows = {sample.labels["deployment"]: sample.value for sample in families["gpt_trader_prediction_rows"].samples}
    assert rows == {"ensemble-a": 10.0, "ensemble-b": 10.0}
    assert families["gpt_trader_ensemble_replicas_scraped"].samples[0].value == 2
    assert all("deployment" not in sample.labels for sample in families["gpt_trader_http_requests"].samples)
    timed = {
        (sample.labels["variant"], sample.labels["deployment"]): sample.value
        for sample in families["gpt_trader_variant_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert timed == {("champion", "ensemble-a"): 1.0, ("challenger", "ensemble-b"): 1.0}


async def test_a_full_queue_is_refused_at_once(body: dict[str, Any]) -> None:
    """503 and Retry-After, no retry, which would hold a place in the ingress; the champion is not at fault."""

    class Handle:
        """Of a deployment whose queue is full."""

        deployment_name = "ensemble-1"
        asked = 0

        def options(self, **_: object) -> Handle:
            return self

        @property
        def score(self) -> Handle:
            return self

        async def remote(self, *_: object) -> None:
            Handle.asked += 1
            raise BackPressureError(num_queued_requests=1024, max_queued_requests=1024)

    handle: Any = Handle()
    router = Router(HandleBackend(handle, timeout_s=60.0))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(create_api(router)), base_url="http://test") as client:
        refused = await client.post("/v1/predict", json=body)
    problem = is_problem(refused, 503, "overloaded")
    assert refused.headers["retry-after"] == "1"
    assert "the queue of ensemble-1 is full" in problem["detail"]
    assert Handle.asked == 1
    assert router.standing()["variants"]["champion"]["failed"] == 0
