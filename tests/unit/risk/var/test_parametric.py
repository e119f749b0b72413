"""Closed forms against numerical integrals, fits against scipy and against samples of known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from risk.var.cornish_fisher import CornishFisher, fit_cornish_fisher, in_domain
from risk.var.historical import historical
from risk.var.monte_carlo import Drawn, portfolio_normal
from risk.var.parametric import Normal, StudentT, fit_student_t, normal_tail, student_tail
from trader.core.errors import DataError


@pytest.mark.parametrize("level", [0.9, 0.99, 0.999])
def test_normal(level: float) -> None:
    """The shortfall is the integral of the quantiles beyond the level."""
    integral = integrate.quad(stats.norm.ppf, level, 1.0, epsabs=1e-12)[0] / (1 - level)
    assert normal_tail(level) == pytest.approx((stats.norm.ppf(level), integral), rel=1e-6)


@pytest.mark.parametrize("df", [1.5, 3.0, 8.0, 200.0])
def test_student_t(df: float) -> None:
    """The same for a t; and the published .99 shortfall of a t with 4 degrees, 5.2206 (McNeil, Frey, Embrechts)."""
    expected = stats.t.expect(lambda x: x, (df,), lb=stats.t.ppf(0.99, df), conditional=True, limit=500)
    assert student_tail(0.99, df)[1] == pytest.approx(expected, rel=1e-4)
    assert student_tail(0.99, 4.0)[1] == pytest.approx(5.2206, abs=1e-4)


def test_a_t_with_many_degrees_is_normal() -> None:
    """The limit."""
    assert student_tail(0.99, 1e6) == pytest.approx(normal_tail(0.99), rel=1e-5)


@pytest.mark.parametrize("df", [2.5, 4.0, 12.0])
def test_t_fit_agrees_with_scipy(df: float) -> None:
    """scipy's generic maximiser reaches no higher likelihood."""
    returns = np.random.default_rng(int(df * 2)).standard_t(df, 800) * 0.01 + 0.001
    found = fit_student_t(returns)
    theirs = stats.t.fit(returns)
    ours = stats.t.logpdf(returns, found.df, found.location, found.scale).sum()
    assert ours >= stats.t.logpdf(returns, *theirs).sum() - 1e-4
    assert (found.df, found.location, found.scale) == pytest.approx(theirs, rel=2e-2, abs=1e-5)


@pytest.mark.parametrize("seed", range(15))
def test_the_fit_is_a_maximum(seed: int) -> None:
    """From 10 to 1,000 periods, tails without a variance to none, skewed or not: no general optimiser does better."""
    rng = np.random.default_rng(seed)
    n, df = (10, 20, 60, 250, 1000)[seed % 5], (1.3, 2.0, 3.0, 5.0, 20.0, 1e6)[seed % 6]
    returns = rng.standard_t(df, n) * 0.01 + (rng.random(n) < 0.5 * (seed % 4 == 3)) * 0.01
    found = fit_student_t(returns)

    def lack(p: np.ndarray) -> float:
        df = np.clip(np.exp(p[2]), 1.05, 500.0)
        return -float(stats.t.logpdf(returns, df, p[0], np.exp(p[1])).mean())

    best = np.array([found.location, math.log(found.scale), math.log(found.df)])
    away = np.array([0.002, 0.3, -0.4])
    theirs = min(optimize.minimize(lack, start, method="Nelder-Mead").fun for start in (best, best + away, best - away))
    assert lack(best) <= theirs + 1e-6
    assert "did not converge" not in str(found.warnings)


def test_normal_returns_fit_a_t_that_is_nearly_normal() -> None:
    """No excess kurtosis: the degrees of freedom run up to where they no longer matter."""
    returns = stats.norm.ppf((np.arange(2000) + 0.5) / 2000) * 0.01
    found = fit_student_t(returns)
    assert found.df > 50
    assert found.var_es(0.99) == pytest.approx(Normal(0.0, float(returns.std())).var_es(0.99), rel=0.02)


