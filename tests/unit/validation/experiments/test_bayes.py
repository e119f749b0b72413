"""Posteriors against textbook forms, sampling and calibration."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from trader.core.errors import DataError
from trader.validation.experiments import (
    NormalPrior,
    StudentPosterior,
    compare_posteriors,
    posterior_of_mean,
    variance_inflation,
)


def test_a_weak_prior_gives_the_t_test() -> None:
    """Half the two-sided p-value is the probability of the other sign, but for n degrees of freedom, not n - 1."""
    values = np.random.default_rng(0).normal(0.1, 1.0, size=200)
    below = 1.0 - posterior_of_mean(values).probability_above()
    assert below == pytest.approx(stats.ttest_1samp(values, 0.0).pvalue / 2, rel=0.03)


def test_conjugate_update_is_a_grid_integration() -> None:
    """Prior times likelihood over the variance, integrated numerically."""
    values, prior = np.array([1.0, 2.5, 0.5, 2.0]), NormalPrior(0.5, 2.0, 3.0, 1.5)
    found = posterior_of_mean(values, prior)
    means, deviations = np.linspace(-6.0, 8.0, 561), np.exp(np.linspace(-3.0, 3.0, 400))[:, None]
    density = stats.norm.pdf(means, 0.5, deviations / math.sqrt(2.0))
    # The last factor is the change from variance to the logarithm of the deviation.
    density *= stats.invgamma.pdf(deviations**2, 3.0, scale=1.5) * deviations**2
    for value in values:
        density *= stats.norm.pdf(value, means, deviations)
    density = density.sum(axis=0) / density.sum()
    assert found.location == pytest.approx(density @ means, abs=1e-4)
    at = int(np.argmin(np.abs(means - 1.5)))
    assert found.probability_above(1.5) == pytest.approx(density[at + 1 :].sum() + density[at] / 2, abs=1e-3)


def test_shortfall_is_its_integral() -> None:
    """The mean of what lies below a value."""
    posterior = StudentPosterior(0.3, 0.7, 5.0)
    expected = integrate.quad(lambda x: (0.1 - x) * stats.t.pdf((x - 0.3) / 0.7, 5.0) / 0.7, -200, 0.1)[0]
    assert posterior.expected_shortfall_below(0.1) == pytest.approx(expected, rel=1e-4)
    assert StudentPosterior(0.0, 1.0, 1.0).expected_shortfall_below() == math.inf


def test_interval_is_scipys() -> None:
    """Central, of the level asked for."""
    assert StudentPosterior(0.3, 0.7, 5.0).interval(0.9) == pytest.approx(stats.t.interval(0.9, 5.0, 0.3, 0.7))


def test_comparison_is_what_samples_give() -> None:
    """Probability, loss and gain within the error of 400,000 draws."""
    a, b = StudentPosterior(1.0, 0.5, 4.0), StudentPosterior(0.5, 1.0, 8.0)
    rng = np.random.default_rng(1)
    difference = 1.0 + 0.5 * rng.standard_t(4, 400_000) - 0.5 - rng.standard_t(8, 400_000)
    found = compare_posteriors(a, b)
    assert found.probability == pytest.approx((difference > 0).mean(), abs=3e-3)
    assert found.expected_loss == pytest.approx(np.maximum(-difference, 0).mean(), abs=4e-3)
    assert found.expected_gain == pytest.approx(np.maximum(difference, 0).mean(), abs=4e-3)
    assert compare_posteriors(b, a).probability == pytest.approx(1.0 - found.probability, abs=1e-5)


def test_calibration_needs_the_inflation(autoregression: Callable[..., np.ndarray]) -> None:
    """95 % intervals on AR(.6) miss zero a third of the time; with the inflation, less than 10 %."""
    x = autoregression(600, 500, seed=3)
    naive = [posterior_of_mean(row).interval() for row in x]
    aware = [posterior_of_mean(row, inflation=variance_inflation(row)).interval() for row in x]
    assert np.mean([low > 0 or high < 0 for low, high in naive]) > 0.25
    assert np.mean([low > 0 or high < 0 for low, high in aware]) < 0.11


def test_no_data_is_no_posterior() -> None:
    """A flat prior has nothing to say."""
    with pytest.raises(DataError, match="values has 1 observations; it must have at least 2"):
        posterior_of_mean([1.0])
    with pytest.raises(DataError, match="inflation=0"):
        posterior_of_mean([1.0, 2.0], inflation=0)
    with pytest.raises(DataError, match="strength=0"):
        posterior_of_mean([1.0, 2.0], NormalPrior(strength=0))
