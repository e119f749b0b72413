"""Power and sample size against statsmodels, published tables and simulation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.experiments import (
    ExperimentPlan,
    SequentialComparison,
    autoregressive_inflation,
    hac_test,
    power_of,
    sample_size,
    sequential_power,
    sequential_sample_size,
)


@pytest.mark.parametrize(("effect", "n"), [(0.2, 30), (0.5, 64), (-0.1, 900)])
@pytest.mark.parametrize(
    ("alternative", "named"), [("two-sided", "two-sided"), ("greater", "larger"), ("less", "smaller")]
)
def test_power_is_statsmodels(effect: float, n: int, alternative: str, named: str) -> None:
    """Paired and two-sample t tests."""
    from statsmodels.stats.power import TTestIndPower, TTestPower

    paired = TTestPower().power(effect, n, 0.05, alternative=named)
    assert power_of(effect, n, alternative=alternative) == pytest.approx(paired, abs=2e-4)
    welch = TTestIndPower().power(effect, n, 0.05, ratio=1.5, alternative=named)
    assert power_of(effect, n, design="welch", ratio=1.5, alternative=alternative) == pytest.approx(welch, abs=2e-4)


@pytest.mark.parametrize(("effect", "n"), [(0.2, 394), (0.5, 64), (0.8, 26)])
def test_cohens_published_sample_sizes(effect: float, n: int) -> None:
    """Cohen (1988): two arms, two-sided 5 %, power .8; his table has 393, the exact value rounds up to 394."""
    assert sample_size(effect, design="welch") == n


def test_sample_size_is_the_smallest() -> None:
    """One observation fewer misses the power."""
    n = sample_size(0.13, 0.9, inflation=2.5)
    assert power_of(0.13, n - 1, inflation=2.5) < 0.9 <= power_of(0.13, n, inflation=2.5)


def test_inflation_multiplies_the_size() -> None:
    """AR(.6) needs four times as many."""
    assert autoregressive_inflation(0.6) == pytest.approx(4.0)
    assert sample_size(0.1, inflation=4.0) == pytest.approx(4 * sample_size(0.1), abs=4)


def test_power_at_the_planned_size(autoregression: Callable[..., np.ndarray]) -> None:
    """On heavy-tailed AR(.6), at the planned size, the cosine test finds the effect in 80 % of runs, less 3 %."""
    n = sample_size(0.15, inflation=4.0)
    x = 0.15 + autoregression(1000, n, seed=21)
    assert np.mean([hac_test(row).p_value < 0.05 for row in x]) > 0.77


@pytest.mark.parametrize("effect", [0.25, -0.5])
def test_sequential_power_at_the_planned_size(autoregression: Callable[..., np.ndarray], effect: float) -> None:
    """Watched at every step on heavy-tailed AR(.6), at least 80 % of effects are found by the planned size."""
    n = sequential_sample_size(effect, block_length=20, inflation=4.0)
    found = []
    for row in effect + autoregression(400, n, seed=22):
        comparison = SequentialComparison(ExperimentPlan("pnl", planned=n, block_length=20))
        comparison.add(row)
        found.append(comparison.result().direction == ("above" if effect > 0 else "below"))
    assert np.mean(found) >= 0.8


def test_sequential_size_is_whole_blocks_and_the_smallest() -> None:
    """Watching costs about twice the observations of a single look."""
    n = sequential_sample_size(0.2, block_length=20, inflation=4.0)
    assert n % 20 == 0
    assert sequential_power(0.2, n - 20, block_length=20, inflation=4.0) < 0.8
    assert sequential_power(0.2, n, block_length=20, inflation=4.0) >= 0.8
    assert 1.7 < n / sample_size(0.2, inflation=4.0) < 2.6


def test_too_few_blocks_have_no_power() -> None:
    """Where no statistic could decide, the power is 0."""
    assert sequential_power(10.0, 39, block_length=20) == 0.0
    assert sequential_power(10.0, 60, block_length=20) == 0.0
    assert power_of(0.5, 3, inflation=4.0) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"effect": 0.0}, r"effect=0\.0 is not allowed"),
        ({"effect": float("nan")}, "effect=nan"),
        ({"effect": 0.1, "power": 1.0}, r"power=1\.0"),
        ({"effect": 0.1, "inflation": 0.0}, r"inflation=0\.0"),
        ({"effect": 0.1, "ratio": 0.0, "design": "welch"}, r"ratio=0\.0"),
        ({"effect": 0.1, "design": "other"}, "design='other'"),
        ({"effect": 0.1, "alternative": "other"}, "alternative='other'"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, object], message: str) -> None:
    """An effect of zero needs infinitely many observations, and so on."""
    with pytest.raises(DataError, match=message):
        sample_size(**arguments)


def test_bad_autocorrelation_is_named() -> None:
    """A unit root has no long-run variance."""
    with pytest.raises(DataError, match="autocorrelation=1"):
        autoregressive_inflation(1)
