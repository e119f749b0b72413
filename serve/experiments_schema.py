"""Requests and answers about experiments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from serve.schema import Message, Whole

__all__ = [
    "ExperimentMove",
    "ExperimentRequest",
    "ExperimentRuling",
    "ExperimentState",
    "ExperimentSummary",
    "ExperimentsResponse",
    "PromoteRequest",
    "Reason",
    "Reference",
]

_Why = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"\S", strip_whitespace=True)]
Reference = Annotated[
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
    champion: Reference
    """Version or alias of a registered model: `linear@1.2.0`."""
    challenger: Reference
    kind: Literal["ab", "shadow"] = "ab"
    challenger_share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the symbols whose scores the challenger gives, at first; 0 for a shadow. Left out, it is the first step
    of a ramp, 0.5 under Thompson sampling, else 0.1."""
    holdout: Annotated[float, Field(ge=0, le=1)] = 0.0
    metric: Literal["pnl"] = "pnl"
    stop: Literal["sequential", "fixed"] = "sequential"
    alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    horizon: Annotated[int, Field(ge=2, le=10_000_000), Whole] = 1000
    """Decisions after which it ends."""
    schedule: Literal["fixed", "ramp", "thompson"] = "fixed"
    """How the share moves inside a run."""
    ramp: list[Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=list, max_length=100)
    """Rising shares, for a ramp."""
    gate_every: Annotated[int, Field(ge=1, le=10_000_000), Whole] = 100
    """Decisions between changes of the share."""
    gate_margin: Annotated[float, Field(gt=0, le=1)] | None = None
    """Largest loss per decision that a ramp accepts; left out, it rises unless the challenger is shown to be worse."""
    floor: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Share that Thompson sampling leaves to either variant."""
    seed: Annotated[int, Field(ge=0, le=2**53), Whole] = 0
    """Of Thompson sampling."""
    policy: Literal["manual", "propose", "auto"] = "manual"
    """Who promotes."""
    cooldown_s: Annotated[float, Field(ge=0, le=1e9)] = 86_400.0
    """Seconds after a change of the champion in which the policy promotes nobody."""
    min_agreement: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of equal signs that a policy asks of a shadow."""


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
    schedule: Literal["fixed", "ramp", "thompson"]
    ramp: list[float]
    gate_every: int
    gate_margin: float | None
    floor: float
    seed: int
    policy: Literal["manual", "propose", "auto"]
    cooldown_s: float
    min_agreement: float
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
    calibration: dict[str, dict[str, Any]]
    """What followed the scores of each version, beside what they promised; empty before a run has joined."""
    history: list[dict[str, Any]]


class ExperimentMove(Message):
    """A champion that changed."""

    request_id: str
    name: str
    model: str
    before: str | None
    after: str | None


class ExperimentRuling(Message):
    """What the policy of an experiment did."""

    request_id: str
    name: str
    action: Literal["hold", "propose", "promote", "roll back"]
    reason: str
