"""The performance of a run, by hand and at its edges."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.core.orders import FillBatch
from trader.portfolio.performance import Performance, performance
from trader.portfolio.returns import annual_return
from trader.portfolio.trading import cost_breakdown, exposure, holding_values, pnl_by_symbol
from trader.validation.sharpe import deflated_sharpe, probabilistic_sharpe, sharpe_ratio

DAY = 86_400 * 10**9
FILLS = FillBatch(
    fill_id=[1, 2, 3],
    order_id=[1, 2, 3],
    symbol_id=[0, 1, 0],
    side=[1, -1, -1],
    quantity=[10.0, 4.0, 5.0],
    price=[10.0, 50.0, 12.0],
    commission=[1.0, 2.0, 0.5],
    spread_cost=[0.3, 0.2, 0.1],
    impact_cost=[0.1, 0.1, 0.2],
    ts_ns=[DAY, DAY, 2 * DAY],
)


def measure(equity: Any, fills: FillBatch | None = None, **options: Any) -> Performance:
    equity = np.asarray(equity, float)
    options.setdefault("positions", np.zeros((equity.size, 1)))
    options.setdefault("prices", np.ones((equity.size, 1)))
    fills = FillBatch.empty() if fills is None else fills
    return performance(np.arange(equity.size, dtype=np.int64) * DAY, equity, fills=fills, **options)


def test_a_run_by_hand() -> None:
    """Every figure that can be computed on paper has the value it has on paper."""
    result = measure([100.0, 110.0, 99.0, 118.8], periods_per_year=3.0)
    assert result.total_return == pytest.approx(0.188)
    assert result.annual_return == pytest.approx(0.188)
    assert result.pnl == pytest.approx(18.8)
    assert result.annual_volatility == pytest.approx(np.std([0.1, -0.1, 0.2], ddof=1) * math.sqrt(3))
    assert result.drawdown.depth == pytest.approx(0.1)
    assert result.calmar == pytest.approx(1.88)
    assert result.sortino == pytest.approx((0.2 / 3) / math.sqrt(0.01 / 3) * math.sqrt(3))
    assert (result.best_day, result.worst_day) == pytest.approx((0.2, -0.1))
    assert result.hit_rate_days == pytest.approx(2 / 3)
    assert (result.n_periods, result.n_days) == (3, 3)


def test_costs_by_hand() -> None:
    """Costs split into three, and relate to what was traded and to the P&L before them."""
    costs = cost_breakdown(FILLS, net_pnl=15.5)
    assert (costs.commission, costs.spread, costs.impact) == pytest.approx((3.5, 0.6, 0.4))
    assert costs.traded_value == pytest.approx(100.0 + 200.0 + 60.0)
    assert costs.bps_of_traded == pytest.approx(4.5 / 360.0 * 1e4)
    assert costs.share_of_gross == pytest.approx(4.5 / 20.0)


@pytest.mark.parametrize("net_pnl", [-10.0, -4.5])
def test_cost_share_needs_a_gain_before_costs(net_pnl: float) -> None:
    """Costs are no share of a loss, or of nothing."""
    assert math.isnan(cost_breakdown(FILLS, net_pnl).share_of_gross)


def test_contributions_by_hand() -> None:
    """Each name earned its holding's value less what it cost, commissions included."""
    pnl = pnl_by_symbol(FILLS, np.array([5.0, -4.0, 0.0]), np.array([13.0, 45.0, np.nan]))
    assert pnl.tolist() == pytest.approx([65.0 - 100.0 + 60.0 - 1.5, -180.0 + 200.0 - 2.0, 0.0])


def test_turnover_is_both_sides_over_mean_equity_a_year() -> None:
    """360 traded on a mean equity of 120, over half a year of periods."""
    result = measure([100.0, 120.0, 140.0], FILLS, periods_per_year=4.0)
    assert result.turnover == pytest.approx(360.0 / 120.0 * 4.0 / 2.0)
    assert result.n_fills == 3


def test_exposure_by_hand() -> None:
    """Gross adds absolute weights, net signed ones; a price that is not known matters only where units are held."""
    positions = np.array([[0.0, 0.0], [2.0, -1.0], [1.0, 0.0]])
    prices = np.array([[np.nan, 5.0], [10.0, 20.0], [np.nan, 7.0]])
    gross, net = exposure(positions, prices, np.array([100.0, 100.0, 100.0]))
    np.testing.assert_allclose(gross, [0.0, 0.4, np.nan])
    np.testing.assert_allclose(net, [0.0, 0.0, np.nan])
    assert holding_values(positions, prices)[0].tolist() == [0.0, 0.0]
    held = measure([100.0] * 3, positions=positions, prices=prices).exposure
    assert (held.gross_mean, held.gross_max, held.net_mean, held.invested) == pytest.approx((0.2, 0.4, 0.0, 0.5))


