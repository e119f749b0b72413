"""The volatility filter against arch, and against simulated markets of known volatility."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from risk.var.distribution import compound, simulate
from risk.var.filtered import GarchFilter, filtered, fit_filter
from risk.var.historical import Empirical, historical
from risk.var.parametric import Normal
from trader.core.errors import DataError

TRUTH = GarchFilter(0.0005, 2e-6, 0.03, 0.10, 0.90, 6.0, np.empty(0), 1e-4)


def _market(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return GJR returns with t innovations of variance 1, and the volatility that made them."""
    z = np.random.default_rng(seed).standard_t(TRUTH.df, n) * np.sqrt((TRUTH.df - 2) / TRUTH.df)
    returns = TRUTH.paths(z[None, :])[0]
    return returns, (returns - TRUTH.mean) / z


@pytest.fixture(scope="module")
def market() -> tuple[np.ndarray, np.ndarray]:
    return _market(4000, 1)


def test_next_variance_is_arch_s_forecast(market: tuple[np.ndarray, np.ndarray]) -> None:
    """The same model fitted and forecast by arch in percent."""
    from arch import arch_model

    returns = market[0][:1500]
    found = fit_filter(returns)
    model = arch_model(returns * 100, mean="Constant", p=1, o=1, q=1, dist="t", rescale=False)
    theirs = model.fit(disp="off", show_warning=False)
    variance = float(theirs.forecast(horizon=1, reindex=False).variance.iloc[-1, 0]) * 1e-4
    assert found.next_variance == pytest.approx(variance, rel=5e-3)
    assert found.residuals == pytest.approx(np.asarray(theirs.std_resid), abs=0.02)


def test_the_truth_is_found(market: tuple[np.ndarray, np.ndarray]) -> None:
    """Parameters of a simulated market, and its volatility on the last day."""
    returns, volatility = market
    found = fit_filter(returns)
    assert found.beta == pytest.approx(TRUTH.beta, abs=0.03)
    assert found.gamma == pytest.approx(TRUTH.gamma, abs=0.05)
    assert found.df == pytest.approx(TRUTH.df, rel=0.25)
    implied = (returns - found.mean) / found.residuals
    assert np.corrcoef(implied[100:], volatility[100:])[0, 1] > 0.99


def test_going_on_is_the_recursion(market: tuple[np.ndarray, np.ndarray]) -> None:
    """The linear filter against a loop."""
    later = market[0][:50]
    variance, expected = TRUTH.next_variance, []
    for value in later - TRUTH.mean:
        variance = TRUTH.omega + (TRUTH.alpha + TRUTH.gamma * (value < 0)) * value**2 + TRUTH.beta * variance
        expected.append(variance)
    assert TRUTH.variances_after(later) == pytest.approx(np.array(expected), rel=1e-12)


def test_a_start_changes_nothing_but_the_time(market: tuple[np.ndarray, np.ndarray]) -> None:
    """A search from yesterday's fit, or from a point at the edge of what is allowed, ends where the cold one does."""
    returns = market[0][:1000]
    cold = fit_filter(returns)
    edge = dataclasses.replace(cold, alpha=0.0, gamma=0.0, beta=1.0, df=2.05)
    for start in (cold, edge):
        warm = fit_filter(returns, start=start)
        assert warm.next_variance == pytest.approx(cold.next_variance, rel=0.02)


@pytest.mark.parametrize("innovations", ["t", "historical", "evt"])
def test_figures_scale_with_volatility(market: tuple[np.ndarray, np.ndarray], innovations: str) -> None:
    """A volatility twice as high doubles what is beyond the mean; the truth's quantile is found within 10 %."""
    garch = fit_filter(market[0])
    found = filtered(garch, innovations).var_es(0.99)  # type: ignore[arg-type]
    doubled = filtered(dataclasses.replace(garch, next_variance=4 * garch.next_variance), innovations).var_es(0.99)  # type: ignore[arg-type]
    assert np.array(doubled) + garch.mean == pytest.approx(2 * (np.array(found) + garch.mean))
    unit = np.random.default_rng(0).standard_t(6, 1_000_000) * np.sqrt(4 / 6)
    true_var, true_es = historical(np.sqrt(garch.next_variance) * unit + TRUTH.mean, 0.99)
    assert found == pytest.approx((true_var, true_es), rel=0.1)


def test_simulated_paths_have_the_variance_of_the_model() -> None:
    """The mean variance of a horizon: ``Σ (σ̄² + p^i (σ₁² − σ̄²))`` with p the persistence."""
    calm = dataclasses.replace(TRUTH, mean=0.0, next_variance=4e-4, df=30.0)
    found = filtered(calm, "t")
    paths = found.paths(np.random.default_rng(2), (200_000, 10))
    level = TRUTH.omega / (1 - TRUTH.persistence)
    expected = level + TRUTH.persistence ** np.arange(10) * (4e-4 - level)
    assert paths.var(axis=0) == pytest.approx(expected, rel=0.03)
    assert simulate(found, 10, 1000, 1) == pytest.approx(simulate(found, 10, 1000, 1))


def test_compounding_never_loses_more_than_everything() -> None:
    """A normal draw below −1 is a total loss, not two of them."""
    assert compound(np.array([[-1.5, -1.5], [0.1, 0.1]])) == pytest.approx([-1.0, 0.21])
    assert simulate(Normal(0.0, 0.01), 4, 400_000, 1).std() == pytest.approx(0.02, rel=0.01)
    assert simulate(Empirical(np.array([0.01])), 3, 10)[0] == pytest.approx(1.01**3 - 1)


@pytest.mark.parametrize(("returns", "message"), [(np.zeros(100), "at least 250"), (np.zeros(300), "do not vary")])
def test_what_is_refused(returns: np.ndarray, message: str) -> None:
    """Too short, or flat."""
    with pytest.raises(DataError, match=message):
        fit_filter(returns)
