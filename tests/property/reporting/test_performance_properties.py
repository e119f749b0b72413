"""What holds of every run: figures that do not depend on the unit of money, and books that balance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trader.core.orders import FillBatch
from trader.portfolio.benchmarks import buy_and_hold
from trader.portfolio.drawdown import drawdown_series, max_drawdown
from trader.portfolio.performance import performance
from trader.portfolio.trading import pnl_by_symbol
from trader.reporting.theme import thin

Row = tuple[int, int, float, float, float]

DAY = 86_400 * 10**9
returns_lists = st.lists(st.floats(-0.5, 0.5, allow_subnormal=False), min_size=1, max_size=60)


def curve(returns: list[float], capital: float) -> np.ndarray:
    return capital * np.cumprod(np.concatenate(([1.0], 1.0 + np.asarray(returns))))


@settings(max_examples=40, deadline=None)
@given(returns_lists, st.floats(1e-3, 1e9))
def test_ratios_do_not_depend_on_the_currency(returns: list[float], factor: float) -> None:
    """Scaling all money by a factor changes amounts, and nothing else."""
    ts_ns = np.arange(len(returns) + 1, dtype=np.int64) * DAY
    flat = np.zeros((ts_ns.size, 1))
    one, other = (
        performance(ts_ns, curve(returns, capital), positions=flat, prices=flat, fills=FillBatch.empty(), n_resamples=5)
        for capital in (1.0, factor)
    )
    names = ("total_return", "annual_return", "annual_volatility", "sortino", "calmar", "best_day", "hit_rate_days")
    for name in names:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6, abs=1e-9, nan_ok=True)
    assert one.drawdown.depth == pytest.approx(other.drawdown.depth, rel=1e-6, abs=1e-9)
    assert other.pnl == pytest.approx(one.pnl * factor, rel=1e-6, abs=1e-9 * factor)


@settings(max_examples=40, deadline=None)
@given(returns_lists)
def test_drawdown_is_zero_exactly_at_new_highs(returns: list[float]) -> None:
    """The drawdown of positive equity is in [0, 1), and 0 where equity is at its highest so far."""
    equity = curve(returns, 100.0)
    series = drawdown_series(equity)
    assert ((series >= 0.0) & (series < 1.0)).all()
    np.testing.assert_array_equal(series == 0.0, equity == np.maximum.accumulate(equity))
    assert max_drawdown(np.arange(equity.size) * DAY, equity).depth == series.max()


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 12), st.integers(1, 5)), elements=st.floats(1.0, 100.0)),
    st.floats(0.0, 0.01),
)
def test_buying_and_holding_earns_the_mean_price_ratio(prices: np.ndarray, cost_rate: float) -> None:
    """Where every price is known, the benchmark is the mean of price ratios, less the cost of entry."""
    expected = 100.0 * (prices[1:] / prices[1]).mean(axis=1) / (1.0 + cost_rate)
    found = buy_and_hold(prices, 100.0, cost_rate=cost_rate)
    assert found[0] == pytest.approx(100.0)
    np.testing.assert_allclose(found[1:], expected, rtol=1e-9)


amounts = st.floats(0.01, 1e4), st.floats(0.01, 1e3), st.floats(0.0, 50.0)
fill_rows = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([-1, 1]), *amounts), max_size=20)


@settings(max_examples=40, deadline=None)
@given(fill_rows, arrays(np.float64, 4, elements=st.floats(0.01, 1e3)))
def test_contributions_add_up_to_the_profit(rows: list[Row], final: np.ndarray) -> None:
    """The names' contributions are cash received less paid, plus what is held: the whole profit and no more."""
    n = len(rows)
    symbol_id, side, quantity, price, commission = zip(*rows, strict=True) if rows else ([],) * 5
    fills = FillBatch(
        fill_id=np.arange(n),
        order_id=np.arange(n),
        symbol_id=symbol_id,
        side=side,
        quantity=quantity,
        price=price,
        commission=commission,
        spread_cost=np.zeros(n),
        impact_cost=np.zeros(n),
        ts_ns=np.arange(n),
    )
    held = np.zeros(4)
    cash = 0.0
    for name, direction, units, paid, fee in rows:
        held[name] += direction * units
        cash -= direction * units * paid + fee
    scale = 1.0 + sum(units * max(paid, 1e3) for _, _, units, paid, _ in rows)
    assert abs(pnl_by_symbol(fills, held, final).sum() - (cash + held @ final)) <= 1e-12 * scale


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20_000), st.integers(2, 500))
def test_thinning_keeps_the_ends_and_the_bound(n: int, at_most: int) -> None:
    """Rows to draw increase, hold the first and the last, and are at most as many as asked for."""
    rows = thin(n, at_most)
    assert rows.size == min(n, at_most)
    if n:
        assert (rows[0], rows[-1]) == (0, n - 1)
        assert (np.diff(rows) > 0).all()
