"""Exposures, concentration, factors and liquidity against closed forms and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from skfolio.measures import effective_number_assets

from risk.exposure.concentration import concentration, effective_bets, herfindahl
from risk.exposure.factors import factor_exposure
from risk.exposure.holdings import UNGROUPED, exposure, exposure_by_group
from risk.exposure.liquidity import liquidity
from risk.panel import ReturnPanel
from trader.core.errors import DataError

WEIGHTS = st_numpy.arrays(np.float64, st.integers(1, 8), elements=st.floats(-2, 2, width=32))


@given(WEIGHTS)
def test_exposures_add_up(weights: np.ndarray) -> None:
    """Long and short make gross and net; groups make the whole."""
    whole = exposure(weights)
    assert whole.gross == pytest.approx(np.abs(weights).sum())
    assert whole.net == pytest.approx(weights.sum(), abs=1e-12)
    names = [str(i) for i in range(len(weights))]
    parts = exposure_by_group(weights, names, dict.fromkeys(names[1::2], "odd"))
    assert sum(part.gross for part in parts.values()) == pytest.approx(whole.gross)
    assert sum(part.net for part in parts.values()) == pytest.approx(whole.net, abs=1e-12)
    assert set(parts) <= {"odd", UNGROUPED}
    grosses = [part.gross for part in parts.values()]
    assert grosses == sorted(grosses, reverse=True)


def test_concentration_of_known_portfolios() -> None:
    """Equal weights of independent assets are n bets; a pair that moves as one is one."""
    n = 5
    found = concentration(np.full(n, 1 / n), np.eye(n))
    assert found.effective_names == pytest.approx(n)
    assert found.diversification_ratio == pytest.approx(np.sqrt(n))
    assert effective_bets(np.full(n, 1 / n), np.diag(np.arange(1.0, n + 1))) < n
    one = concentration(np.array([0.5, 0.5]), np.ones((2, 2)))
    assert one.diversification_ratio == pytest.approx(1.0)
    assert one.effective_bets == pytest.approx(1.0)
    hedged = concentration(np.array([0.5, -0.5]), np.ones((2, 2)))
    assert np.isnan(hedged.effective_bets)
    assert herfindahl(np.zeros(3)) == 0.0
    weights = np.array([0.5, 0.3, 0.2])
    assert 1 / herfindahl(weights) == pytest.approx(float(effective_number_assets(weights)))
    with pytest.raises(DataError, match=r"covariance has shape \(2, 2\)"):
        concentration(weights, np.eye(2))


def test_factors_agree_with_statsmodels() -> None:
    """Loadings, t statistics and R² of its least squares, on the days that both have."""
    rng = np.random.default_rng(0)
    stamps = np.datetime64("2020-01-01") + np.arange(300)
    x = rng.standard_t(4, (300, 2)) * 0.01
    y = x @ np.array([[1.2, 0.3, 0.0], [0.0, -0.5, 0.8]]) + rng.normal(0, 0.01, (300, 3)) + 0.001
    panel = ReturnPanel.of(["A", "B", "C"], y[50:], stamps[50:] + np.timedelta64(16, "h"))
    factors = ReturnPanel.of(["market", "value"], x[:250], stamps[:250])
    weights = np.array([0.5, 0.3, 0.2])
    found = factor_exposure(panel, weights, factors)
    assert found.n_observations == 200
    design = sm.add_constant(x[50:250])
    fit = sm.OLS(y[50:250] @ weights, design).fit()
    np.testing.assert_allclose(found.portfolio, fit.params[1:], rtol=1e-9)
    np.testing.assert_allclose(found.t_statistic, fit.tvalues[1:], rtol=1e-9)
    assert found.factor_share == pytest.approx(fit.rsquared, rel=1e-9)
    assert found.contribution.sum() == pytest.approx(found.factor_share)
    np.testing.assert_allclose(found.loadings.T @ weights, found.portfolio, rtol=1e-9)
    each = sm.OLS(y[50:250, 1], design).fit()
    np.testing.assert_allclose(found.loadings[1], each.params[1:], rtol=1e-9)
    assert found.r_squared[1] == pytest.approx(each.rsquared)


def test_factors_that_cannot_be_used() -> None:
    """Too few common days, or one that is the double of another."""
    rng = np.random.default_rng(1)
    panel = ReturnPanel.of(["A"], rng.normal(size=(40, 1)) * 0.01)
    short = ReturnPanel.of(["m"], rng.normal(size=(5, 1)) * 0.01)
    with pytest.raises(DataError, match="share 5 days with the returns; at least 11"):
        factor_exposure(panel, np.ones(1), short)
    market = rng.normal(size=(40, 1)) * 0.01
    with pytest.raises(DataError, match="m, n depend on each other"):
        factor_exposure(panel, np.ones(1), ReturnPanel.of(["m", "n"], np.hstack([market, 2 * market])))


def test_liquidity_limits() -> None:
    """What is not traded is never sold; what is not held takes no time; a share is a share."""
    found = liquidity(np.array([1e6, 0.0]), np.array([np.nan, 0.0]))
    assert found.longest == np.inf
    assert found.sold_by[20.0] == 0.0
    assert liquidity(np.zeros(2), np.ones(2)).longest == 0.0
    with pytest.raises(DataError, match="participation=0"):
        liquidity(np.ones(1), np.ones(1), participation=0.0)
    with pytest.raises(DataError, match="daily_value holds -1"):
        liquidity(np.ones(1), -np.ones(1))
