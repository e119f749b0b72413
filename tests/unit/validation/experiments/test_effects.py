"""Effect sizes against brute force, definitions and coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from trader.core.errors import DataError
from trader.validation.experiments import cliffs_delta, cohens_d


@pytest.fixture(scope="module")
def arms() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return rng.normal(0.5, 1.0, size=30), rng.normal(size=40)


def test_cohens_d_and_its_interval_by_definition(arms: tuple[np.ndarray, np.ndarray]) -> None:
    """Pooled deviations, and noncentralities that put the statistic at the tails."""
    a, b = arms
    pooled = math.sqrt((29 * a.var(ddof=1) + 39 * b.var(ddof=1)) / 68)
    scale = math.sqrt(1 / 30 + 1 / 40)
    found = cohens_d(a, b, corrected=False)
    expected = stats.ttest_ind(a, b)
    assert found.estimate == pytest.approx((a.mean() - b.mean()) / pooled)
    assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert stats.nct.sf(expected.statistic, 68, found.low / scale) == pytest.approx(0.025, abs=1e-6)
    assert stats.nct.cdf(expected.statistic, 68, found.high / scale) == pytest.approx(0.025, abs=1e-6)


def test_hedges_correction_is_the_gamma_ratio(arms: tuple[np.ndarray, np.ndarray]) -> None:
    """Close to 1 - 3 / (4 nu - 1), and it removes the bias of small samples."""
    factor = cohens_d(*arms).estimate / cohens_d(*arms, corrected=False).estimate
    assert factor == pytest.approx(special.gamma(34) / special.gamma(33.5) / math.sqrt(34))
    assert factor == pytest.approx(1 - 3 / (4 * 68 - 1), abs=1e-4)
    samples = np.random.default_rng(0).normal(size=(2000, 12)) + np.repeat([0.8, 0.0], 6)
    found = [cohens_d(row[:6], row[6:]).estimate for row in samples]
    assert np.mean(found) == pytest.approx(0.8, abs=0.045)


def test_large_samples_use_the_normal_interval_without_a_jump() -> None:
    """At 2,000 and 2,002 observations the half-widths differ by less than one percent."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.4, 1.0, size=1001), rng.normal(size=1001)
    exact, normal = cohens_d(a[:1000], b[:1000]), cohens_d(a, b)
    assert normal.high - normal.low == pytest.approx(exact.high - exact.low, rel=0.01)


@pytest.mark.parametrize("integers", [False, True])
def test_cliffs_delta_is_the_brute_force_one(integers: bool) -> None:
    """Estimate and unbiased variance from the full matrix of comparisons, with and without ties."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.3, 1.0, size=25) * 2, rng.normal(size=35) * 2
    if integers:
        a, b = np.rint(a), np.rint(b)
    signs = np.sign(a[:, None] - b[None, :])
    d, m, k = signs.mean(), 25, 35
    rows, columns = signs.mean(axis=1) - d, signs.mean(axis=0) - d
    cells = ((signs - d) ** 2).sum()
    variance = (k**2 * (rows**2).sum() + m**2 * (columns**2).sum() - cells) / (m * k * (m - 1) * (k - 1))
    z = stats.norm.isf(0.025)
    root = z * math.sqrt(variance * ((1 - d**2) ** 2 + z**2 * variance))
    found = cliffs_delta(a, b)
    assert found.estimate == pytest.approx(d)
    assert found.statistic == pytest.approx(d / math.sqrt(variance))
    assert found.low == pytest.approx((d - d**3 - root) / (1 - d**2 + z**2 * variance))
    assert found.high == pytest.approx((d - d**3 + root) / (1 - d**2 + z**2 * variance))
    swapped = cliffs_delta(b, a)
    assert (swapped.estimate, swapped.low) == pytest.approx((-found.estimate, -found.high))


def test_cliffs_delta_covers_the_truth() -> None:
    """Of 1,500 intervals for exponential arms, where delta is (r - 1) / (r + 1), 95 % hold it."""
    rng = np.random.default_rng(6)
    a, b = 2.0 * rng.exponential(size=(1500, 40)), rng.exponential(size=(1500, 40))
    found = [cliffs_delta(x, y) for x, y in zip(a, b, strict=True)]
    covered = np.mean([interval.low <= 1 / 3 <= interval.high for interval in found])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_arms_that_do_not_overlap_keep_an_interval() -> None:
    """Complete dominance of a few values is not certainty, and more values say more."""
    few, many = cliffs_delta([3.0, 4.0, 5.0], [0.0, 1.0, 2.0]), cliffs_delta(np.arange(50.0) + 60, np.arange(50.0))
    assert few.estimate == few.high == 1.0
    assert few.low < many.low < 1.0
    assert cliffs_delta(np.arange(50.0), np.arange(50.0) + 60).high == pytest.approx(-many.low)


def test_inflation_widens(arms: tuple[np.ndarray, np.ndarray]) -> None:
    """Four dependent observations worth one double the standard error."""
    plain, inflated = cliffs_delta(*arms), cliffs_delta(*arms, inflation=4.0)
    assert inflated.statistic == pytest.approx(plain.statistic / 2)
    assert inflated.low < plain.low < plain.high < inflated.high


@pytest.mark.parametrize("n", [0, 1, 5])
def test_nothing_to_measure(n: int) -> None:
    """Short or constant arms have no effect size in standard deviations; equal ones have no dominance."""
    assert math.isnan(cohens_d(np.ones(n), np.ones(n)).estimate)
    delta = cliffs_delta(np.ones(n), np.ones(n))
    assert math.isnan(delta.estimate) if n < 2 else delta.estimate == 0.0
    assert not delta.p_value < 0.9


def test_bad_inflation_is_named(arms: tuple[np.ndarray, np.ndarray]) -> None:
    """Dependence cannot be below independence here."""
    with pytest.raises(DataError, match=r"inflation=0\.5 is not allowed"):
        cliffs_delta(*arms, inflation=0.5)
