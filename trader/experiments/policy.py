"""What is to be done about an experiment by the policy that was registered with it: a function of what is known."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Literal

from trader.experiments.assess import Assessment
from trader.experiments.book import Experiment
from trader.experiments.guardrails import broken_text
from trader.validation.experiments import Verdict

__all__ = ["Action", "Ruling", "rule"]

Action = Literal["hold", "propose", "promote", "roll back"]

_OVER = ("stopped", "rolled back")


@dataclasses.dataclass(frozen=True, slots=True)
class Ruling:
    """What a policy does, and why."""

    action: Action
    reason: str


def rule(experiment: Experiment, found: Assessment, *, now_ns: int, moved_ns: int | None = None) -> Ruling:
    """Return what the policy of an experiment does now.

    `manual` does nothing. `propose` proposes the promotion of a challenger that has passed for good. `auto` promotes
    it, unless the model's champion changed within the cooldown; a shadow, which has never been traded, is proposed
    only, and needs scores that agree enough. What `auto` has promoted is rolled back if a guardrail is broken or the
    verdict becomes a fail; a promotion that somebody has forced is theirs to take back.

    Parameters
    ----------
    experiment : Experiment
    found : Assessment
        Where it stands.
    now_ns : int
        Wall clock.
    moved_ns : int, optional
        When the champion of the challenger's model last changed; None if it never did.
    """
    spec = experiment.spec
    if spec.policy == "manual":
        return Ruling("hold", "the policy is manual")
    if experiment.phase in _OVER:
        return Ruling("hold", f"the experiment is {experiment.phase}")
    if experiment.phase == "promoted":
        return _after_promotion(experiment, found)
    if found.verdict is not Verdict.PASS or not found.is_final:
        return Ruling("hold", f"{found.verdict}: {found.reason}")
    if spec.kind == "shadow" and not found.sign_agreement >= spec.min_agreement:
        agreement = f"{found.sign_agreement:.0%} of the signs agree"
        return Ruling("hold", f"passed, but {agreement}; {spec.min_agreement:.0%} are needed")
    if spec.policy == "propose" or spec.kind == "shadow":
        if experiment.proposal is not None:
            return Ruling("hold", "the proposal waits for an answer")
        return Ruling("propose", f"passed: {found.reason}")
    if moved_ns is not None and now_ns - moved_ns < spec.cooldown_s * 1e9:
        until = dt.datetime.fromtimestamp(moved_ns / 1e9 + spec.cooldown_s, dt.UTC)
        return Ruling(
            "hold", f"passed, but the champion has just changed; cooldown until {until:%Y-%m-%d %H:%M:%S} UTC"
        )
    return Ruling("promote", f"passed: {found.reason}")


def _after_promotion(experiment: Experiment, found: Assessment) -> Ruling:
    if experiment.spec.policy != "auto":
        return Ruling("hold", "the experiment is promoted")
    if experiment.was_forced:
        return Ruling("hold", "the promotion was forced; it is not the policy's to take back")
    if broken := broken_text(found.guardrails):
        return Ruling("roll back", broken)
    if found.verdict is Verdict.FAIL:
        return Ruling("roll back", found.reason)
    return Ruling("hold", "promoted, and nothing speaks against it")
