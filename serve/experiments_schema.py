"""Requests and answers about experiments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from serve.schema import Message

__all__ = [
    "ExperimentMove",
    "ExperimentRequest",
    "ExperimentState",
    "ExperimentSummary",
    "ExperimentsResponse",
    "PromoteRequest",
    "Reason",
]

_Why = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"\S", strip_whitespace=True)]
_Ref = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
        r"(@(champion|challenger|shadow|(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}))?$"
    ),
]


class Reason(Message):
    """Why something is done; it is kept for good."""

    why: _Why


class PromoteRequest(Reason):
    """Why, and whether without a verdict of pass."""

    force: bool = False
    """Promote without a verdict of pass; that is kept on record."""


class ExperimentRequest(Reason):
    """An experiment to be registered."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    champion: _Ref
    """Version or alias of a registered model: `linear@1.2.0`."""
    challenger: _Ref
    kind: Literal["ab", "shadow"] = "ab"
    challenger_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the symbols whose scores the challenger gives; 0 for a shadow."""
    holdout: Annotated[float, Field(ge=0, le=1)] = 0.0
    metric: Literal["pnl"] = "pnl"
    stop: Literal["sequential", "fixed"] = "sequential"
    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    horizon: Annotated[int, Field(ge=2, le=10_000_000)] = 1000
    """Decisions after which it ends."""


class ExperimentSummary(Message):
    """What was registered, and how far it has come."""

    name: str
    champion: str
    challenger: str
    kind: Literal["ab", "shadow"]
    challenger_share: float
    holdout: float
    metric: Literal["pnl"]
    stop: Literal["sequential", "fixed"]
    alpha: float
    horizon: int
    phase: Literal["registered", "running", "judged", "stopped", "promoted", "rolled back"]
    run_id: str | None
    registered_ns: int
    who: str
    why: str


class ExperimentsResponse(Message):
    """All experiments, oldest first."""

    request_id: str
    experiments: list[ExperimentSummary]


class ExperimentState(Message):
    """One experiment: its figures now, and everything that happened to it."""

    request_id: str
    experiment: ExperimentSummary
    assessment: dict[str, Any]
    """As of now; null where a figure is not known yet."""
    history: list[dict[str, Any]]


class ExperimentMove(Message):
    """A champion that changed."""

    request_id: str
    name: str
    model: str
    before: str | None
    after: str | None
