"""The deployments of the application: ensembles, all members of one in a replica, and their HTTP ingress."""

from __future__ import annotations

from fastapi import FastAPI
from ray import serve as ray_serve
from ray.serve.deployment import Deployment
from ray.serve.handle import DeploymentHandle
from ray.serve.schema import LoggingConfig

from serve.auth import Guard
from serve.backend import HandleBackend
from serve.experiments_route import ExperimentDesk
from serve.ingress import Limits, create_api
from serve.names import ENSEMBLE, INGRESS
from serve.routing import Challenge
from serve.service import EnsembleService

__all__ = ["Ingress", "ensemble_deployment", "ingress_deployment"]

# A killed replica is replaced when its health check fails, so the period bounds how long predictions wait.
_HEALTH_CHECK_PERIOD_S = 1.0
_HEALTH_CHECK_TIMEOUT_S = 30.0
_GRACE_S = 5.0


class Ingress:
    """HTTP in front of a handle; Ray Serve asks it for the ASGI application in each replica."""

    def __init__(
        self,
        ensemble: DeploymentHandle,
        limits: Limits,
        timeout_s: float,
        challenger: tuple[DeploymentHandle, Challenge] | None = None,
        experiments: ExperimentDesk | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._ensemble = ensemble
        self._challenger = challenger
        self._experiments = experiments
        self._guard = guard
        self._limits = limits
        self._timeout_s = timeout_s

    def __serve_build_asgi_app__(self) -> FastAPI:
        challenger = None
        if self._challenger is not None:
            handle, challenge = self._challenger
            challenger = (HandleBackend(handle, challenge.timeout_s), challenge)
        return create_api(
            HandleBackend(self._ensemble, self._timeout_s),
            self._limits,
            echo_request_id=False,
            challenger=challenger,
            experiments=self._experiments,
            guard=self._guard,
        )


def ensemble_deployment(*, replicas: int, cpus: float, name: str = ENSEMBLE) -> Deployment:
    """Return a deployment of `EnsembleService`."""
    return ray_serve.deployment(
        EnsembleService,
        name=name,
        num_replicas=replicas,
        ray_actor_options={"num_cpus": cpus},
        max_ongoing_requests=16,
        max_queued_requests=1024,
        health_check_period_s=_HEALTH_CHECK_PERIOD_S,
        health_check_timeout_s=_HEALTH_CHECK_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=_GRACE_S,
        max_constructor_retry_count=3,
        logging_config=_quiet(),
    )


def ingress_deployment(*, cpus: float) -> Deployment:
    """Return the deployment of `Ingress`: one replica, so that its metrics are the metrics."""
    return ray_serve.deployment(
        ray_serve.ingress()(Ingress),
        name=INGRESS,
        num_replicas=1,
        ray_actor_options={"num_cpus": cpus},
        max_ongoing_requests=64,
        max_queued_requests=1024,
        health_check_period_s=_HEALTH_CHECK_PERIOD_S,
        health_check_timeout_s=_HEALTH_CHECK_TIMEOUT_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=_GRACE_S,
        max_constructor_retry_count=3,
        logging_config=_quiet(),
    )


def _quiet() -> LoggingConfig:
    """Warnings and errors only; an access log line costs as much as a small prediction."""
    return LoggingConfig(log_level="WARNING", enable_access_log=False)
