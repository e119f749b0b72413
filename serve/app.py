"""The application: `serve run serve.app:build_app model_dir=runs/RUN_ID/models`."""

# No `from __future__ import annotations` here: Ray Serve reads the class of the builder's argument from its
# signature and would see a string.

import dataclasses
import hashlib
import json
import os
from typing import Any

from pydantic import Field
from ray.serve import Application

from serve.auth import Credential, Guard, credentials_from_environment
from serve.deployments import Queue, Replicas, ensemble_application, ingress_deployment
from serve.experiments_route import ExperimentDesk
from serve.guardrail import Guardrails
from serve.ingress import Limits
from serve.plan import Plan, Serving
from serve.risk_route import RiskDesk
from serve.serving_route import ServingDesk
from serve.tracing import anchored
from trader import __version__
from trader.settings import RegistrySettings, ServeSettings
from trader.settings.sections import SpanTarget

__all__ = ["AppArgs", "application", "build_app"]


_IN_PLACE = {
    "challenger_memory_mb",
    "ingress_cpus",
    "max_replicas",
    "replica_cpus",
    "replicas",
    "target_ongoing_requests",
}
"""Arguments that Ray Serve itself applies to a deployment that runs."""


class AppArgs(Serving):
    """Arguments of the application: what it serves, and how; on the command line each is `name=value`."""

    replicas: int = Field(1, ge=1)
    """Replicas of the ensemble, each with all its members."""
    max_replicas: int = Field(0, ge=0)
    """Up to as many are started while requests wait; 0 starts no more than `replicas`."""
    target_ongoing_requests: float = Field(4.0, gt=0)
    """Requests a replica that Ray Serve aims at when it starts more and ends some."""
    replica_cpus: float = Field(0.25, ge=0)
    """Logical CPUs that a replica of the ensemble reserves."""
    ingress_cpus: float = Field(0.1, ge=0)
    """Logical CPUs that the HTTP ingress reserves."""
    max_rows: int = Field(4096, ge=1)
    """Largest number of feature rows in one request."""
    max_body_bytes: int = Field(16 * 2**20, ge=1)
    """Longest request body."""
    rate_limit: float = Field(0.0, ge=0)
    """Requests a second that each client address may send on and on; 0 lets all pass."""
    max_ongoing_requests: int = Field(16, ge=1)
    """Requests that a replica of an ensemble works on at a time; the ingress works on four times as many."""
    max_queued_requests: int = Field(1024, ge=1)
    """Requests that may wait for the ingress, and for an ensemble; more are answered 503 at once."""
    tracing: SpanTarget = "off"
    """Where spans go: `off`, `console`, `file:PATH` or `otlp:URL`."""
    request_timeout_s: float = Field(10.0, gt=0)
    """Deadline of one request, in which it is repeated if its replica dies."""
    member_timeout_s: float = Field(0.0, ge=0)
    """How long one model may take for a prediction before the others answer without it; 0 waits for all."""
    challenger_memory_mb: int = Field(1024, ge=0)
    """Memory that a replica of a challenger may take beyond its models; 0 sets no limit."""
    max_error_rate: float = Field(0.02, ge=0, le=1)
    """Share of the requests that a challenger, or a champion that is new, may fail before it is taken off."""
    max_p99_s: float = Field(1.0, gt=0)
    """Seconds within which it gives 99 of 100 answers."""
    app: str | None = None
    """Name under which the store keeps what is wanted of this application; without one, HTTP cannot change it."""
    store_url: str | None = Field(None, repr=False)
    """Store whose experiments `/v1/experiments` shows; a URL with a password belongs into `TRADER_STORE__URL`."""
    run_id: str | None = None
    """The run of that store whose risk `/v1/risk` shows unless it is asked for another; the youngest by default."""
    registry: RegistrySettings = RegistrySettings()
    """Where the artefacts of that store's registry are."""
    users: dict[str, str] = Field({})
    """Role by user; tokens come from the environment of who builds the application, see `serve.auth`."""

    @classmethod
    def of(cls, settings: ServeSettings, serving: Serving, **others: Any) -> "AppArgs":
        """Return the arguments that the settings and what is to be served stand for, and any others."""
        shared = set(cls.model_fields) & set(ServeSettings.model_fields)
        return cls(**serving.model_dump(), **{name: getattr(settings, name) for name in shared}, **others)

    def but(self, serving: Serving) -> "AppArgs":
        """Return the arguments for something else to be served."""
        return self.model_copy(update=serving.model_dump())


def build_app(args: AppArgs) -> Application:
    """Return the application, ready for `ray.serve.run`; tokens and the store's password come from the environment.

    Parameters
    ----------
    args : AppArgs
        On the command line, `serve run serve.app:build_app model_dir=… replicas=2`.
    """
    store_url = args.store_url or os.environ.get("TRADER_STORE__URL")
    return application(args.model_copy(update={"store_url": store_url}), credentials_from_environment(args.users))


def application(args: AppArgs, credentials: tuple[Credential, ...]) -> Application:
    """Return the application for users that are known already; the same of both gives one that differs in nothing."""
    tracing = anchored(args.tracing)
    queue = Queue(args.max_ongoing_requests, args.max_queued_requests)
    challenger = None if args.challenger_dir is None else args.challenger_dir.resolve()
    ensembles = [
        ensemble_application(
            folder,
            weights=weights,
            replicas=Replicas(args.replicas, args.max_replicas, args.target_ongoing_requests),
            cpus=args.replica_cpus,
            member_timeout_s=args.member_timeout_s,
            queue=queue,
            memory_mb=args.challenger_memory_mb if folder == challenger else 0,
            tracing=tracing,
        )
        for folder, weights in args.folders.items()
    ]
    limits = Limits(max_rows=args.max_rows, max_body_bytes=args.max_body_bytes, rate=args.rate_limit)
    store_url = args.store_url
    experiments = ExperimentDesk(store_url, args.registry) if store_url else None
    serving = ServingDesk(args.app, store_url, args.registry) if store_url and args.app else None
    risk = RiskDesk(store_url, args.run_id) if store_url else None
    plan = Plan.of(args)
    version = _version(args, credentials)
    ingress = ingress_deployment(cpus=args.ingress_cpus, plan=plan, version=version, queue=queue)
    desks = (experiments, serving, risk, Guard(credentials), Guardrails(args.max_error_rate, args.max_p99_s), tracing)
    return ingress.bind(ensembles, plan.model_dump(), limits, args.request_timeout_s, *desks)


def _version(args: AppArgs, credentials: tuple[Credential, ...]) -> str:
    """Return what changes when the ingress has to be started anew: any argument that is not part of its plan."""
    fixed = args.model_dump_json(exclude=set(Serving.model_fields) | _IN_PLACE)
    users = [dataclasses.astuple(credential) for credential in credentials]
    content = json.dumps([__version__, fixed, users])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
