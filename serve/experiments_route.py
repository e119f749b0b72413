"""`/v1/experiments`: register, watch, promote, roll back and stop experiments."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, ParamSpec, TypeVar

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
from serve.problems import ProblemError
from trader.core.errors import ConflictError, NotFoundError, StoreError, UserError
from trader.experiments import actions
from trader.experiments.book import Experiment, ExperimentBook
from trader.experiments.spec import default_share
from trader.settings import RegistrySettings
from trader.storage import Store

__all__ = ["ExperimentDesk", "add_experiment_routes"]

P = ParamSpec("P")
T = TypeVar("T")
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
        return {
            "experiment": _summary(experiment),
            "assessment": _plain(found.to_dict()),
            "history": [_plain(entry.to_dict()) for entry in experiment.entries],
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
        found = await _answer(desk.all)
        return ExperimentsResponse(request_id=request.state.request_id, experiments=found)

    @api.get("/v1/experiments/{name}", tags=["experiments"])
    async def experiment(request: Request, name: _Name) -> ExperimentState:
        """Say where an experiment stands; a sequential one may be looked at as often as one likes."""
        return ExperimentState(request_id=request.state.request_id, **await _answer(desk.state, name))

    @api.post("/v1/experiments", tags=["experiments"], status_code=201, dependencies=trader)
    async def register(request: Request, body: ExperimentRequest, response: Response) -> ExperimentState:
        """Register an experiment before it begins; what is registered cannot be changed."""
        response.headers["Location"] = f"/v1/experiments/{body.name}"
        return ExperimentState(
            request_id=request.state.request_id, **await _answer(desk.register, body, request.state.user)
        )

    @api.post("/v1/experiments/{name}/promote", tags=["experiments"], dependencies=admin)
    async def promote(request: Request, name: _Name, body: PromoteRequest) -> ExperimentMove:
        """Make the challenger champion of its model, if the experiment passed."""
        return ExperimentMove(
            request_id=request.state.request_id, **await _answer(desk.promote, name, body, request.state.user)
        )

    @api.post("/v1/experiments/{name}/rollback", tags=["experiments"], dependencies=admin)
    async def rollback(request: Request, name: _Name, body: Reason) -> ExperimentMove:
        """Take a promotion back: the champion before it is champion again."""
        return ExperimentMove(
            request_id=request.state.request_id, **await _answer(desk.rollback, name, body, request.state.user)
        )

    @api.post("/v1/experiments/{name}/stop", tags=["experiments"], dependencies=trader)
    async def stop(request: Request, name: _Name, body: Reason) -> ExperimentState:
        """End an experiment for good."""
        return ExperimentState(
            request_id=request.state.request_id, **await _answer(desk.stop, name, body, request.state.user)
        )

    @api.post("/v1/experiments/{name}/decide", tags=["experiments"], dependencies=admin)
    async def decide(request: Request, name: _Name) -> ExperimentRuling:
        """Let the policy that was registered act now; what it says is kept."""
        return ExperimentRuling(request_id=request.state.request_id, **await _answer(desk.decide, name))


async def _answer(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Ask the store in another thread, so that predictions are answered meanwhile."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except NotFoundError as error:
        raise ProblemError(404, "not-found", str(error)) from None
    except UserError as error:
        raise ProblemError(422, "invalid-request", str(error)) from None
    except ConflictError as error:
        raise ProblemError(409, "conflict", str(error)) from None
    except StoreError as error:
        raise ProblemError(503, "store-unavailable", str(error), headers={"Retry-After": "5"}) from None


def _summary(experiment: Experiment) -> ExperimentSummary:
    return ExperimentSummary(**experiment.to_dict())


def _plain(value: Any) -> Any:
    """Return JSON-ready values: NaN is null."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
