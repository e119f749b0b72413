"""The application: `serve run serve.app:build_app model_dir=runs/RUN_ID/models`."""

# No `from __future__ import annotations` here: Ray Serve reads the class of the builder's argument from its
# signature and would see a string.

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ray.serve import Application

from serve.auth import Guard, credentials_from_environment
from serve.deployments import ensemble_deployment, ingress_deployment
from serve.experiments_route import ExperimentDesk
from serve.ingress import Limits
from serve.names import CHALLENGER
from serve.routing import Challenge
from trader.experiments.assignment import Split
from trader.settings import RegistrySettings, ServeSettings

__all__ = ["AppArgs", "build_app"]


class AppArgs(BaseModel):
    """Arguments of the application; on the command line each is `name=value`."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), use_attribute_docstrings=True)

    model_dir: Path
    """Folder of a saved ensemble; every node that runs a replica must see it."""
    challenger_dir: Path | None = None
    """Folder of the ensemble of an experiment's challenger, which gets a deployment of its own."""
    experiment: str = "challenger"
    """Name of the experiment; symbols are assigned by it."""
    challenger_share: float = Field(0.0, ge=0, le=1)
    """Share of the symbols that the challenger answers for; 0 for a shadow."""
    holdout: float = Field(0.0, ge=0, le=1)
    """Share of the symbols that the experiment leaves out."""
    challenger_timeout_s: float = Field(2.0, gt=0)
    """How long the challenger may take; the champion answers for all symbols after that."""
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
    request_timeout_s: float = Field(10.0, gt=0)
    """Deadline of one request, in which it is repeated if its replica dies."""
    store_url: str | None = Field(None, repr=False)
    """Store whose experiments `/v1/experiments` shows; a URL with a password belongs into `TRADER_STORE__URL`."""
    registry: RegistrySettings = RegistrySettings()
    """Where the artefacts of that store's registry are."""
    users: dict[str, str] = {}
    """Role by user; tokens come from the environment of who builds the application, see `serve.auth`."""

    @classmethod
    def of(cls, settings: ServeSettings, model_dir: Path, **others: Any) -> "AppArgs":
        """Return the arguments that the settings stand for, and any others."""
        shared = ("replicas", "max_rows", "rate_limit", "request_timeout_s", "users")
        return cls(model_dir=model_dir, **{name: getattr(settings, name) for name in shared}, **others)


def build_app(args: AppArgs) -> Application:
    """Return the application, ready for `ray.serve.run`.

    Parameters
    ----------
    args : AppArgs
        On the command line, `serve run serve.app:build_app model_dir=… replicas=2`.
    """
    ensemble = ensemble_deployment(replicas=args.replicas, cpus=args.replica_cpus).bind(str(args.model_dir.resolve()))
    limits = Limits(max_rows=args.max_rows, max_body_bytes=args.max_body_bytes, rate=args.rate_limit)
    challenger = None
    if args.challenger_dir is not None:
        beside = ensemble_deployment(replicas=1, cpus=args.replica_cpus, name=CHALLENGER)
        split = Split(args.experiment, args.challenger_share, args.holdout)
        challenge = Challenge(split, args.challenger_timeout_s)
        challenger = (beside.bind(str(args.challenger_dir.resolve())), challenge)
    store_url = args.store_url or os.environ.get("TRADER_STORE__URL")
    desk = ExperimentDesk(store_url, args.registry) if store_url else None
    guard = Guard(credentials_from_environment(args.users))
    return ingress_deployment(cpus=args.ingress_cpus).bind(
        ensemble, limits, args.request_timeout_s, challenger, desk, guard
    )