def test_infinite_variance_is_told() -> None:
    """Fewer than two degrees of freedom."""
    assert "variance is infinite" in StudentT(0.0, 0.01, 1.8).warnings[0]
    assert StudentT(0.0, 0.01, 2.2).warnings == ()


@pytest.mark.parametrize(("s", "k"), [(0.0, 0.0), (-0.5, 1.5), (0.4, 3.0), (-0.2, 0.5)])
def test_cornish_fisher_shortfall_is_the_integral(s: float, k: float) -> None:
    """Quadrature of the expansion over the tail; without skewness and kurtosis it is the normal."""
    found = CornishFisher(0.001, 0.01, s, k)

    def quantile(p: float) -> float:
        z = stats.norm.ppf(p)
        w = z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36
        return 0.001 + 0.01 * float(w)

    integral = integrate.quad(quantile, 0.0, 0.01, epsabs=1e-12)[0] / 0.01
    assert found.var_es(0.99) == pytest.approx((-quantile(0.01), -integral), rel=1e-5)
    if s == k == 0.0:
        assert found.var_es(0.99) == pytest.approx(Normal(0.001, 0.01).var_es(0.99))


@pytest.mark.parametrize("s", np.linspace(-3.0, 3.0, 13))
@pytest.mark.parametrize("k", np.linspace(-1.0, 10.0, 12))
def test_domain_is_where_the_expansion_rises(s: float, k: float) -> None:
    """Maillard's condition against the expansion itself on a wide grid."""
    z = np.linspace(-60, 60, 60_001)
    slope = 1 + s * z / 3 + (3 * z**2 - 3) * k / 24 - (6 * z**2 - 5) * s**2 / 36
    assert in_domain(float(s), float(k)) == bool((slope >= 0).all())


def test_domain_ends_where_maillard_says() -> None:
    """No kurtosis allows a skewness beyond ``6 (√2 − 1)``."""
    edge = 6 * (math.sqrt(2) - 1)
    kurtoses = np.linspace(0, 40, 4001)
    assert any(in_domain(edge - 0.01, float(k)) for k in kurtoses)
    assert not any(in_domain(edge + 0.01, float(k)) for k in kurtoses)


def test_moments_are_those_of_scipy() -> None:
    """Skewness and excess kurtosis, biased as the expansion has them."""
    returns = np.random.default_rng(3).gamma(3.0, 0.01, 400)
    found = fit_cornish_fisher(returns)
    assert (found.skewness, found.excess_kurtosis) == pytest.approx((stats.skew(returns), stats.kurtosis(returns)))
    assert "outside the domain" in fit_cornish_fisher(np.append(returns, -1.0)).warnings[0]


@pytest.mark.parametrize("fit", [fit_student_t, fit_cornish_fisher])
def test_returns_that_do_not_vary_are_refused(fit: object) -> None:
    """Nothing can be fitted."""
    with pytest.raises(DataError, match="do not vary"):
        fit(np.full(50, 0.01))  # type: ignore[operator]


def test_draws_reach_the_closed_form() -> None:
    """A million draws of a normal and a t: VaR and ES within 1 %."""
    for base in (Normal(0.0005, 0.01), StudentT(0.0005, 0.01, 5.0)):
        found = Drawn(base, 1_000_000, 3).var_es(0.99)
        assert found == pytest.approx(base.var_es(0.99), rel=0.01)
        assert found == Drawn(base, 1_000_000, 3).var_es(0.99)


def test_the_portfolio_is_normal_along_its_weights() -> None:
    """Assets drawn jointly give what the one-dimensional draw gives."""
    covariance = np.array([[4.0, 1.0], [1.0, 2.0]]) * 1e-4
    weights, means = np.array([0.7, -0.4]), np.array([0.001, 0.0])
    joint = np.random.default_rng(1).multivariate_normal(means, covariance, 500_000) @ weights
    assert portfolio_normal(weights, means, covariance).var_es(0.99) == pytest.approx(historical(joint), rel=0.01)


def test_too_few_draws_are_refused() -> None:
    """A level that next to no draw lies beyond."""
    with pytest.raises(DataError, match=r"n_paths=1000 .* 10000 or more"):
        Drawn(Normal(0.0, 0.01), 1000).var_es(0.999)
