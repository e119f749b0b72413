"""Verdicts from the equity of two virtual portfolios: wins, losses, guardrails, and the silence of no data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from trader.experiments.assess import assess, plan_of
from trader.experiments.spec import ExperimentSpec
from trader.storage import VariantMark

SPEC = ExperimentSpec("e", "linear@1.0.0", "linear@1.1.0", horizon=1000)


def _marks(edge: float, n: int = 1200, seed: int = 0, fall: float = 0.0) -> list[VariantMark]:
    """Marks of portfolios whose returns differ by `edge` and noise; the challenger loses `fall` once."""
    rng = np.random.default_rng(seed)
    champion = rng.normal(0.0005, 0.002, n)
    challenger = champion + edge + rng.normal(0.0, 0.005, n)
    challenger[0] -= fall
    equity = 1e6 * np.cumprod(1.0 + np.column_stack([champion, challenger]), axis=0)
    return [VariantMark(seq, *row, 0.6, 0.5) for seq, row in enumerate(equity.tolist())]


def test_no_data_never_passes() -> None:
    for marks in ([], _marks(0.1)[:1], _marks(0.1)[:30]):
        found = assess(SPEC, marks)
        assert (found.verdict, found.is_final) == ("inconclusive", False)
        assert math.isnan(found.low)


@pytest.mark.parametrize("stop", ["sequential", "fixed"])
@pytest.mark.parametrize(("edge", "verdict"), [(0.002, "pass"), (-0.002, "fail")])
def test_a_clear_difference_is_found(stop: str, edge: float, verdict: str) -> None:
    """With an edge of 0.4 standard deviations, over a thousand decisions; the truth is inside the interval."""
    spec = ExperimentSpec("e", "a@1", "b@1", stop=stop)  # type: ignore[arg-type]
    found = assess(spec, _marks(edge))
    assert found.verdict == verdict
    assert found.low < edge < found.high
    assert found.n == 1000
    assert found.sign_agreement == pytest.approx(0.6)


def test_a_fixed_test_waits_for_its_end() -> None:
    """Before the horizon nothing is said, however large the difference; then the interval is near a plain t's."""
    spec = ExperimentSpec("e", "a@1", "b@1", stop="fixed", horizon=500)
    marks = _marks(0.01)
    early = assess(spec, marks[:500])
    assert (early.n, early.verdict, early.is_final) == (499, "inconclusive", False)
    found = assess(spec, marks)
    equity = np.array([(mark.champion, mark.challenger) for mark in marks[:501]])
    returns = equity[1:] / equity[:-1] - 1
    plain = stats.ttest_rel(returns[:, 1], returns[:, 0]).confidence_interval()
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), rel=0.1)
    assert found.estimate == pytest.approx(np.diff(returns, axis=1).mean())


def test_a_winner_that_breaks_a_guardrail_fails() -> None:
    """A drawdown seven points deeper, or one answer in fifty missing, is not made up for by earnings."""
    assert assess(SPEC, _marks(0.004)).verdict == "pass"
    deep = assess(SPEC, [VariantMark(-1, 1e6, 1e6, 1.0, 1.0), *_marks(0.004, fall=0.12)])
    assert (deep.verdict, [rail.holds for rail in deep.guardrails]) == ("fail", [False, True])
    assert "drawdown beyond the champion's is" in deep.reason
    silent = [mark._replace(sign_agreement=None) if mark.seq % 50 == 0 else mark for mark in _marks(0.004)]
    found = assess(SPEC, silent)
    assert (found.verdict, [rail.holds for rail in found.guardrails]) == ("fail", [True, False])


def test_short_experiments_are_judged_in_short_blocks() -> None:
    assert plan_of(SPEC).block_length == 20
    short = plan_of(ExperimentSpec("e", "a@1", "b@1", horizon=50))
    assert (short.block_length, short.planned) == (5, 50)
    assert plan_of(ExperimentSpec("e", "a@1", "b@1", horizon=2)).planned == 10
