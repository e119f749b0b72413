"""Plans in words."""

from __future__ import annotations

from trader.experiments.spec import ExperimentSpec

__all__ = ["schedule_text"]


def schedule_text(spec: ExperimentSpec) -> str:
    """Return how the challenger's share moves, for people.

    >>> schedule_text(ExperimentSpec("e", "a@1", "b@1", schedule="ramp", ramp=(0.1, 0.5), gate_margin=0.0005))
    'ramp 10% → 50%, a gate every 100 decisions, if not inferior by 5 bp a decision'
    """
    if spec.kind == "shadow":
        return "none, a shadow"
    if spec.schedule == "fixed":
        return f"fixed at {spec.challenger_share:.1%}"
    gates = f"a gate every {spec.gate_every} decisions"
    if spec.schedule == "thompson":
        return f"Thompson sampling from {spec.challenger_share:.0%}, at least {spec.floor:.0%} each, {gates}"
    steps = " → ".join(f"{step:.0%}" for step in spec.ramp)
    asked = (
        "not shown to be worse"
        if spec.gate_margin is None
        else f"not inferior by {1e4 * spec.gate_margin:g} bp a decision"
    )
    return f"ramp {steps}, {gates}, if {asked}"
