"""The application: `serve run serve.app:build_app model_dir=runs/RUN_ID/models`."""

# No `from __future__ import annotations` here: Ray Serve reads the class of the builder's argument from its
# signature and would see a string.

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import Field
from ray.serve import Application

from serve.auth import Credential, Guard, credentials_from_environment
from serve.deployments import Queue, ensemble_application, ingress_deployment
from serve.experiments_route import ExperimentDesk
from serve.ingress import Limits
from serve.plan import Plan, Serving
from serve.tracing import anchored
from trader import __version__
from trader.settings import RegistrySettings, ServeSettings

__all__ = ["AppArgs", "build_app"]


class AppArgs(Serving):
    """Arguments of the application: what it serves, and how; on the command line each is `name=value`."""

    replicas: int = Field(1, ge=1)
    """Replicas of the ensemble, each with all its members."""
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
    tracing: str = "off"
    """Where spans go: `off`, `console`, `file:PATH` or `otlp:URL`."""
    request_timeout_s: float = Field(10.0, gt=0)
    """Deadline of one request, in which it is repeated if its replica dies."""
    member_timeout_s: float = Field(0.0, ge=0)
    """How long one model may take for a prediction before the others answer without it; 0 waits for all."""
    store_url: str | None = Field(None, repr=False)
    """Store whose experiments `/v1/experiments` shows; a URL with a password belongs into `TRADER_STORE__URL`."""
    registry: RegistrySettings = RegistrySettings()
    """Where the artefacts of that store's registry are."""
    users: dict[str, str] = Field({})
    """Role by user; tokens come from the environment of who builds the application, see `serve.auth`."""

    @classmethod
    def of(cls, settings: ServeSettings, model_dir: Path, **others: Any) -> "AppArgs":
        """Return the arguments that the settings stand for, and any others."""
        shared = set(cls.model_fields) & set(ServeSettings.model_fields)
        return cls(model_dir=model_dir, **{name: getattr(settings, name) for name in shared}, **others)


def build_app(args: AppArgs) -> Application:
    """Return the application, ready for `ray.serve.run`.

    Parameters
    ----------
    args : AppArgs
        On the command line, `serve run serve.app:build_app model_dir=… replicas=2`.
    """
    tracing = anchored(args.tracing)
    queue = Queue(args.max_ongoing_requests, args.max_queued_requests)
    ensembles = [
        ensemble_application(
            folder,
            weights=weights,
            replicas=args.replicas,
            cpus=args.replica_cpus,
            member_timeout_s=args.member_timeout_s,
            queue=queue,
            tracing=tracing,
        )
        for folder, weights in args.folders.items()
    ]
    limits = Limits(max_rows=args.max_rows, max_body_bytes=args.max_body_bytes, rate=args.rate_limit)
    store_url = args.store_url or os.environ.get("TRADER_STORE__URL")
    desk = ExperimentDesk(store_url, args.registry) if store_url else None
    credentials = credentials_from_environment(args.users)
    plan = Plan.of(args)
    version = _version(args, store_url, credentials)
    ingress = ingress_deployment(cpus=args.ingress_cpus, plan=plan, version=version, queue=queue)
    return ingress.bind(ensembles, plan.model_dump(), limits, args.request_timeout_s, desk, Guard(credentials), tracing)


def _version(args: AppArgs, store_url: str | None, credentials: tuple[Credential, ...]) -> str:
    """Return what changes when the ingress has to be started anew: any argument that is not part of its plan."""
    fixed = args.model_dump_json(exclude=set(Serving.model_fields) | {"replicas", "replica_cpus", "ingress_cpus"})
    users = [dataclasses.astuple(credential) for credential in credentials]
    content = json.dumps([__version__, fixed, store_url, users])
    return hashlib.sha256(content.encode()).hexdigest()[:16]
