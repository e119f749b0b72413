"""Confidence sequences and mixture tests against integrals, each other and simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from trader.core.errors import DataError
from trader.validation.experiments import (
    StreamingMoments,
    confidence_sequence,
    mixture_variance,
    msprt_p_values,
    t_mixture_evidence,
    t_mixture_radius,
)


def _running(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = np.arange(1, x.shape[-1] + 1)
    mean = np.cumsum(x, axis=-1) / n
    return n, mean, np.cumsum(x**2, axis=-1) / n - mean**2


def test_mixture_variance_makes_the_interval_narrowest_where_planned() -> None:
    """No other plan has a narrower interval at 500, to the accuracy of the published approximation."""
    at_500 = {
        planned: float(np.diff(confidence_sequence(500, 0.0, 1.0, planned=planned), axis=0)[0])
        for planned in (100, 250, 500, 1000, 3000)
    }
    assert min(at_500, key=at_500.__getitem__) == 500


def test_msprt_is_the_mixture_of_likelihood_ratios() -> None:
    """Integrated numerically over a normal prior of the mean."""
    rho, n, mean = mixture_variance(100), 40, 0.35

    def mixed(theta: float) -> float:
        return math.exp(n * (theta * mean - theta**2 / 2)) * stats.norm.pdf(theta, scale=math.sqrt(rho))

    evidence = integrate.quad(mixed, -4, 4)[0]
    assert msprt_p_values([n], [mean], [1.0], planned=100)[0] == pytest.approx(1 / evidence)


def test_t_evidence_is_the_ratio_of_t_densities() -> None:
    """Under the mixture, t over the root of 1 + n g is Student's again."""
    n, t, g = 25, 2.8, 0.2
    growth = math.sqrt(1 + n * g)
    expected = stats.t.logpdf(t / growth, n - 1) - math.log(growth) - stats.t.logpdf(t, n - 1)
    assert t_mixture_evidence([n], [t], g)[0] == pytest.approx(expected)


def test_t_radius_inverts_the_evidence() -> None:
    """At the radius the Bayes factor is 1 / alpha; with many observations it is the normal sequence's."""
    n = np.array([30, 100, 1000])
    radius = t_mixture_radius(n, 0.3, 0.01)
    assert t_mixture_evidence(n, radius, 0.3) == pytest.approx(math.log(100))
    low, high = confidence_sequence(100_000, 0.0, 1.0, planned=1000)
    wide = t_mixture_radius(100_000, mixture_variance(1000))
    assert wide / math.sqrt(100_000) == pytest.approx((high - low) / 2, rel=1e-3)


def test_t_evidence_holds_from_the_second_observation() -> None:
    """Watched from n=2 on normal data of unknown variance, at most 5 % of 4,000 paths ever cross."""
    x = np.random.default_rng(0).normal(size=(4000, 400)) * 7
    n, mean, variance = _running(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / np.sqrt(variance / (n - 1))
    crossed = (np.abs(t[:, 1:]) > t_mixture_radius(n[1:], mixture_variance(400))).any(axis=1)
    assert 0.01 < crossed.mean() <= 0.05


def test_p_value_and_interval_agree_at_every_look() -> None:
    """Below alpha exactly from the first interval that leaves out the null."""
    n, mean, variance = _running(np.random.default_rng(3).normal(0.2, 1.0, size=600))
    n, mean, variance = n[20:], mean[20:], variance[20:]
    low, high = confidence_sequence(n, mean, variance, planned=300)
    outside = np.maximum.accumulate((low > 0.05) | (high < 0.05))
    p_values = msprt_p_values(n, mean, variance, planned=300, null=0.05)
    assert outside.any()
    assert not outside.all()
    assert np.array_equal(p_values < 0.05, outside)
    assert (np.diff(p_values) <= 0.0).all()


def test_independent_heavy_tails_hold_and_dependence_breaks_the_plain_variance(
    autoregression: Callable[..., np.ndarray],
) -> None:
    """Ever wrong up to n=1000: at most 5 % for independent values, most of the time for AR(.6)."""
    rates = {}
    for phi in (0.0, 0.6):
        n, mean, variance = _running(autoregression(600, 1000, phi, seed=8))
        low, high = confidence_sequence(n[29:], mean[:, 29:], variance[:, 29:], planned=1000)
        rates[phi] = ((low > 0) | (high < 0)).any(axis=1).mean()
    assert rates[0.0] <= 0.05
    assert rates[0.6] > 0.25


def test_long_run_variance_repairs_the_sequence(autoregression: Callable[..., np.ndarray]) -> None:
    """With the streaming long-run variance, looked at every 80 from 240 on, the rate on AR(.6) is below 5 %."""
    wrong = 0
    for row in autoregression(150, 1200, seed=9):
        moments, looks = StreamingMoments(), []
        moments.add(row[:160])
        for start in range(160, 1200, 80):
            moments.add(row[start : start + 80])
            looks.append((moments.n, moments.mean, moments.long_run_variance))
        low, high = confidence_sequence(*np.array(looks).T, planned=1200)
        wrong += bool(((low > 0) | (high < 0)).any())
    assert wrong / 150 <= 0.05


def test_unknown_variance_is_no_evidence() -> None:
    """A NaN or zero variance leaves the p-value where it was and the interval undefined."""
    p_values = msprt_p_values([5, 6, 7], [3.0, 3.0, 3.0], [math.nan, 0.0, 1.0], planned=10)
    assert p_values[:2].tolist() == [1.0, 1.0]
    assert p_values[2] < 0.01
    assert math.isnan(confidence_sequence(5, 1.0, math.nan, planned=10)[0])


def test_bad_input_is_named() -> None:
    """The argument, its value and what is allowed."""
    with pytest.raises(DataError, match="planned=0 is not allowed"):
        mixture_variance(0)
    with pytest.raises(DataError, match="alpha=1 is not allowed"):
        t_mixture_radius(5, 0.1, 1)
