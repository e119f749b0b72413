"""What the virtual portfolios say of an experiment so far, and the verdict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.experiments.guardrails import MAX_DRAWDOWN_EXCESS, MAX_UNANSWERED, Guardrail, broken_text, was_answered
from trader.experiments.ratio import MISMATCH, SampleRatio, sample_ratio
from trader.experiments.spec import ExperimentSpec
from trader.storage import VariantMark
from trader.validation.experiments import ExperimentPlan, SequentialComparison, Verdict, hac_test, judge

__all__ = ["Assessment", "VariantFigures", "assess", "plan_of"]

FloatArray = NDArray[np.float64]

_BLOCK = 20
_LOOKS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class VariantFigures:
    """Return over all decisions and largest drawdown of a variant's virtual portfolio, after costs, as fractions."""

    total_return: float
    drawdown: float


@dataclasses.dataclass(frozen=True, slots=True)
class Assessment:
    """Where an experiment stands.

    Parameters
    ----------
    n : int
        Decisions so far.
    verdict : {"pass", "fail", "inconclusive"}
        A pass needs a win on the metric and every guardrail; no data never passes, and neither does a challenger
        that was rolled back. A sample ratio mismatch leaves everything open.
    reason : str
    is_final : bool
        Whether further decisions cannot change it.
    estimate, low, high : float
        Mean return per decision, challenger less champion, with its interval; NaN where it is not known yet.
    p_value : float
        Of no difference. NaN where it is not known yet.
    champion, challenger : VariantFigures
    guardrails : tuple of Guardrail
    sample_ratio : SampleRatio or None
        None where nothing was split, or the marks do not say.
    share : float
        The challenger's share of the symbols at the last decision.
    rolled_back_at : int or None
        The first decision that the run left the challenger none of.
    sign_agreement, rank_correlation : float
        Means over the decisions that have them; NaN if none has.
    """

    n: int
    verdict: Verdict
    reason: str
    is_final: bool
    estimate: float
    low: float
    high: float
    p_value: float
    champion: VariantFigures
    challenger: VariantFigures
    guardrails: tuple[Guardrail, ...]
    sample_ratio: SampleRatio | None
    share: float
    rolled_back_at: int | None
    sign_agreement: float
    rank_correlation: float

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON but for NaN."""
        return dataclasses.asdict(self) | {"verdict": str(self.verdict)}


def plan_of(spec: ExperimentSpec) -> ExperimentPlan:
    """Return how the metric of an experiment is judged: in blocks of 20 decisions, shorter if it ends within 200."""
    block = max(1, min(_BLOCK, spec.horizon // _LOOKS))
    return ExperimentPlan(
        spec.metric,
        planned=max(spec.horizon, block * _LOOKS),
        block_length=block,
        alpha=spec.alpha,
        min_blocks=_LOOKS,
    )


def assess(
    spec: ExperimentSpec,
    marks: Sequence[VariantMark],
    symbols: Sequence[str] = (),
    *,
    rolled_back_at: int | None = None,
) -> Assessment:
    """Judge an experiment by what is known.

    Parameters
    ----------
    spec : ExperimentSpec
    marks : sequence of VariantMark
        In order; those after the horizon of the experiment do not count.
    symbols : sequence of str, optional
        Of the run. Without them the sample ratio stays unknown.
    rolled_back_at : int, optional
        The first decision that the run left the challenger none of.
    """
    used = marks[: spec.horizon + 1]
    equity = np.array([(mark.champion, mark.challenger) for mark in used], np.float64).reshape(-1, 2)
    returns = equity[1:] / equity[:-1] - 1.0
    answered = [mark.sign_agreement for mark in used if mark.sign_agreement is not None]
    guardrails = (
        Guardrail("drawdown beyond the champion's", _excess_drawdown(equity), MAX_DRAWDOWN_EXCESS),
        Guardrail("unanswered", _mean([not was_answered(mark) for mark in used]) if used else 0.0, MAX_UNANSWERED),
    )
    found = _sequential(spec, returns) if spec.stop == "sequential" else _fixed(spec, returns)
    verdict, reason, is_final, interval, p_value = found
    objections = [broken_text(guardrails)] if broken_text(guardrails) else []
    if rolled_back_at is not None:
        objections.append(f"the challenger was rolled back before decision {rolled_back_at}")
    if objections and verdict is Verdict.PASS:
        verdict, reason = Verdict.FAIL, f"{reason}; but {'; '.join(objections)}"
    ratio = sample_ratio(spec, symbols, used) if symbols else None
    if ratio is not None and not ratio.holds:
        verdict, is_final = Verdict.INCONCLUSIVE, False
        reason = f"sample ratio mismatch: {ratio}, below {MISMATCH:g}"
    return Assessment(
        n=max(len(used) - 1, 0),
        verdict=verdict,
        reason=reason,
        is_final=is_final,
        estimate=float(np.mean(returns[:, 1] - returns[:, 0])) if len(returns) else math.nan,
        low=interval[0],
        high=interval[1],
        p_value=p_value,
        champion=_figures(equity[:, 0]),
        challenger=_figures(equity[:, 1]),
        guardrails=guardrails,
        sample_ratio=ratio,
        share=0.0 if rolled_back_at is not None else _last_share(spec, marks),
        rolled_back_at=rolled_back_at,
        sign_agreement=_mean(answered),
        rank_correlation=_mean([mark.rank_correlation for mark in used if mark.rank_correlation is not None]),
    )


def _last_share(spec: ExperimentSpec, marks: Sequence[VariantMark]) -> float:
    return next((mark.share for mark in reversed(marks) if mark.share is not None), spec.split.challenger)


_Found = tuple[Verdict, str, bool, tuple[float, float], float]


def _sequential(spec: ExperimentSpec, returns: FloatArray) -> _Found:
    plan = plan_of(spec)
    comparison = SequentialComparison(plan)
    comparison.add(returns[:, 1] - returns[:, 0])
    result = comparison.result()
    judgement = judge(plan, result)
    return judgement.verdict, judgement.reason, judgement.final, (result.low, result.high), result.p_value


def _fixed(spec: ExperimentSpec, returns: FloatArray) -> _Found:
    if len(returns) < spec.horizon:
        reason = f"{len(returns)} of {spec.horizon} decisions; it is judged once, at the end"
        return Verdict.INCONCLUSIVE, reason, False, (math.nan, math.nan), math.nan
    test = hac_test(returns[:, 1] - returns[:, 0], alpha=spec.alpha)
    if not test.p_value < spec.alpha:
        verdict, said = Verdict.INCONCLUSIVE, "no difference was found"
    elif test.estimate > 0.0:
        verdict, said = Verdict.PASS, "the challenger earned more"
    else:
        verdict, said = Verdict.FAIL, "the challenger earned less"
    return verdict, f"{said} in {spec.horizon} decisions", True, (test.low, test.high), test.p_value


def _figures(equity: FloatArray) -> VariantFigures:
    if equity.size < 2:
        return VariantFigures(0.0, 0.0)
    return VariantFigures(float(equity[-1] / equity[0] - 1.0), _drawdown(equity))


def _drawdown(equity: FloatArray) -> float:
    return float(np.max(1.0 - equity / np.maximum.accumulate(equity))) if equity.size else 0.0


def _excess_drawdown(equity: FloatArray) -> float:
    return max(0.0, _drawdown(equity[:, 1]) - _drawdown(equity[:, 0]))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan
