"""The watched comparison: its error rate on equal arms, its state, and its verdict."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.experiments import (
    ExperimentPlan,
    SequentialComparison,
    SequentialResult,
    Verdict,
    judge,
    mixture_variance,
    suggested_block_length,
    t_mixture_radius,
)

PLAN = ExperimentPlan("pnl", planned=2000, block_length=20)


def _watched(values: np.ndarray, plan: ExperimentPlan = PLAN) -> SequentialResult:
    comparison = SequentialComparison(plan)
    comparison.add(values)
    return comparison.result()


@pytest.mark.parametrize(
    ("phi", "degrees", "block_length", "n_runs"),
    [(0.6, 3.0, 20, 1000), (0.6, 3.0, 10, 300), (0.0, 3.0, 20, 300), (0.9, 4.0, 20, 300)],
)
def test_equal_arms_are_rarely_decided(
    autoregression: Callable[..., np.ndarray], phi: float, degrees: float, block_length: int, n_runs: int
) -> None:
    """A/A, watched after every observation to 2,000: at most 5 % are ever decided, false winners and losers."""
    plan = dataclasses.replace(PLAN, block_length=block_length)
    results = [_watched(row, plan) for row in autoregression(n_runs, 2000, phi, seed=1, degrees=degrees)]
    decided = np.mean([result.direction is not None for result in results])
    assert decided <= 0.05
    assert decided == np.mean([result.p_value < 0.05 for result in results])


def test_a_crash_that_has_not_happened_cannot_be_seen() -> None:
    """The known limit: a fair bet that loses once in 500 periods looks like a winner to every test of a mean."""
    rng = np.random.default_rng(11)
    values = np.where(rng.random((200, 2000)) < 0.002, -49.9, 0.1) + 0.1 * rng.normal(size=(200, 2000))
    assert np.mean([_watched(row).direction == "above" for row in values]) > 0.3


def test_neighbours_correlation_is_estimated(autoregression: Callable[..., np.ndarray]) -> None:
    """With blocks of one observation of AR(.6) it is .6."""
    plan = ExperimentPlan("pnl", planned=2000, block_length=1)
    found = [_watched(row, plan) for row in autoregression(200, 2000, seed=2)]
    assert np.mean([result.correlation for result in found]) == pytest.approx(0.6, abs=0.03)


def test_batches_equal_single_observations(autoregression: Callable[..., np.ndarray]) -> None:
    """State and result after one batch, after uneven ones and after single values are the same."""
    values = 0.4 + autoregression(1, 1511, seed=3)[0]
    at_once, uneven, single = (SequentialComparison(PLAN) for _ in range(3))
    at_once.add(values)
    for part in np.split(values, [0, 3, 19, 20, 41, 900, 1500]):
        uneven.add(part)
    for value in values:
        single.add([value])
    expected = at_once.state()
    for other in (uneven, single):
        state = other.state()
        assert state.pop("p_value") == pytest.approx(expected["p_value"], rel=1e-9)
        assert state == {name: value for name, value in expected.items() if name != "p_value"}
    assert at_once.result().decided_at == single.result().decided_at == 20 * round(at_once.result().decided_at / 20)


def test_looks_between_blocks_change_nothing() -> None:
    """Asking after every observation is asking when a block completes; the first crossing is kept."""
    values = np.random.default_rng(5).normal(0.5, 1.0, size=600)
    comparison, seen = SequentialComparison(PLAN), []
    for value in values:
        comparison.add([value])
        seen.append(comparison.result())
    first = next(result for result in seen if result.direction == "above")
    assert first.n == first.decided_at == seen[-1].decided_at
    p_values = [result.p_value for result in seen]
    assert p_values == sorted(p_values, reverse=True)


def test_result_by_hand(autoregression: Callable[..., np.ndarray]) -> None:
    """Mean of blocks, their standard error, widened by the correlation of neighbours."""
    values = autoregression(1, 1210, seed=6)[0]
    blocks = values[:1200].reshape(60, 20).mean(axis=1)
    x = blocks - blocks.mean()
    correlation = max(x[1:] @ x[:-1] / (x @ x) + 1 / 60, 0.0)
    error = blocks.std(ddof=1) / math.sqrt(60) * math.sqrt((1 + correlation) / (1 - correlation))
    radius = error * t_mixture_radius(60, mixture_variance(100))
    found = _watched(values)
    assert (found.n, found.n_blocks) == (1210, 60)
    assert found.correlation == pytest.approx(correlation)
    assert (found.estimate, found.low) == pytest.approx((blocks.mean(), blocks.mean() - radius))


def test_restored_from_json_it_goes_on_as_before() -> None:
    """In the middle of a block, with its plan."""
    values = np.random.default_rng(7).normal(0.2, 1.0, size=1500)
    first = SequentialComparison(dataclasses.replace(PLAN, goal="minimise"))
    first.add(values[:777])
    second = SequentialComparison.restore(json.loads(json.dumps(first.state())))
    for comparison in (first, second):
        comparison.add(values[777:])
    assert first.state() == second.state()
    assert second.result() == first.result()
    with pytest.raises(DataError, match=r"state without \['blocks'"):
        SequentialComparison.restore({"n": 1, "plan": {}})


def test_minimise_is_maximise_of_the_opposite() -> None:
    """A metric such as slippage: lower is above the margin; estimates keep the metric's sign."""
    values = np.random.default_rng(8).normal(-0.4, 1.0, size=1500)
    lower = _watched(values, dataclasses.replace(PLAN, goal="minimise", margin=0.1))
    higher = _watched(-values, dataclasses.replace(PLAN, margin=0.1))
    assert lower.direction == higher.direction == "above"
    assert (lower.estimate, lower.low, lower.high) == (-higher.estimate, -higher.high, -higher.low)
    assert lower.p_value == higher.p_value


