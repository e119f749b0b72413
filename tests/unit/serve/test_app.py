"""The application as Ray Serve builds it, in its local testing mode: no cluster, one process."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from ray import serve as ray_serve
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary as build_as_the_cli_does
from ray.serve.handle import DeploymentHandle

from serve.app import AppArgs, build_app
from serve.backend import HandleBackend
from serve.deployments import Replicas, ensemble_application
from serve.plan import Serving
from serve.predictor import ServePredictor
from serve.service import EnsembleService
from trader.core.errors import DataError, ServiceUnavailableError
from trader.settings import ServeSettings


@pytest.fixture(scope="module")
def handle(model_dir: Path) -> DeploymentHandle:
    """A handle of the ensemble, in this process."""
    app = ensemble_application(model_dir, weights={}, replicas=Replicas(), cpus=0.1, member_timeout_s=0.0)
    return ray_serve.run(app, name="unit", route_prefix=None, _local_testing_mode=True)


def test_command_line_arguments_are_parsed(model_dir: Path) -> None:
    """`serve run serve.app:build_app model_dir=… replicas=2` reaches the builder as typed arguments."""
    app = build_as_the_cli_does(build_app, {"model_dir": str(model_dir), "replicas": "2", "max_rows": "10"})
    assert app._bound_deployment.name == "ingress"
    (ensemble,) = app._bound_deployment.init_args[0]
    assert ensemble._bound_deployment.num_replicas == 2
    assert ensemble._bound_deployment.init_args == (str(model_dir), 0.0, "off")


def test_replicas_follow_the_load_within_bounds(model_dir: Path) -> None:
    """More than the least are started only where a maximum above it is given."""
    for given, scaling in (({"replicas": 2}, None), ({"replicas": 2, "max_replicas": 5}, (2, 5, 4.0))):
        (ensemble,) = build_app(AppArgs(model_dir=model_dir, **given))._bound_deployment.init_args[0]
        found = ensemble._bound_deployment._deployment_config.autoscaling_config
        if found is not None:
            found = (found.min_replicas, found.max_replicas, found.target_ongoing_requests)
        assert found == scaling


@pytest.mark.parametrize("wrong", [{}, {"model_dir": "x", "replicas": 0}, {"model_dir": "x", "replica": 2}])
def test_wrong_arguments_are_refused(wrong: dict[str, object]) -> None:
    """A missing, impossible or misspelt argument does not reach Serve."""
    with pytest.raises(ValidationError):
        AppArgs.model_validate(wrong)


def test_relative_model_dir_is_resolved(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replicas run in another directory than the caller."""
    monkeypatch.chdir(model_dir.parent)
    app = build_app(AppArgs(model_dir=Path("models")))
    (ensemble,) = app._bound_deployment.init_args[0]
    assert ensemble._bound_deployment.init_args == (str(model_dir), 0.0, "off")


def test_predictor_equals_the_ensemble(handle: DeploymentHandle, model_dir: Path, features: np.ndarray) -> None:
    """Through a handle the scores are those of the service, bit for bit; calls are counted."""
    predictor = ServePredictor(handle)
    got = predictor(features[None])
    want = EnsembleService(model_dir).predict(features[None])
    assert got.score.tobytes() == want.score.tobytes()
    assert list(got.members) == list(want.members)
    assert (predictor.calls, predictor.retries) == (1, 0)


def test_queues_are_those_of_the_settings(model_dir: Path) -> None:
    """The ingress feeds several replicas, and the proxy says when to come again."""
    settings = ServeSettings(max_ongoing_requests=3, max_queued_requests=5)
    ingress = build_app(AppArgs.of(settings, Serving(model_dir=model_dir)))._bound_deployment
    (ensemble,) = ingress.init_args[0]
    limits = [
        (each.max_ongoing_requests, each._deployment_config.max_queued_requests)
        for each in (ingress, ensemble._bound_deployment)
    ]
    assert limits == [(12, 5), (3, 5)]
    refusal = ingress._deployment_config.backpressure_config
    assert (refusal.status_code, refusal.retry_after_s) == (503, 1.0)


def test_predictor_raises_what_the_service_raised(handle: DeploymentHandle) -> None:
    """A wrong shape is the caller's error, raised at once and not retried."""
    predictor = ServePredictor(handle)
    with pytest.raises(DataError, match=r"shape \(1, 2, 9\)"):
        predictor(np.zeros((1, 2, 9)))
    assert predictor.retries == 0


def test_predictor_travels_by_its_arguments() -> None:
    """A copy in another process keeps name and limits and counts for itself."""
    predictor = ServePredictor("some-app", timeout_s=5.0, retries=3)
    predictor.calls = 7
    copy = pickle.loads(pickle.dumps(predictor))
    assert copy.__reduce__() == predictor.__reduce__()
    assert copy.calls == 0


def test_after_a_missed_deadline_the_next_call_is_brief() -> None:
    """Whoever decides at every instant does not wait a minute at each; an answer restores the deadline."""

    class Handle:
        """Never answers in time, until it is told to."""

        def __init__(self) -> None:
            self.waits: list[float] = []
            self.answer: object = None

        def method(self, *_: object) -> Handle:
            return self

        def remote(self, *_: object) -> Handle:
            return self

        def result(self, timeout_s: float) -> object:
            self.waits.append(timeout_s)
            if self.answer is None:
                raise TimeoutError
            return self.answer

        def cancel(self) -> None:
            pass

    handle = Handle()
    predictor = ServePredictor("some-app", timeout_s=60.0, retries=0).within(30.0)
    for _ in range(2):
        predictor._handle = handle  # a deadline that was missed makes it look for the application anew
        with pytest.raises(ServiceUnavailableError, match="did not answer"):
            predictor(np.zeros((1, 2, 3)))
        assert predictor._handle is None
    predictor._handle, handle.answer = handle, "scores"
    for _ in range(2):
        assert predictor(np.zeros((1, 2, 3))) == "scores"
    assert handle.waits == pytest.approx([10.0, 2.0, 2.0, 10.0], abs=1.0)


async def test_http_backend_speaks_through_a_handle(
    handle: DeploymentHandle, model_dir: Path, features: np.ndarray
) -> None:
    """What the ingress asks of a handle is what it asks of a service."""
    backend, service = HandleBackend(handle, timeout_s=60.0), EnsembleService(model_dir)
    names = service.describe().feature_names
    assert (await backend.score(names, features[None])).score.tobytes() == service.score(
        names, features[None]
    ).score.tobytes()
    assert await backend.describe() == service.describe()
    await backend.probe()
    assert len(await backend.expositions()) == 1
    with pytest.raises(DataError, match="unknown"):
        await backend.score(("a", "b", "c"), features[None])
