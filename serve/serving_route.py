"""`/v1/serving`: what an application serves, what is wanted of it, and wanting something else, in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from pydantic import Field

from serve.auth import Guard, Role
from serve.experiments_schema import Reason, Reference
from serve.over_store import ask_store, json_ready
from serve.schema import Message
from serve.wanted import Wanted, intent_of
from trader.settings import RegistrySettings
from trader.storage import Store
from trader.storage.serving import ServingLog

__all__ = ["ServingDesk", "ServingRequest", "ServingState", "add_serving_routes"]

_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Weight = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class ServingRequest(Reason):
    """What is wanted; what is left out is not wanted."""

    members: Annotated[list[Reference], Field(min_length=1, max_length=64)]
    """Registered versions; `linear@champion` follows the champion."""
    weights: dict[str, _Weight] = Field(default={})
    """Of every member, by its reference; all the same where there are none."""
    experiment: _Name | None = None
    """Its challenger answers for its share of the symbols."""
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    """That share; as registered where it is null."""


class ServingChange(Message):
    """One thing that happened to the application, the newest first."""

    number: int
    """Counts up; that of a `wanted` is its revision."""
    kind: str
    """`wanted`, `applied`, `failed`, or `tripped` by a guardrail."""
    payload: dict[str, Any]
    ts_ns: int
    who: str
    why: str


class ServingState(Message):
    """What is served, how it does, and what was wanted."""

    request_id: str
    plan: dict[str, Any]
    """Which deployment does what."""
    variants: dict[str, dict[str, int]]
    """Requests of the last minute, and those that failed or were slow, by variant."""
    breaches: dict[str, dict[str, Any]]
    """Guardrails that were broken since the plan began, by variant."""
    history: list[ServingChange]


class ServingDesk:
    """What is wanted of an application, in a store that is opened for each request.

    Parameters
    ----------
    app : str
    store_url : str
    registry : RegistrySettings
    """

    def __init__(self, app: str, store_url: str, registry: RegistrySettings) -> None:
        self._app = app
        self._store_url = store_url
        self._registry = registry

    def history(self) -> list[ServingChange]:
        """Return the last changes."""
        with Store.open(self._store_url) as store:
            return [ServingChange(**json_ready(event.to_dict())) for event in ServingLog(store, self._app).page()]

    def want(self, asked: ServingRequest, who: str) -> int:
        """Want something else if it makes sense now; return its revision."""
        fields = asked.model_dump(exclude={"why", "members"})
        wanted = Wanted.of(members=tuple(asked.members), **fields)
        with Store.open(self._store_url) as store:
            intent_of(wanted, store, self._registry)
            return ServingLog(store, self._app).add("wanted", wanted.model_dump(mode="json"), who=who, why=asked.why)


def add_serving_routes(
    api: FastAPI, desk: ServingDesk, guard: Guard, standing: Callable[[], Mapping[str, Any]]
) -> None:
    """Add the routes; wanting something else needs the role of admin.

    Parameters
    ----------
    api : FastAPI
    desk : ServingDesk
    guard : Guard
    standing : callable
        Returns the plan, and the counts and breaches of its variants.
    """

    async def state(request: Request) -> ServingState:
        history = await ask_store(desk.history)
        return ServingState(request_id=request.state.request_id, **standing(), history=history)

    @api.get("/v1/serving", tags=["serving"])
    async def serving(request: Request) -> ServingState:
        """Say what is served, how the variants do, and what was wanted."""
        return await state(request)

    @api.put("/v1/serving", tags=["serving"], status_code=202, dependencies=[Depends(guard.needs(Role.ADMIN))])
    async def want(request: Request, body: ServingRequest) -> ServingState:
        """Want something else to be served; it is made so within seconds, and no request fails meanwhile.

        The history says when: `applied` or `failed` follows, with the revision of this `wanted`.
        """
        await ask_store(desk.want, body, request.state.user)
        return await state(request)
