"""A shadow that allocates without end: its own replica is held to its limit, and production does not notice."""

from __future__ import annotations

import contextlib
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import psutil
import pytest
from ray import serve as ray_serve

from serve.app import AppArgs, application
from serve.plan import Serving, deployment_of
from serve.service import EnsembleService
from tests.support.waiting import wait_until
from trader.settings.sections import ServeSettings

if TYPE_CHECKING:
    from tests.ray.conftest import RayCluster

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is set by what /proc says"),
]

NAME = "greedy"
LIMIT_MB = 192
ENOUGH_MB = 2048  # where there is no limit, the test fails and the machine does not
MARK = 13.0


def greedy_service() -> type[EnsembleService]:
    """Return a service whose members, where it is a challenger's, keep taking memory while they see `MARK`.

    It is made here, so that replicas are sent the class itself.
    """

    class Greedy(EnsembleService):
        hoard: list[bytearray] = []  # noqa: RUF012
        is_challenger = False

        def reconfigure(self, config: Any) -> None:
            super().reconfigure(config)
            self.is_challenger = config["memory_mb"] > 0

        def predict(self, features: Any, n_context: int = 0, ask: Any = None) -> Any:
            ask = ask or self._ensemble.ask

            def greedy(*question: Any) -> Any:
                while len(self.hoard) < ENOUGH_MB:
                    self.hoard.append(bytearray(b"x" * 2**20))
                return ask(*question)

            is_greedy = self.is_challenger and features.size > 0 and features[0, 0, 0] == MARK
            return super().predict(features, n_context, greedy if is_greedy else ask)

    return Greedy


@pytest.fixture
def url(
    ray_cluster: RayCluster, model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, str]]:
    """Where an application with a greedy shadow answers, beside other applications; and the shadow's deployment."""
    monkeypatch.setattr("serve.deployments.EnsembleService", greedy_service())
    challenger_dir = Path(shutil.copytree(model_dir, tmp_path / "challenger"))
    serving = Serving(model_dir=model_dir, challenger_dir=challenger_dir)
    args = AppArgs.of(ServeSettings(challenger_memory_mb=LIMIT_MB), serving)
    ray_serve.run(application(args, ()), name=NAME, route_prefix=f"/{NAME}")
    yield f"http://{ray_cluster.host}:{ray_cluster.port}/{NAME}", deployment_of(challenger_dir)
    ray_serve.delete(NAME)


def test_production_does_not_notice(url: tuple[str, str], service: EnsembleService) -> None:
    """Every answer is the champion's to the bit, as quickly as before; the shadow has the memory it may, and fails."""
    root, shadow = url
    handle = ray_serve.get_deployment_handle(shadow, NAME)
    process = psutil.Process(handle.probe.remote().result(timeout_s=120))
    held_mb = process.memory_info().rss / 2**20
    names = service.describe().feature_names

    def ask(client: httpx.Client, first: float, n: int) -> float:
        """Ask n times; return the 99th percentile of the seconds that answers took."""
        features = np.linspace(-1.0, 1.0, 4 * len(names)).reshape(4, -1)
        features[0, 0] = first
        body = {"feature_names": names, "symbols": list("ABCD"), "features": features.tolist()}
        want = service.predict(features[None]).score[0].tolist()
        seconds = []
        for _ in range(n):
            began = time.perf_counter()
            answer = client.post("/v1/predict", json=body)
            seconds.append(time.perf_counter() - began)
            assert (answer.status_code, answer.json()["scores"]) == (200, want)
        return float(np.quantile(seconds, 0.99))

    def failures(client: httpx.Client) -> float:
        """Return how many requests the shadow has failed at."""
        counts = client.get("/metrics").text
        found = re.search(r'^gpt_trader_challenger_requests_total{outcome="failed",.*} (.*)$', counts, re.MULTILINE)
        return 0.0 if found is None else float(found[1])

    with httpx.Client(base_url=root, timeout=120) as client:
        ask(client, 0.0, 20)
        quiet = ask(client, 0.0, 150)
        greedy = ask(client, MARK, 150)
        wait_until(lambda: ask(client, MARK, 1) > 0.0 and failures(client) >= 3.0)  # they are counted late
    # A machine that halts for a moment is not taken for an answer that waits for the shadow, which has two seconds.
    assert greedy < 10.0 * max(quiet, 0.1)
    with contextlib.suppress(psutil.NoSuchProcess):
        assert process.memory_info().rss / 2**20 - held_mb < LIMIT_MB + 64
