"""Two-arm tests against scipy, and the false positives that dependence gives them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from trader.core.errors import DataError
from trader.validation.experiments import block_means, mann_whitney, paired_differences, paired_t, welch_t


@pytest.fixture(scope="module")
def arms() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return 0.2 + 2.0 * rng.standard_t(4, size=70), rng.normal(size=45)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_welch_is_scipys(arms: tuple[np.ndarray, np.ndarray], alternative: str) -> None:
    """Statistic, degrees of freedom, p-value and interval."""
    expected = stats.ttest_ind(*arms, equal_var=False, alternative=alternative)
    found = welch_t(*arms, alpha=0.1, alternative=alternative)
    interval = expected.confidence_interval(0.9)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.degrees == pytest.approx(expected.df)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_paired_is_scipys(arms: tuple[np.ndarray, np.ndarray], alternative: str) -> None:
    """Statistic, p-value and interval."""
    a, b = arms[0][:45], arms[1]
    expected = stats.ttest_rel(a, b, alternative=alternative)
    found = paired_t(a, b, alternative=alternative)
    interval = expected.confidence_interval(0.95)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_mann_whitney_with_ties_is_the_corrected_normal_one(alternative: str) -> None:
    """U and its p-value from midranks, by hand."""
    rng = np.random.default_rng(8)
    a, b = rng.integers(0, 6, size=60).astype(float), rng.integers(0, 5, size=50).astype(float)
    greater, equal = (a[:, None] > b).sum(), (a[:, None] == b).sum()
    u, n = greater + 0.5 * equal, 110
    ties = np.unique(np.concatenate([a, b]), return_counts=True)[1].astype(float)
    deviation = math.sqrt(60 * 50 / 12 * (n + 1 - (ties**3 - ties).sum() / (n * (n - 1))))
    z = u - 60 * 50 / 2
    p_value = {
        "two-sided": 2 * stats.norm.sf((abs(z) - 0.5) / deviation),
        "greater": stats.norm.sf((z - 0.5) / deviation),
        "less": stats.norm.cdf((z + 0.5) / deviation),
    }[alternative]
    found = mann_whitney(a, b, alternative=alternative)
    assert (found.statistic, found.estimate) == pytest.approx((u, u / 3000))
    assert found.p_value == pytest.approx(p_value)


def test_blocks_repair_what_dependence_breaks(autoregression: Callable[..., np.ndarray]) -> None:
    """On AR(.6) the paired t test rejects equal arms a third of the time; on means of blocks about as planned."""
    x = autoregression(300, 500, seed=2)
    zeros = np.zeros(500)
    naive = np.mean([paired_t(row, zeros).p_value < 0.05 for row in x])
    blocked = np.mean([paired_t(block_means(row, 20), zeros[:25]).p_value < 0.05 for row in x])
    assert 0.25 < naive < 0.42
    assert blocked < 0.1


def test_block_means_leave_out_the_incomplete_block() -> None:
    """Seven values make two blocks of three."""
    assert block_means(np.arange(7.0), 3).tolist() == [1.0, 4.0]


@pytest.mark.parametrize("test", [welch_t, paired_t, mann_whitney])
@pytest.mark.parametrize("n", [0, 1, 6])
def test_no_data_has_no_p_value(test: Callable[..., object], n: int) -> None:
    """Too few values, or values that are all the same, are no evidence and no error."""
    assert math.isnan(test(np.ones(n), np.ones(n)).p_value)


def test_bad_input_is_named() -> None:
    """The argument, its value and what is allowed."""
    with pytest.raises(DataError, match=r"challenger holds 1 values that are not finite"):
        welch_t([1.0, math.nan], [1.0, 2.0])
    with pytest.raises(DataError, match=r"champion has 2 dimensions"):
        welch_t([1.0, 2.0], [[1.0, 2.0]])
    with pytest.raises(DataError, match=r"alpha=0 is not allowed"):
        paired_t([1.0, 2.0], [1.0, 4.0], alpha=0)
    with pytest.raises(DataError, match=r"alternative='more'"):
        welch_t([1.0, 2.0], [1.0, 4.0], alternative="more")
    with pytest.raises(DataError, match=r"challenger has 2 periods and champion 1"):
        paired_differences([1.0, 2.0], [1.0])
    with pytest.raises(DataError, match=r"block_length=0"):
        block_means([1.0], 0)
