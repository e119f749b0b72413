from __future__ import annotations

import math

import pytest

from tests.support.trading import DAY_NS, NS, orders_of, slice_of
from trader.execution.broker import PaperBroker
from trader.execution.costs import commission_due, half_spread, square_root_impact
from trader.settings.sections import ExecutionSettings


def test_half_spread_is_quoted_or_assumed() -> None:
    """A quote of 4 cents on 50 is 4 basis points each way; without a quote the assumption holds."""
    assert half_spread(0.04, 50.0, 0.001) == pytest.approx(4e-4)
    assert half_spread(math.nan, 50.0, 0.001) == 0.001
    assert half_spread(0.0, 50.0, 0.001) == 0.0


def test_impact_grows_with_the_root_of_quantity() -> None:
    """Four times the quantity moves the price twice as far; a day's volume moves it coefficient volatilities."""
    assert square_root_impact(1e6, 1e6, 0.02, 0.3) == pytest.approx(0.006)
    one, four = (square_root_impact(q, 1e6, 0.02, 0.3) for q in (1e3, 4e3))
    assert four == pytest.approx(2.0 * one)
    assert square_root_impact(1.0, 0.0, 0.02, 0.3) == 0.0


def test_commission_minimum_is_per_order() -> None:
    """Three fills of one order pay the minimum once, then the rate on what exceeds it."""
    charged = 0.0
    for value in (400.0, 800.0, 5_000.0):
        charged += commission_due(value, 0.001, 1.0, charged)
    assert charged == 5.0
    assert commission_due(400.0, 0.001, 1.0, 0.0) == 1.0


def test_a_market_buy_pays_spread_impact_and_commission() -> None:
    """Closes only, default volatility and volume: every number in closed form."""
    settings = ExecutionSettings(
        half_spread_bps=3.0,
        impact_coefficient=0.5,
        assumed_daily_dollar_volume=1e6,
        commission_bps=2.0,
        commission_minimum=0.0,
    )
    broker = PaperBroker(1, settings)
    broker.submit(orders_of({"quantity": 25.0}))
    fill = broker.on_slice(slice_of(NS, [40.0])).fills
    impact = 0.5 * 0.02 * math.sqrt(25.0 * 40.0 / 1e6)
    price = 40.0 * (1.0 + 3e-4 + impact)
    assert fill.price[0] == pytest.approx(price, rel=1e-14)
    assert fill.spread_cost[0] == pytest.approx(25.0 * 40.0 * 3e-4, rel=1e-14)
    assert fill.impact_cost[0] == pytest.approx(25.0 * 40.0 * impact, rel=1e-14)
    assert fill.commission[0] == pytest.approx(25.0 * price * 2e-4, rel=1e-14)


def test_a_market_sell_gets_less_by_the_quoted_spread() -> None:
    """The quoted spread comes before the assumption, and costs are positive on both sides."""
    broker = PaperBroker(1, ExecutionSettings(impact_coefficient=0.0, half_spread_bps=50.0))
    broker.submit(orders_of({"side": -1, "quantity": 2.0}))
    fill = broker.on_slice(slice_of(NS, [100.0], spread=[0.1])).fills
    assert fill.price[0] == pytest.approx(99.95)
    assert fill.spread_cost[0] == pytest.approx(0.1)


def test_impact_uses_volatility_and_volume_of_completed_days() -> None:
    """After two known days the estimates replace the assumptions; the running day has no say."""
    broker = PaperBroker(1, ExecutionSettings(impact_coefficient=1.0, half_spread_bps=0.0))
    for day, (close, volume) in enumerate([(100.0, 1e4), (101.0, 1e4), (99.0, 4e4)]):
        broker.on_slice(slice_of((day + 1) * DAY_NS, [close], volume=[volume]))
    broker.submit(orders_of({"quantity": 100.0, "ts_ns": 3 * DAY_NS}))
    fill = broker.on_slice(slice_of(4 * DAY_NS, [50.0], volume=[1e9])).fills
    decay = 0.5 ** (1 / 20)
    squares = (math.log(101 / 100) ** 2 * decay + math.log(99 / 101) ** 2) / (1 + decay)
    volume = (1e4 * decay**2 + 1e4 * decay + 4e4) / (1 + decay + decay**2)
    assert fill.price[0] == pytest.approx(50.0 * (1.0 + math.sqrt(squares * 100.0 / volume)), rel=1e-13)


def test_slippage_is_bounded() -> None:
    """A quantity beyond all volume cannot make a sale's price negative."""
    broker = PaperBroker(1, ExecutionSettings(impact_coefficient=1e9))
    broker.submit(orders_of({"side": -1, "quantity": 1e9}))
    assert broker.on_slice(slice_of(NS, [100.0])).fills.price[0] == pytest.approx(50.0)
