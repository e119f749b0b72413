"""`/v1/experiments`: register, watch, promote, roll back and stop experiments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Request, Response

from serve.auth import Guard, Role
from serve.experiments_schema import (
    ExperimentMove,
    ExperimentRequest,
    ExperimentRuling,
    ExperimentsResponse,
    ExperimentState,
    ExperimentSummary,
    PromoteRequest,
    Reason,
)
from serve.over_store import ask_store, json_ready
from trader.experiments import actions
from trader.experiments.book import Experiment, ExperimentBook
from trader.experiments.calibration import look_at_calibration
from trader.experiments.spec import default_share
from trader.settings import RegistrySettings
from trader.storage import Store

__all__ = ["ExperimentDesk", "add_experiment_routes"]

_Name = Annotated[str, Path(max_length=64, description="Name of the experiment.")]


class ExperimentDesk:
    """The experiments of a store, which is opened for each request: it may be gone for a while.

    Parameters
    ----------
    store_url : str
    registry : RegistrySettings
    """

    def __init__(self, store_url: str, registry: RegistrySettings) -> None:
        self.store_url = store_url
        self._registry = registry

    def all(self) -> list[ExperimentSummary]:
        """Return every experiment."""
        with self._store() as store:
            return [_summary(each) for each in ExperimentBook(store).all()]

    def state(self, name: str) -> dict[str, Any]:
        """Return what `ExperimentState` needs beside the request id."""
        with self._store() as store:
            experiment, found = actions.look(store, name)
            calibrated = look_at_calibration(store, experiment)
        return {
            "experiment": _summary(experiment),
            "assessment": json_ready(found.to_dict()),
            "calibration": {ref: json_ready(each.to_dict()) for ref, each in calibrated.items()},
            "history": [json_ready(entry.to_dict()) for entry in experiment.entries],
        }

    def register(self, wanted: ExperimentRequest, who: str) -> dict[str, Any]:
        """Register an experiment and return its state."""
        fields = wanted.model_dump(exclude={"name", "champion", "challenger", "why"})
        if wanted.challenger_share is None:
            fields["challenger_share"] = default_share(wanted.schedule, wanted.ramp)
        with self._store() as store:
            actions.register(
                store,
                self._registry,
                wanted.name,
                wanted.champion,
                wanted.challenger,
                fields,
                who=who,
                why=wanted.why,
            )
        return self.state(wanted.name)

    def promote(self, name: str, asked: PromoteRequest, who: str) -> dict[str, Any]:
        """Make the challenger champion."""
        with self._store() as store:
            move = actions.promote(store, self._registry, name, who=who, why=asked.why, force=asked.force)
        return {"name": name, "model": move.name, "before": move.before, "after": move.after}

    def rollback(self, name: str, asked: Reason, who: str) -> dict[str, Any]:
        """Take a promotion back."""
        with self._store() as store:
            move = actions.rollback(store, self._registry, name, who=who, why=asked.why)
        return {"name": name, "model": move.name, "before": move.before, "after": move.after}

    def stop(self, name: str, asked: Reason, who: str) -> dict[str, Any]:
        """End an experiment and return its state."""
        with self._store() as store:
            actions.stop(store, name, who=who, why=asked.why)
        return self.state(name)

    def decide(self, name: str) -> dict[str, Any]:
        """Let the policy act now."""
        with self._store() as store:
            ruling = actions.apply_policy(store, self._registry, name)
        return {"name": name, "action": ruling.action, "reason": ruling.reason}

    @contextmanager
    def _store(self) -> Iterator[Store]:
        with Store.open(self.store_url) as store:
            yield store


def add_experiment_routes(api: FastAPI, desk: ExperimentDesk, guard: Guard) -> None:
    """Add the routes; those that change something need a token, and keep who asked."""
    trader, admin = ([Depends(guard.needs(role))] for role in (Role.TRADER, Role.ADMIN))

    @api.get("/v1/experiments", tags=["experiments"])
    async def experiments(request: Request) -> ExperimentsResponse:
        """List all experiments."""
        found = await ask_store(desk.all)
        return ExperimentsResponse(request_id=request.state.request_id, experiments=found)

    @api.get("/v1/experiments/{name}", tags=["experiments"])
    async def experiment(request: Request, name: _Name) -> ExperimentState:
        """Say where an experiment stands; a sequential one may be looked at as often as one likes."""
        return ExperimentState(request_id=request.state.request_id, **await ask_store(desk.state, name))

    @api.post("/v1/experiments", tags=["experiments"], status_code=201, dependencies=trader)
    async def register(request: Request, body: ExperimentRequest, response: Response) -> ExperimentState:
        """Register an experiment before it begins; what is registered cannot be changed."""
        response.headers["Location"] = f"/v1/experiments/{body.name}"
        return ExperimentState(
            request_id=request.state.request_id, **await ask_store(desk.register, body, request.state.user)
        )

    @api.post("/v1/experiments/{name}/promote", tags=["experiments"], dependencies=admin)
    async def promote(request: Request, name: _Name, body: PromoteRequest) -> ExperimentMove:
        """Make the challenger champion of its model, if the experiment passed."""
        return ExperimentMove(
            request_id=request.state.request_id, **await ask_store(desk.promote, name, body, request.state.user)
        )

    @api.post("/v1/experiments/{name}/rollback", tags=["experiments"], dependencies=admin)
    async def rollback(request: Request, name: _Name, body: Reason) -> ExperimentMove:
        """Take a promotion back: the champion before it is champion again."""
        return ExperimentMove(
            request_id=request.state.request_id, **await ask_store(desk.rollback, name, body, request.state.user)
        )

    @api.post("/v1/experiments/{name}/stop", tags=["experiments"], dependencies=trader)
    async def stop(request: Request, name: _Name, body: Reason) -> ExperimentState:
        """End an experiment for good."""
        return ExperimentState(
            request_id=request.state.request_id, **await ask_store(desk.stop, name, body, request.state.user)
        )

    @api.post("/v1/experiments/{name}/decide", tags=["experiments"], dependencies=admin)
    async def decide(request: Request, name: _Name) -> ExperimentRuling:
        """Let the policy that was registered act now; what it says is kept."""
        return ExperimentRuling(request_id=request.state.request_id, **await ask_store(desk.decide, name))


def _summary(experiment: Experiment) -> ExperimentSummary:
    return ExperimentSummary(**experiment.to_dict())
