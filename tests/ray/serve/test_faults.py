"""Replicas are killed and frozen for real; predictions go on, and none is wrong."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import numpy as np
import psutil
import pytest
import ray
from ray import serve as ray_serve

from serve.lifecycle import RunningApp
from serve.names import INGRESS
from serve.predictor import ServePredictor
from serve.service import EnsembleService
from tests.support.deciding import Trading
from tests.support.load import Load
from tests.support.waiting import wait_until
from trader.core.errors import ServiceUnavailableError
from trader.core.protocols import Prediction
from trader.storage import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def replica_pid(app: RunningApp) -> int:
    """Return the process id of the ensemble's replica, waiting for one that answers."""
    pid: int = ray_serve.get_deployment_handle(app.predictor.deployment, app.name).probe.remote().result(timeout_s=120)
    return pid


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process for a while: it neither answers nor closes its connections."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGCONT)


@ray.remote(num_cpus=0, max_concurrency=3)
class Caller:
    """Predicts without a pause, as the decision loop does, and keeps what it was told."""

    def __init__(self, predictor: ServePredictor) -> None:
        self._predictor = predictor
        self._stop = threading.Event()
        self._done = 0

    def run(self, block: np.ndarray) -> tuple[list[bytes], int]:
        """Predict instant after instant until told to stop; return the scores and the number of retries."""
        scores = []
        while not self._stop.is_set():
            instant = len(scores) % len(block)
            scores.append(self._predictor(block[instant : instant + 1]).score.tobytes())
            self._done = len(scores)
        return scores, self._predictor.retries

    def done(self) -> int:
        """Return how many predictions were answered."""
        return self._done

    def stop(self) -> None:
        """End `run` after the prediction it is at."""
        self._stop.set()


def test_killed_replica_loses_and_alters_nothing(
    app: RunningApp, service: EnsembleService, features: np.ndarray
) -> None:
    """Two SIGKILLs under load from an actor: every prediction is answered, in order, with the right bits."""
    caller = Caller.remote(app.predictor)
    result = caller.run.remote(features)
    pids = []
    for n_done in (20, 40):
        wait_until(lambda n_done=n_done: ray.get(caller.done.remote()) >= n_done)
        pids.append(replica_pid(app))
        os.kill(pids[-1], signal.SIGKILL)
        assert replica_pid(app) != pids[-1]
    wait_until(lambda: ray.get(caller.done.remote()) > 60)
    ray.get(caller.stop.remote())
    scores, _ = ray.get(result, timeout=120)
    want = [row.tobytes() for row in service.predict(features).score]
    assert len(scores) > 50
    assert scores == [want[i % len(want)] for i in range(len(scores))]


def test_prediction_in_flight_is_repeated(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """A replica that dies while it computes costs a retry and not the prediction."""
    predictor = ServePredictor(app.name, deployment=app.predictor.deployment, timeout_s=180.0)
    predictor(features)
    block = np.tile(features, (4000, 1, 1))
    want = service.predict(block).score.tobytes()
    n_calls = 1
    while not predictor.retries and n_calls < 6:  # where this process was halted, the answer was there before the kill
        n_calls += 1
        replica = psutil.Process(replica_pid(app))
        idle = replica.cpu_times().user
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(predictor, block)
            while replica.cpu_times().user - idle < 0.05 and not answer.done():
                time.sleep(0.002)
            replica.kill()
            assert answer.result(180).score.tobytes() == want
    assert (predictor.calls, predictor.retries) == (n_calls, 1)


def test_http_outlives_its_replica(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """A request whose replica is killed is repeated by the ingress and answered 200."""
    request = {
        "feature_names": list(service.describe().feature_names),
        "symbols": [f"S{i}" for i in range(20)],
        "features": np.nan_to_num(features[0]).tolist(),
    }
    pid = replica_pid(app)
    os.kill(pid, signal.SIGKILL)
    answer = httpx.post(f"{app.url}/v1/predict", json=request, timeout=120)
    assert answer.status_code == 200, answer.text
    want = service.predict(np.nan_to_num(features[:1])).score[0]
    assert np.array(answer.json()["scores"]).tobytes() == want.tobytes()


def test_deadline_is_kept_when_nobody_answers(app: RunningApp, features: np.ndarray) -> None:
    """A frozen replica ends in ServiceUnavailableError at the deadline, and serves again when it wakes."""
    predictor = ServePredictor(app.name, deployment=app.predictor.deployment, timeout_s=5.0)
    predictor(features)
    with frozen(replica_pid(app)):
        started = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match="did not answer within 5 s"):
            predictor(features)
        assert time.monotonic() - started < 20.0
        assert httpx.get(f"{app.url}/healthz", timeout=60).json() == {"status": "alive"}
    predictor.within(60.0)(features)


def test_a_run_holds_its_positions_while_nobody_answers(app: RunningApp, service: EnsembleService) -> None:
    """Ten decisions are made while the replica is frozen, at the cost of one deadline and two brief attempts; none
    makes an order, and they go on as before when it wakes."""
    served, n_columns = app.predictor.within(5.0), len(service.describe().feature_names)

    class First:
        """The served ensemble on the first columns of the run's features."""

        context = 1

        def __call__(self, features: np.ndarray, n_context: int = 0) -> Prediction:
            return served(np.ascontiguousarray(features[..., :n_columns]), n_context)

    roomy = {"sizing": {"max_weight": 1.0, "max_gross": 5.0, "max_net": 5.0}}  # nothing is cut to a limit
    with Store.open("sqlite://") as store:
        trading = Trading(store, First(), roomy)
        trading.go(80)
        first = trading.decider.counters.decisions
        with frozen(replica_pid(app)):
            started = time.monotonic()
            trading.go(90)
            assert time.monotonic() - started < 25.0  # ten deadlines are fifty seconds
        last = trading.decider.counters.decisions - 1
        assert trading.decider.standing.missing_since == first
        trading.finish()
        missing, back = trading.told
        assert "did not answer within 5 s" in missing.payload()["reason"]
        assert last < back.payload()["seq"] <= first + 3 + 16 + 1
        table = store.decisions("r")
        held = table.positions[first : last + 1]
        assert np.array_equal(held, np.repeat(held[:1], len(held), axis=0))
        assert np.isfinite(table.score[back.payload()["seq"] :]).all()


def test_a_controller_that_dies_takes_nothing_with_it(app: RunningApp, service: EnsembleService) -> None:
    """Requests are answered while it is away; the one that follows knows replicas and plan, and restarts neither."""
    rows = np.zeros((2, len(service.describe().feature_names)))
    body = {"feature_names": service.describe().feature_names, "symbols": ["A", "B"], "features": rows.tolist()}
    pid, before = replica_pid(app), httpx.get(f"{app.url}/v1/models", timeout=120).json()["members"]
    standing = ray_serve.get_deployment_handle(INGRESS, app.name).standing
    plan = standing.remote().result(timeout_s=120)["plan"]
    with Load(app.url, body, clients=1) as load:
        ray.kill(ray.get_actor("SERVE_CONTROLLER_ACTOR", namespace="serve"), no_restart=False)
        wait_until(lambda: ray_serve.status().applications[app.name].status == "RUNNING", 180)
        time.sleep(2.0)  # a controller that did not recognise what runs would replace it now
    assert load.failures == []
    assert len(load.answers) == 1
    assert replica_pid(app) == pid
    assert standing.remote().result(timeout_s=120)["plan"] == plan
    after = httpx.get(f"{app.url}/v1/models", timeout=120).json()["members"]
    assert [member["sha256"] for member in after] == [member["sha256"] for member in before]
