"""The deployments of the application: ensembles, all members of one in a replica, and their HTTP ingress."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve as ray_serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.deployment import Deployment
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from serve.auth import Guard
from serve.backend import HandleBackend
from serve.experiments_route import ExperimentDesk
from serve.guardrail import Guardrails
from serve.ingress import Limits, create_api
from serve.names import INGRESS
from serve.plan import Plan, deployment_of
from serve.risk_route import RiskDesk
from serve.routing import Challenge, Router
from serve.service import EnsembleService
from serve.serving_route import ServingDesk
from serve.tracing import Tracing
from trader.experiments.assignment import Split
from trader.models.artifacts import manifest_digest

__all__ = ["Ingress", "Queue", "Replicas", "ensemble_application", "ingress_deployment"]

# A killed replica is replaced when its health check fails, so the period bounds how long predictions wait.
_HEALTH_CHECK_PERIOD_S = 1.0
_HEALTH_CHECK_TIMEOUT_S = 30.0
_GRACE_S = 5.0
_INGRESS_FACTOR = 4  # one ingress feeds several replicas
_RETRY_AFTER_S = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Queue:
    """How many requests are worked on, and how many wait.

    Parameters
    ----------
    ongoing : int
        In each replica of an ensemble; four times as many in the ingress.
    queued : int
        For an ensemble, and for the ingress; Serve's proxy answers more 503, in plain text.
    """

    ongoing: int = 16
    queued: int = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Replicas:
    """How many replicas an ensemble has.

    Parameters
    ----------
    least : int
    most : int
        As many are started while requests wait; no more than `least` where it is not above that.
    target : float
        Requests a replica that is aimed at.
    """

    least: int = 1
    most: int = 0
    target: float = 4.0

    def options(self) -> dict[str, Any]:
        """Return the options of a deployment."""
        if self.most <= self.least:
            return {"num_replicas": self.least}
        scaling = AutoscalingConfig(
            min_replicas=self.least, max_replicas=self.most, target_ongoing_requests=self.target
        )
        return {"autoscaling_config": scaling}


class Ingress:
    """HTTP in front of the ensembles; Ray Serve asks it for the ASGI application in each replica.

    Parameters
    ----------
    ensembles : sequence of DeploymentHandle
        Of all ensembles that are deployed with it.
    plan : mapping
        A `Plan`: which of them does what. `reconfigure` changes it, also to ensembles that came later.
    limits : Limits
    timeout_s : float
        Deadline of one request.
    experiments : ExperimentDesk, optional
    serving : ServingDesk, optional
    risk : RiskDesk, optional
    guard : Guard, optional
    guardrails : Guardrails, optional
    tracing : str
        Where spans go; see `serve.tracing.Tracing.of`.
    """

    def __init__(
        self,
        ensembles: Sequence[DeploymentHandle],
        plan: Mapping[str, Any],
        limits: Limits,
        timeout_s: float,
        experiments: ExperimentDesk | None = None,
        serving: ServingDesk | None = None,
        risk: RiskDesk | None = None,
        guard: Guard | None = None,
        guardrails: Guardrails | None = None,
        tracing: str = "off",
    ) -> None:
        self._handles = {handle.deployment_name: handle for handle in ensembles}
        self._limits = limits
        self._timeout_s = timeout_s
        self._experiments = experiments
        self._serving = serving
        self._risk = risk
        self._guard = guard
        self._tracing = tracing
        self._plan = Plan.model_validate(plan)
        champion, challenger, fallback = self._routes(self._plan)
        self._router = Router(champion, challenger, fallback, guardrails=guardrails)

    def reconfigure(self, plan: Mapping[str, Any]) -> None:
        """Answer the next requests as a plan says; Ray Serve calls it in place, and after a restart."""
        wanted = Plan.model_validate(plan)
        if wanted != self._plan:
            self._router.use(*self._routes(wanted))
            self._plan = wanted

    def standing(self) -> dict[str, Any]:
        """Return the plan that is followed, and how its variants do; JSON-ready."""
        return {"plan": self._plan.model_dump(), **self._router.standing()}

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_api(
            self._router,
            self._limits,
            echo_request_id=False,
            experiments=self._experiments,
            serving=None if self._serving is None else (self._serving, self.standing),
            risk=self._risk,
            guard=self._guard,
            tracing=Tracing.of(self._tracing, "ingress"),
        )

    def _routes(self, plan: Plan) -> tuple[HandleBackend, tuple[HandleBackend, Challenge] | None, HandleBackend | None]:
        challenger = fallback = None
        if plan.challenger is not None:
            challenge = Challenge(Split(plan.experiment, plan.share, plan.holdout), plan.timeout_s)
            challenger = (self._backend(plan.challenger, plan.timeout_s), challenge)
        if plan.fallback is not None:
            fallback = self._backend(plan.fallback, self._timeout_s)
        return self._backend(plan.champion, self._timeout_s), challenger, fallback

    def _backend(self, name: str, timeout_s: float) -> HandleBackend:
        handle = self._handles.get(name)
        if handle is None:
            handle = ray_serve.get_deployment_handle(name, ray_serve.get_replica_context().app_name)
        return HandleBackend(handle, timeout_s)


def ensemble_application(
    folder: Path,
    *,
    weights: Mapping[str, float],
    replicas: Replicas,
    cpus: float,
    member_timeout_s: float,
    queue: Queue | None = None,
    tracing: str = "off",
    memory_mb: int = 0,
) -> Application:
    """Return the ensemble of a folder as something to be deployed, named by the folder.

    Deployed again, its replicas stay as long as the files are the same; other weights reach them in place.

    Raises
    ------
    ModelError
        If the folder holds no ensemble.
    """
    folder = folder.resolve()
    queue = queue or Queue()
    deployment = ray_serve.deployment(
        EnsembleService,
        name=deployment_of(folder),
        **replicas.options(),
        user_config={"weights": dict(weights), "memory_mb": memory_mb},
        ray_actor_options={"num_cpus": cpus},
        max_ongoing_requests=queue.ongoing,
        max_queued_requests=queue.queued,
        health_check_period_s=_HEALTH_CHECK_PERIOD_S,
        health_check_timeout_s=_HEALTH_CHECK_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=_GRACE_S,
        max_constructor_retry_count=3,
        logging_config=_quiet(),
    )
    version = _digest(manifest_digest(folder), str(member_timeout_s), tracing)
    return _pinned(deployment, version).bind(str(folder), member_timeout_s, tracing)


def ingress_deployment(*, cpus: float, plan: Plan, version: str, queue: Queue | None = None) -> Deployment:
    """Return the deployment of `Ingress`: one replica, so that its metrics are the metrics.

    Parameters
    ----------
    cpus : float
    plan : Plan
        Reaches a replica that runs in place.
    version : str
        Another one restarts the replica.
    queue : Queue, optional
    """
    queue = queue or Queue()
    deployment = ray_serve.deployment(
        ray_serve.ingress()(Ingress),
        name=INGRESS,
        num_replicas=1,
        user_config=plan.model_dump(),
        ray_actor_options={"num_cpus": cpus},
        max_ongoing_requests=_INGRESS_FACTOR * queue.ongoing,
        max_queued_requests=queue.queued,
        backpressure_config=BackpressureConfig(status_code=503, retry_after_s=_RETRY_AFTER_S),
        health_check_period_s=_HEALTH_CHECK_PERIOD_S,
        health_check_timeout_s=_HEALTH_CHECK_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=_GRACE_S,
        max_constructor_retry_count=3,
        logging_config=_quiet(),
    )
    return _pinned(deployment, version)


def _pinned(deployment: Deployment, version: str) -> Deployment:
    """Say when a deployment is another one; without it, Ray Serve replaces all replicas in each `serve.run`."""
    return deployment.options(version=version, _internal=True)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _quiet() -> LoggingConfig:
    """Warnings and errors only; an access log line costs as much as a small prediction."""
    return LoggingConfig(log_level="WARNING", enable_access_log=False)
