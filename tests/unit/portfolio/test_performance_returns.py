"""Drawdowns and plain statistics of returns, against hand computation, pandas and skfolio."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from trader.portfolio.drawdown import drawdown_series, max_drawdown
from trader.portfolio.returns import (
    annual_return,
    annual_volatility,
    day_returns,
    moments,
    period_returns,
    rolling_sharpe,
    sortino_ratio,
)

DAY = 86_400 * 10**9


def stamps(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64) * DAY


@pytest.fixture(scope="module")
def returns() -> np.ndarray:
    return np.random.default_rng(3).standard_t(4, 750) * 0.01


@pytest.fixture(scope="module")
def equity(returns: np.ndarray) -> np.ndarray:
    return 1000.0 * np.cumprod(np.concatenate(([1.0], 1.0 + returns)))


def test_returns_equal_pandas(equity: np.ndarray) -> None:
    """Period returns are pandas' percentage changes."""
    np.testing.assert_allclose(period_returns(equity), pd.Series(equity).pct_change().dropna(), rtol=1e-12)


def test_ruin_ends_the_returns() -> None:
    """The period of ruin returns -1, and nothing after it counts."""
    np.testing.assert_allclose(period_returns(np.array([100.0, 50.0, -20.0, 40.0])), [-0.5, -1.0])


def test_growth_of_a_known_year() -> None:
    """Twelve months of one per cent compound to 12.68 per cent a year, and so do twenty-four."""
    for n in (12, 24):
        assert annual_return(np.full(n, 0.01), 12.0) == pytest.approx(1.01**12 - 1.0, rel=1e-12)


def test_growth_after_ruin_is_total_loss() -> None:
    """A return of -1 makes the annual return -1."""
    assert annual_return(np.array([0.1, -1.0]), 252.0) == -1.0


def test_no_returns_have_no_growth() -> None:
    """Without returns growth and volatility are not defined."""
    assert math.isnan(annual_return(np.empty(0), 252.0))
    assert math.isnan(annual_volatility(np.array([0.1]), 252.0))


def test_volatility_and_downside_agree_with_skfolio(returns: np.ndarray) -> None:
    """Volatility is skfolio's standard deviation, the Sortino denominator its biased semi-deviation around 0."""
    from skfolio import measures

    assert annual_volatility(returns, 252.0) == pytest.approx(measures.standard_deviation(returns) * math.sqrt(252))
    downside = measures.semi_deviation(returns, min_acceptable_return=0.0, biased=True)
    assert sortino_ratio(returns, 252.0) == pytest.approx(returns.mean() / downside * math.sqrt(252), rel=1e-9)


def test_sortino_without_a_loss_is_undefined() -> None:
    """No loss leaves no downside to divide by."""
    assert math.isnan(sortino_ratio(np.array([0.01, 0.02]), 252.0))


def test_moments_equal_skfolio(returns: np.ndarray) -> None:
    """Skewness and kurtosis are skfolio's, less 3."""
    from skfolio import measures

    assert moments(returns) == pytest.approx((measures.skew(returns), measures.kurtosis(returns) - 3.0), rel=1e-9)


def test_constant_returns_have_no_shape() -> None:
    """Equal returns have neither skewness nor kurtosis."""
    assert all(math.isnan(m) for m in moments(np.full(50, 0.1)))


def test_drawdown_equals_skfolio(returns: np.ndarray, equity: np.ndarray) -> None:
    """The deepest compounded drawdown is skfolio's."""
    from skfolio import measures

    expected = measures.max_drawdown(measures.get_drawdowns(returns, compounded=True))
    # skfolio's curve starts after the first return; a start at its peak makes both the same.
    assert max_drawdown(stamps(equity.size), equity).depth == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(drawdown_series(equity), 1.0 - equity / pd.Series(equity).cummax(), atol=1e-12)


def test_drawdown_dates_by_hand() -> None:
    """Peak, trough and recovery are the days one reads off the curve; a plateau belongs to the peak."""
    equity = np.array([100.0, 120.0, 120.0, 90.0, 110.0, 120.0, 115.0])
    found = max_drawdown(stamps(7), equity)
    assert found.depth == pytest.approx(0.25)
    assert (found.peak_ns, found.trough_ns, found.recovery_ns) == (2 * DAY, 3 * DAY, 5 * DAY)
    assert found.longest_days == 3.0


def test_unrecovered_drawdown_counts_to_the_end() -> None:
    """A drawdown without recovery says so, and is under water until the last instant."""
    found = max_drawdown(stamps(5), np.array([100.0, 80.0, 85.0, 90.0, 95.0]))
    assert found.recovery_ns is None
    assert found.longest_days == 4.0


def test_rising_equity_has_no_drawdown() -> None:
    """Equity that never falls has depth 0 and no dates."""
    found = max_drawdown(stamps(4), np.array([1.0, 2.0, 2.0, 3.0]))
    assert (found.depth, found.peak_ns, found.trough_ns, found.recovery_ns) == (0.0, None, None, None)
    assert found.longest_days == 0.0


def test_day_returns_take_the_last_equity_of_each_day() -> None:
    """Intraday instants collapse to days, the first of which counts from the opening equity."""
    ts_ns = np.array([10, 20, DAY + 5, DAY + 6, 3 * DAY]) + 5 * DAY
    days, returns = day_returns(ts_ns, np.array([100.0, 110.0, 99.0, 121.0, 121.0]))
    np.testing.assert_allclose(returns, [0.1, 0.1, 0.0])
    assert days.tolist() == [5 * DAY, 6 * DAY, 8 * DAY]


def test_daily_instants_are_their_own_days(equity: np.ndarray) -> None:
    """With one instant a day the returns of days are those of periods."""
    np.testing.assert_array_equal(day_returns(stamps(equity.size), equity)[1], period_returns(equity))


def test_rolling_sharpe_equals_pandas(returns: np.ndarray) -> None:
    """The rolling ratio is pandas' rolling mean over rolling deviation."""
    rolling = pd.Series(returns).rolling(60)
    expected = rolling.mean() / rolling.std() * math.sqrt(252)
    np.testing.assert_allclose(rolling_sharpe(returns, 60, 252.0), expected, rtol=1e-9)
    assert np.isnan(rolling_sharpe(returns[:10], 60, 252.0)).all()
