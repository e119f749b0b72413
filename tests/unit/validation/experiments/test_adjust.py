"""CUPED and multiplicity corrections against statsmodels, regression and simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.validation.experiments import adjust_p_values, cuped, hac_test, welch_t


@pytest.mark.parametrize(
    ("method", "named"), [("holm", "holm"), ("benjamini-hochberg", "fdr_bh"), ("benjamini-yekutieli", "fdr_by")]
)
def test_adjusted_p_values_are_statsmodels(method: str, named: str) -> None:
    """Forty p-values with ties."""
    from statsmodels.stats.multitest import multipletests

    p_values = np.round(np.random.default_rng(0).random(40) ** 2, 2)
    assert adjust_p_values(p_values, method) == pytest.approx(multipletests(p_values, method=named)[1])


def test_unknown_p_values_stay_unknown_and_count() -> None:
    """Three tests, one of which could not be made."""
    assert adjust_p_values([0.01, math.nan, 0.02]).tolist() == pytest.approx([0.03, math.nan, 0.04], nan_ok=True)
    assert adjust_p_values([], "benjamini-hochberg").tolist() == []


def test_holm_bounds_any_false_discovery() -> None:
    """Of 4,000 families of 20 true nulls, 5 % have a discovery."""
    found = [adjust_p_values(row).min() <= 0.05 for row in np.random.default_rng(1).random((4000, 20))]
    assert np.mean(found) == pytest.approx(0.05, abs=0.012)


def test_cuped_is_the_regression_within_arms() -> None:
    """The difference of adjusted means is the arm's coefficient beside the covariate."""
    rng = np.random.default_rng(2)
    before = [rng.normal(size=300), rng.normal(0.2, 1.0, size=250)]
    after = [1.0 + 0.8 * before[0] + 0.3 * rng.normal(size=300), 0.8 * before[1] + 0.3 * rng.normal(size=250)]
    found = cuped(after, before)
    arm = np.repeat([1.0, 0.0], [300, 250])
    design = np.column_stack([arm, np.concatenate(before), np.ones(550)])
    effect, slope, _ = np.linalg.lstsq(design, np.concatenate(after), rcond=None)[0]
    assert found.coefficient == pytest.approx(slope)
    assert found.adjusted[0].mean() - found.adjusted[1].mean() == pytest.approx(effect)
    within = sum(((x - x.mean()) ** 2).sum() for x in found.adjusted) / sum(((x - x.mean()) ** 2).sum() for x in after)
    assert found.variance_reduction == pytest.approx(1 - within)
    assert welch_t(*found.adjusted).high - welch_t(*found.adjusted).low < 0.5 * (
        welch_t(*after).high - welch_t(*after).low
    )


def test_cuped_keeps_the_level(autoregression: Callable[..., np.ndarray]) -> None:
    """Paired AR(.6) differences that share the market's return: 5 % false positives as before, with less variance."""
    noises, markets = autoregression(600, 300, seed=3), np.random.default_rng(3).normal(size=(600, 300))
    rejected, reductions = [], []
    for noise, market in zip(noises, markets, strict=True):
        found = cuped([noise + 2.0 * market], [market], centre=0.0)
        rejected.append(hac_test(found.adjusted[0]).p_value < 0.05)
        reductions.append(found.variance_reduction)
    assert np.mean(rejected) < 0.09
    assert np.mean(reductions) > 0.5


def test_a_covariate_that_does_not_vary_changes_nothing() -> None:
    """Coefficient and reduction are 0."""
    found = cuped([[1.0, 2.0], [3.0, 5.0]], [[7.0, 7.0], [7.0, 7.0]])
    assert (found.coefficient, found.variance_reduction) == (0.0, 0.0)
    assert [arm.tolist() for arm in found.adjusted] == [[1.0, 2.0], [3.0, 5.0]]


def test_bad_input_is_named() -> None:
    """The argument, its value and what is allowed."""
    with pytest.raises(DataError, match=r"metrics of lengths \[2\] and covariates of lengths \[1\]"):
        cuped([[1.0, 2.0]], [[1.0]])
    with pytest.raises(DataError, match="centre=None is not allowed for a single series"):
        cuped([[1.0, 2.0]], [[1.0, 3.0]])
    with pytest.raises(DataError, match=r"metrics of lengths \[\]"):
        cuped([], [])
    with pytest.raises(DataError, match=r"p_values=\[1\.5\]"):
        adjust_p_values([1.5])
    with pytest.raises(DataError, match="method='none'"):
        adjust_p_values([0.5], "none")