def test_verdicts() -> None:
    """Better passes, worse fails, equal is inconclusive, and equal passes non-inferiority with a wide margin."""
    noise = np.random.default_rng(9).normal(size=2000)
    noise -= noise.mean()
    tolerant = dataclasses.replace(PLAN, margin=-0.3)
    assert judge(PLAN, _watched(noise + 0.3)).verdict is Verdict.PASS
    assert judge(PLAN, _watched(noise - 0.3)).verdict is Verdict.FAIL
    assert judge(PLAN, _watched(noise)).verdict is Verdict.INCONCLUSIVE
    assert judge(PLAN, _watched(noise)).final
    assert not judge(PLAN, _watched(noise[:1000])).final
    assert judge(tolerant, _watched(noise, tolerant)).verdict is Verdict.PASS
    assert "found after" in judge(PLAN, _watched(noise + 0.3)).reason


@pytest.mark.parametrize("n", [0, 1, 199])
def test_no_data_never_passes(n: int) -> None:
    """However good the few first observations are."""
    judgement = judge(PLAN, _watched(np.random.default_rng(0).normal(50.0, 1.0, size=n)))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "no look yet" in judgement.reason


def test_differences_that_do_not_vary_are_inconclusive() -> None:
    """A constant gain has no error to be measured against."""
    judgement = judge(PLAN, _watched(np.full(2000, 0.1)))
    assert (judgement.verdict, judgement.final) == (Verdict.INCONCLUSIVE, False)
    assert "does not vary" in judgement.reason


@pytest.mark.parametrize("p_value", [1e-5, math.nan])
def test_a_sample_ratio_mismatch_voids_the_verdict(p_value: float) -> None:
    """A found winner is inconclusive if the traffic was not split as planned, or if nobody knows."""
    winner = _watched(np.random.default_rng(1).normal(1.0, 1.0, size=2000))
    assert judge(PLAN, winner, sample_ratio_p=0.4).verdict is Verdict.PASS
    judgement = judge(PLAN, winner, sample_ratio_p=p_value)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "sample ratio mismatch" in judgement.reason


def test_a_million_observations_are_judged_at_once() -> None:
    """All looks at a million observations take less than 200 ms of processor time, as the issue promises."""
    values = np.random.default_rng(0).normal(size=1_000_000)
    plan = dataclasses.replace(PLAN, planned=1_000_000)
    spent = []
    for _ in range(3):
        begin = time.process_time()
        judge(plan, _watched(values, plan))
        spent.append(time.process_time() - begin)
    assert min(spent) < 0.2


def test_suggested_blocks_follow_the_dependence(autoregression: Callable[..., np.ndarray]) -> None:
    """About 19 for AR(.6), 10 without dependence, more for AR(.9), never more than a tenth of the pilot."""
    found = {phi: suggested_block_length(autoregression(1, 20_000, phi, seed=2)[0]) for phi in (0.0, 0.6, 0.9)}
    assert found[0.0] == 10
    assert 17 <= found[0.6] <= 21
    assert 80 <= found[0.9] <= 110
    assert suggested_block_length(np.arange(200.0)) <= 20
    with pytest.raises(DataError, match="pilot has 99 values"):
        suggested_block_length(np.zeros(99))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": ""}, "metric=''"),
        ({"goal": "best"}, "goal='best'"),
        ({"block_length": 0}, "block_length=0"),
        ({"min_blocks": 3}, "min_blocks=3"),
        ({"margin": math.nan}, "margin=nan"),
        ({"alpha": 0.0}, r"alpha=0\.0"),
        ({"planned": 199}, "planned=199 is not allowed; it must be at least 200"),
    ],
)
def test_bad_plans_are_named(changes: dict[str, object], message: str) -> None:
    """A plan is refused before the experiment starts."""
    with pytest.raises(DataError, match=message):
        dataclasses.replace(PLAN, **changes)
