"""A challenger beside the ensemble: its own deployment, and experiments over HTTP with a token."""

from __future__ import annotations

import os
import signal

import httpx
import numpy as np
import pytest
from ray import serve as ray_serve

from serve.lifecycle import RunningApp
from serve.service import EnsembleService
from tests.ray.serve.conftest import TOKEN
from trader.core.errors import ServiceUnavailableError

pytestmark = pytest.mark.ray


def test_a_challenger_answers_and_dies_alone(app: RunningApp, service: EnsembleService, features: np.ndarray) -> None:
    """It scores as the process does, in a process of its own; killed, it fails at its deadline and nobody else does."""
    assert app.challenger is not None
    want = service.predict(features)
    assert app.challenger.within(60.0)(features).score.tobytes() == want.score.tobytes()
    champion, challenger = (
        ray_serve.get_deployment_handle(predictor.deployment, app.name).probe.remote().result(timeout_s=120)
        for predictor in (app.predictor, app.challenger)
    )
    assert champion != challenger
    os.kill(challenger, signal.SIGKILL)
    with pytest.raises(ServiceUnavailableError, match=r"the served ensemble-[0-9a-f]{8} did not answer within 2 s"):
        app.challenger(features)
    assert app.predictor(features).score.tobytes() == want.score.tobytes()
    assert app.predictor.retries == 0


def test_experiments_are_shown_to_all_and_changed_with_a_token(app: RunningApp) -> None:
    """The store and the digest of the token have reached the ingress; an unknown version is told apart."""
    url = f"{app.url}/v1/experiments"
    assert httpx.get(url, timeout=60).json()["experiments"] == []
    wanted = {"name": "e", "champion": "linear@1.0.0", "challenger": "linear@1.1.0", "why": "better?"}
    assert httpx.post(url, json=wanted, timeout=60).status_code == 401
    asked = httpx.post(url, json=wanted, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
    assert (asked.status_code, asked.json()["type"]) == (404, "urn:gpt-trader:problem:not-found")
