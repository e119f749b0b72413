"""Benchmarks and comparisons, against hand computation, the S&P 500 file and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from trader.data.datasets import Benchmark
from trader.portfolio.benchmarks import buy_and_hold, index_equity
from trader.portfolio.comparison import compare
from trader.portfolio.returns import period_returns

DAY = 86_400 * 10**9


def test_buy_and_hold_by_hand() -> None:
    """Half the capital in each name at the second price, less the cost of buying, then left alone."""
    prices = np.array([[10.0, 50.0], [10.0, 40.0], [20.0, 40.0], [20.0, 20.0]])
    curve = buy_and_hold(prices, 1000.0, cost_rate=0.01)
    paid = 500.0 / 1.01
    np.testing.assert_allclose(curve, [1000.0, 2 * paid, 3 * paid, 2.5 * paid], rtol=1e-12)


def test_a_late_name_waits_in_cash_and_a_lost_price_stands() -> None:
    """A name is bought at its first price; a missing price later on reads the last one."""
    prices = np.array([[10.0, np.nan], [10.0, np.nan], [12.0, 5.0], [np.nan, 10.0]])
    np.testing.assert_allclose(buy_and_hold(prices, 100.0, cost_rate=0.0), [100.0, 100.0, 110.0, 160.0])


def test_a_name_without_prices_stays_cash() -> None:
    """Names that never trade neither gain nor cost."""
    prices = np.full((3, 2), np.nan)
    np.testing.assert_array_equal(buy_and_hold(prices, 100.0, cost_rate=0.1), [100.0] * 3)


def test_one_instant_buys_nothing() -> None:
    """With a single instant there is no later price to buy at."""
    assert buy_and_hold(np.array([[10.0]]), 100.0, cost_rate=0.1).tolist() == [100.0]


def test_index_is_read_as_of_each_stamp() -> None:
    """An instant between two closes of the index sees the earlier one."""
    index = Benchmark("index", np.array([0, 2, 4]) * DAY, np.array([50.0, 60.0, 75.0]))
    stamps = np.array([0, 1, 2, 3, 4]) * DAY
    np.testing.assert_allclose(index_equity(index, stamps, 100.0), [100.0, 100.0, 120.0, 120.0, 150.0])


@pytest.mark.parametrize("stamps", [[-1, 0], [3, 12], []])
def test_index_that_does_not_cover_the_run_is_none(stamps: list[int]) -> None:
    """A run before the index's first close, or a week past its last, has no such benchmark."""
    index = Benchmark("index", np.array([0, 2, 4]) * DAY, np.array([50.0, 60.0, 75.0]))
    assert index_equity(index, np.array(stamps, dtype=np.int64) * DAY, 100.0) is None


def test_regression_equals_statsmodels() -> None:
    """Beta, alpha and correlation are those of ordinary least squares."""
    import statsmodels.api as sm

    rng = np.random.default_rng(5)
    bench = rng.normal(0.0004, 0.01, 600)
    returns = 0.0002 + 0.7 * bench + rng.normal(0.0, 0.006, 600)
    fit = sm.OLS(returns, sm.add_constant(bench)).fit()
    found = compare("b", returns, np.cumprod(np.append(1.0, 1.0 + bench)), periods_per_year=252.0, n_resamples=50)
    assert found.beta == pytest.approx(fit.params[1], rel=1e-9)
    assert found.alpha == pytest.approx(fit.params[0] * 252, rel=1e-9)
    assert found.correlation == pytest.approx(math.sqrt(fit.rsquared), rel=1e-9)


def test_active_figures_follow_from_the_difference() -> None:
    """Active return, tracking error and information ratio are those of returns less benchmark returns."""
    rng = np.random.default_rng(6)
    bench, returns = rng.normal(0.0, 0.01, (2, 300))
    found = compare("b", returns, np.cumprod(np.append(1.0, 1.0 + bench)), periods_per_year=252.0, n_resamples=50)
    active = returns - bench
    assert found.active_return == pytest.approx(active.mean() * 252, rel=1e-9)
    assert found.tracking_error == pytest.approx(active.std(ddof=1) * math.sqrt(252), rel=1e-9)
    assert found.information_ratio == pytest.approx(active.mean() / active.std(ddof=1) * math.sqrt(252), rel=1e-9)


def test_a_benchmark_beside_itself_differs_in_nothing() -> None:
    """Beta 1, no active return, no tracking error, an information ratio that is not defined."""
    equity = np.cumprod(1.0 + np.random.default_rng(7).normal(0.0, 0.01, 200))
    found = compare("self", period_returns(equity), equity, periods_per_year=252.0, n_resamples=50)
    assert found.beta == pytest.approx(1.0)
    assert found.active_return_interval == (0.0, 0.0)
    assert found.sharpe_difference_interval == (0.0, 0.0)
    assert math.isnan(found.information_ratio)


def test_interval_of_the_active_return_covers_a_known_mean() -> None:
    """Over 60 simulated pairs the 90 % interval misses the true active return about six times."""
    rng = np.random.default_rng(8)
    missed = 0
    for seed in range(60):
        bench = rng.normal(0.0, 0.01, 250)
        returns = bench + rng.normal(0.001, 0.005, 250)
        curve = np.cumprod(np.append(1.0, 1.0 + bench))
        found = compare("b", returns, curve, periods_per_year=1.0, level=0.9, n_resamples=200, seed=seed)
        low, high = found.active_return_interval
        missed += not low <= 0.001 <= high
    assert 1 <= missed <= 15


def test_still_benchmark_has_no_beta() -> None:
    """Cash as a benchmark: no beta, no Sharpe ratio, and the active return is the strategy's."""
    returns = np.random.default_rng(9).normal(0.001, 0.01, 50)
    found = compare("cash", returns, np.ones(51), periods_per_year=252.0, n_resamples=50)
    assert math.isnan(found.beta)
    assert math.isnan(found.sharpe)
    assert found.active_return == pytest.approx(returns.mean() * 252)


def test_no_returns_leave_everything_undefined() -> None:
    """A run of one instant cannot be compared, and says so by NaN."""
    found = compare("b", np.empty(0), np.array([100.0]), periods_per_year=252.0)
    assert found.total_return == 0.0
    assert math.isnan(found.active_return)
    assert math.isnan(found.sharpe_difference_interval[0])
