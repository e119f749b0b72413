"""Pass, fail or inconclusive: what a comparison of a pre-registered metric entitles one to say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from trader.validation.experiments.comparison import SequentialResult
from trader.validation.experiments.plan import ExperimentPlan
from trader.validation.experiments.results import check_alpha

__all__ = ["Judgement", "Verdict", "judge"]


class Verdict(StrEnum):
    """What became of the challenger."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with the reason for it.

    Attributes
    ----------
    verdict : Verdict
    reason : str
    final : bool
        Whether further observations cannot change it or the planned size is reached.
    """

    verdict: Verdict
    reason: str
    final: bool


def judge(
    plan: ExperimentPlan,
    result: SequentialResult,
    *,
    sample_ratio_p: float | None = None,
    sample_ratio_alpha: float = 0.001,
) -> Judgement:
    """Return the verdict of a sequential comparison; without data it is never a pass.

    Parameters
    ----------
    plan : ExperimentPlan
    result : SequentialResult
        Of a `SequentialComparison` with this plan.
    sample_ratio_p : float, optional
        From `sample_ratio_mismatch` or, if watched, `sequential_sample_ratio`; None where nothing is split, as
        when both arms see every period.
    sample_ratio_alpha : float, default=0.001
        Below it, or where the p-value is NaN, nothing is concluded.

    Returns
    -------
    Judgement

    Notes
    -----
    The first crossing decides, as in any sequential test: later data do not revoke a decision. A pass says
    that the improvement exceeds ``plan.margin``, a fail that it falls short of it.

    Under autocorrelation: passes of equal arms are false winners, whose rate `SequentialComparison` states.

    Examples
    --------
    >>> from trader.validation.experiments.comparison import SequentialComparison
    >>> plan = ExperimentPlan("pnl", planned=2000)
    >>> judge(plan, SequentialComparison(plan).result()).reason
    'no look yet: 0 of 10 blocks'
    """
    check_alpha(sample_ratio_alpha, "sample_ratio_alpha")
    if sample_ratio_p is not None and not sample_ratio_p >= sample_ratio_alpha:
        reason = f"sample ratio mismatch: p={sample_ratio_p:.3g} is not at least {sample_ratio_alpha}"
        return Judgement(Verdict.INCONCLUSIVE, reason, False)
    if result.n_blocks < plan.min_blocks:
        return Judgement(Verdict.INCONCLUSIVE, f"no look yet: {result.n_blocks} of {plan.min_blocks} blocks", False)
    if result.direction is not None:
        verdict = Verdict.PASS if result.direction == "above" else Verdict.FAIL
        side = "exceeds" if verdict is Verdict.PASS else "falls short of"
        found = f"found after {result.decided_at} observations"
        reason = f"the improvement of {plan.metric} {side} {plan.margin:g}, {found}"
        return Judgement(verdict, reason, True)
    if math.isnan(result.low):
        return Judgement(Verdict.INCONCLUSIVE, f"{plan.metric} does not vary between blocks", False)
    reached = result.n >= plan.planned
    progress = "the planned size is reached" if reached else f"{result.n} of {plan.planned} planned observations"
    return Judgement(Verdict.INCONCLUSIVE, f"the interval of {plan.metric} holds the margin; {progress}", reached)