def test_sharpe_family_is_that_of_validation() -> None:
    """The ratios are those of `trader.validation`, the interval holds the estimate and follows the seed."""
    returns = np.random.default_rng(1).normal(0.001, 0.01, 400)
    equity = 1e6 * np.cumprod(np.append(1.0, 1.0 + returns))
    result = measure(equity, n_trials=20, seed=3)
    assert result.sharpe == pytest.approx(sharpe_ratio(returns, 252.0))
    assert result.probabilistic_sharpe == pytest.approx(probabilistic_sharpe(returns))
    assert result.deflated_sharpe == pytest.approx(deflated_sharpe(returns, 20))
    low, high = result.sharpe_interval
    assert low < result.sharpe < high
    assert measure(equity, n_trials=20, seed=3).sharpe_interval == result.sharpe_interval
    assert measure(equity, n_trials=20, seed=4).sharpe_interval != result.sharpe_interval


def test_signals_are_judged_by_sign() -> None:
    """Two of three scores that say something were right."""
    score = np.array([[1.0, -1.0], [2.0, np.nan], [0.0, 1.0]])
    outcome = np.array([[0.1, 0.2], [0.3, 0.1], [0.1, np.nan]])
    options = {"positions": np.zeros((3, 2)), "prices": np.ones((3, 2))}
    assert measure([1.0, 1.0, 1.0], score=score, outcome=outcome, **options).hit_rate_signals == pytest.approx(2 / 3)
    assert math.isnan(measure([1.0, 1.0, 1.0], **options).hit_rate_signals)


def test_no_trade_is_flat_and_undefined_where_it_must_be() -> None:
    """Cash only: no return, no risk, no ratio, no cost."""
    result = measure([100.0] * 60)
    assert (result.total_return, result.annual_return, result.annual_volatility, result.turnover) == (0, 0, 0, 0)
    assert (result.drawdown.depth, result.costs.total, result.exposure.gross_mean) == (0, 0, 0)
    undefined = (
        result.sharpe,
        *result.sharpe_interval,
        result.sortino,
        result.calmar,
        result.skew,
        result.probabilistic_sharpe,
        result.deflated_sharpe,
        result.hit_rate_days,
        result.costs.bps_of_traded,
        result.costs.share_of_gross,
    )
    assert all(math.isnan(value) for value in undefined)


def test_one_instant_has_no_returns() -> None:
    """A single instant: total return 0, everything per period undefined, nothing raised."""
    result = measure([100.0])
    assert (result.total_return, result.n_periods, result.n_days) == (0.0, 0, 0)
    assert all(math.isnan(v) for v in (result.annual_return, result.sharpe, result.best_day, result.turnover))


def test_two_instants_have_one_return() -> None:
    """One return: a growth rate, but no volatility."""
    result = measure([100.0, 101.0])
    assert result.annual_return == pytest.approx(1.01**252 - 1.0)
    assert math.isnan(result.annual_volatility)


def test_ruin_is_a_total_loss_and_ends_the_statistics() -> None:
    """Equity below zero: the return is -1 in all and per year, and the later recovery does not count."""
    result = measure([100.0, 50.0, -10.0, 500.0], benchmarks={"b": np.array([1.0, 2.0, 1.0, 9.0])})
    assert (result.total_return, result.annual_return) == (-1.0, -1.0)
    assert result.ruined_ns == 2 * DAY
    assert result.n_periods == 2
    assert result.drawdown.depth == pytest.approx(1.1)
    assert result.final_equity == 500.0
    assert result.benchmarks[0].total_return == 0.0


def test_result_is_plain_when_asked() -> None:
    """`to_dict` nests dataclasses as dicts, and the result is frozen."""
    result = measure([100.0, 110.0, 105.0], benchmarks={"cash": np.ones(3)})
    content = result.to_dict()
    assert content["drawdown"]["depth"] == pytest.approx(5 / 110)
    assert content["benchmarks"][0]["name"] == "cash"
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.sharpe = 9.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("ts_ns", "equity", "shape", "message"),
    [
        ([], [], (0, 1), "at least one row"),
        ([0, 1], [1.0], (1, 1), "ts_ns has shape"),
        ([1, 1], [1.0, 1.0], (2, 1), "strictly increasing"),
        ([0, 1], [1.0, np.nan], (2, 1), "finite"),
        ([0, 1], [0.0, 1.0], (2, 1), "starts at 0.0"),
        ([0, 1], [1.0, 1.0], (3, 1), r"one row per instant \(2\)"),
    ],
)
def test_bad_input_is_named(ts_ns: list[int], equity: list[float], shape: tuple[int, int], message: str) -> None:
    """What no figure can be made of is refused, and the message names it."""
    with pytest.raises(DataError, match=message):
        performance(
            np.array(ts_ns, np.int64),
            np.array(equity),
            positions=np.zeros(shape),
            prices=np.ones(shape),
            fills=FillBatch.empty(),
        )


def test_benchmark_of_another_length_is_refused() -> None:
    """A benchmark must have one value an instant."""
    with pytest.raises(DataError, match=r"benchmark 'b' has shape \(2,\)"):
        measure([1.0, 1.0, 1.0], benchmarks={"b": np.ones(2)})


def test_annual_return_of_minutes_is_infinite_not_an_error() -> None:
    """Half a per cent a second for three seconds is more a year than floats hold."""
    assert annual_return(np.full(3, 0.005), 31_536_000.0) == float("inf")
    assert annual_return(np.full(3, -0.005), 31_536_000.0) == -1.0
