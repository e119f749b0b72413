"""Margins: not worse by more than one, and equivalent within one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.experiments import equivalence_test, hac_test, noninferiority_test


@pytest.fixture(scope="module")
def noise(autoregression: Callable[..., np.ndarray]) -> np.ndarray:
    x = autoregression(1, 2000, seed=12)[0]
    return x - x.mean()


def test_equal_arms_are_not_inferior_and_equivalent(noise: np.ndarray) -> None:
    """With a margin wider than the interval; not with a narrower one."""
    assert noninferiority_test(noise, 0.4).p_value < 0.025
    assert equivalence_test(noise, 0.4).p_value < 0.05
    assert noninferiority_test(noise, 0.01).p_value > 0.3
    assert equivalence_test(noise, 0.01).p_value > 0.3


def test_p_value_and_interval_agree(noise: np.ndarray) -> None:
    """The lower end at the margin has a p-value of alpha; the interval is that of the t test."""
    found = noninferiority_test(noise, 0.1)
    assert found.low == pytest.approx(hac_test(noise, alpha=0.05).low)
    assert found.high == math.inf
    assert noninferiority_test(noise, -found.low).p_value == pytest.approx(0.025)
    both = equivalence_test(noise + 0.05, 0.3, alpha=0.025)
    assert (both.low, both.high) == pytest.approx((found.low + 0.05, 0.05 - found.low))
    assert equivalence_test(noise + 0.05, both.high).p_value == pytest.approx(0.025)


def test_a_better_challenger_is_not_inferior_but_not_equivalent(noise: np.ndarray) -> None:
    """Direction matters for one test and not for the other."""
    assert noninferiority_test(noise + 1.0, 0.3).p_value < 1e-6
    assert equivalence_test(noise + 1.0, 0.3).p_value > 0.99
    assert noninferiority_test(noise - 1.0, 0.3).p_value > 0.99


def test_level_at_the_margin(autoregression: Callable[..., np.ndarray]) -> None:
    """A challenger exactly at the margin on AR(.6) heavy tails passes about 2.5 % of the time."""
    x = autoregression(1500, 500, seed=13) - 0.2
    assert 0.01 < np.mean([noninferiority_test(row, 0.2).p_value < 0.025 for row in x]) < 0.045


def test_no_data_is_not_a_pass() -> None:
    """A few or equal values have no p-value."""
    assert math.isnan(noninferiority_test([], 0.1).p_value)
    assert math.isnan(equivalence_test(np.zeros(100), 0.1).p_value)


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_bad_margins_are_named(margin: float, noise: np.ndarray) -> None:
    """A margin is a positive number."""
    with pytest.raises(DataError, match=f"margin={margin} is not allowed"):
        noninferiority_test(noise, margin)
    with pytest.raises(DataError, match="margin="):
        equivalence_test(noise, margin)
