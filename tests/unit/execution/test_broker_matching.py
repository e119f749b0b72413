from __future__ import annotations

import math

import numpy as np
import pytest

from tests.support.trading import NS, orders_of, slice_of
from trader.core.orders import OrderKind, TimeInForce, fill_ids
from trader.execution.broker import PaperBroker
from trader.settings.sections import ExecutionSettings

FREE = {"half_spread_bps": 0.0, "impact_coefficient": 0.0, "commission_bps": 0.0}
LIMIT = OrderKind.LIMIT


def _broker(n_symbols: int = 1, **options: float) -> PaperBroker:
    return PaperBroker(n_symbols, ExecutionSettings(**{**FREE, "latency_ms": 100.0, **options}))


def test_the_slice_of_the_decision_never_fills() -> None:
    """Not even without latency."""
    broker = _broker(latency_ms=0.0)
    broker.submit(orders_of({"ts_ns": 5 * NS}))
    assert len(broker.on_slice(slice_of(5 * NS, [100.0])).fills) == 0
    assert broker.on_slice(slice_of(6 * NS, [101.0])).fills.price.tolist() == [101.0]


def test_a_bar_that_opens_after_latency_fills_at_its_open() -> None:
    """And is stamped with the open's time."""
    broker = _broker()
    broker.submit(orders_of({"ts_ns": 0}))
    fills = broker.on_slice(slice_of(9 * NS, [103.0], open=[101.0], ts_open_ns=[NS // 10])).fills
    assert (fills.price[0], fills.ts_ns[0]) == (101.0, NS // 10)


def test_a_bar_that_opened_before_the_order_was_active_fills_at_its_close() -> None:
    """The open is past when the order arrives."""
    broker = _broker()
    broker.submit(orders_of({"ts_ns": 0}))
    fills = broker.on_slice(slice_of(9 * NS, [103.0], open=[101.0], ts_open_ns=[NS // 10 - 1])).fills
    assert (fills.price[0], fills.ts_ns[0]) == (103.0, 9 * NS)


def test_an_order_in_flight_waits_for_a_later_slice() -> None:
    """A slice that closes before the order is active cannot fill it."""
    broker = _broker(latency_ms=1500.0)
    broker.submit(orders_of({"ts_ns": 0}))
    assert len(broker.on_slice(slice_of(NS, [100.0])).fills) == 0
    assert len(broker.on_slice(slice_of(2 * NS, [102.0])).fills) == 1


def test_a_symbol_without_a_bar_waits() -> None:
    """The others fill."""
    broker = _broker(2)
    broker.submit(orders_of({"symbol_id": 0}, {"symbol_id": 1}))
    assert broker.on_slice(slice_of(NS, [np.nan, 50.0])).fills.symbol_id.tolist() == [1]
    assert broker.on_slice(slice_of(2 * NS, [9.0, 51.0])).fills.symbol_id.tolist() == [0]


@pytest.mark.parametrize(
    ("side", "limit", "bar", "price"),
    [
        (1, 99.0, {"open": 100.0, "low": 98.9, "high": 101.0, "close": 100.5}, 99.0),
        (1, 99.0, {"open": 100.0, "low": 99.0, "high": 101.0, "close": 100.5}, None),
        (1, 99.0, {"open": 97.0, "low": 96.0, "high": 101.0, "close": 100.5}, 97.0),
        (-1, 101.0, {"open": 100.0, "low": 98.0, "high": 101.1, "close": 100.5}, 101.0),
        (-1, 101.0, {"open": 100.0, "low": 98.0, "high": 101.0, "close": 100.5}, None),
        (-1, 101.0, {"open": 104.0, "low": 98.0, "high": 105.0, "close": 100.5}, 104.0),
        (1, 99.0, {"open": 100.0, "low": math.nan, "high": math.nan, "close": 98.5}, 99.0),
        (1, 99.0, {"open": 100.0, "low": math.nan, "high": math.nan, "close": 99.5}, None),
        (1, 99.0, {"open": math.nan, "low": 90.0, "high": 101.0, "close": 98.0}, 98.0),
        (1, 99.0, {"open": math.nan, "low": 90.0, "high": 101.0, "close": 100.0}, None),
    ],
    ids=[
        "buy, traded through",
        "buy, only touched",
        "buy, open is better",
        "sell, traded through",
        "sell, only touched",
        "sell, open is better",
        "range unknown, close through",
        "range unknown, close not through",
        "open unknown, close is better",
        "open unknown, low came too early to count",
    ],
)
def test_limit_orders_fill_when_the_bar_trades_through(
    side: int, limit: float, bar: dict[str, float], price: float | None
) -> None:
    """At the better of limit and open, or not at all."""
    broker = _broker()
    broker.submit(orders_of({"side": side, "kind": LIMIT, "limit_price": limit}))
    known = {name: [value] for name, value in bar.items()}
    fills = broker.on_slice(slice_of(9 * NS, ts_open_ns=[NS], **known)).fills
    assert fills.price.tolist() == ([] if price is None else [price])
    assert (broker.open_quantity()[0] == 0.0) == (price is not None)


def test_a_bar_in_progress_counts_by_its_close_alone() -> None:
    """Its low may have been before the order arrived."""
    broker = _broker()
    broker.submit(orders_of({"kind": LIMIT, "limit_price": 99.0}))
    early = slice_of(NS, [100.0], open=[100.0], low=[90.0], high=[101.0], ts_open_ns=[0])
    assert len(broker.on_slice(early).fills) == 0


def test_a_marketable_limit_order_pays_costs_up_to_its_limit() -> None:
    """Impact is cut first, then the spread; a waiting order pays neither."""
    costs = {"half_spread_bps": 10.0, "impact_coefficient": 1.0}
    broker = _broker(1, **costs)
    broker.submit(orders_of({"kind": LIMIT, "limit_price": 100.15, "quantity": 1e6}))
    fill = broker.on_slice(slice_of(NS, [100.0])).fills
    assert fill.price[0] == 100.15
    assert fill.spread_cost[0] == pytest.approx(1e6 * 0.10)
    assert fill.impact_cost[0] == pytest.approx(1e6 * 0.05)
    broker = _broker(1, **costs)
    broker.submit(orders_of({"kind": LIMIT, "limit_price": 99.0, "quantity": 1e6}))
    fill = broker.on_slice(slice_of(9 * NS, [99.5], open=[100.0], low=[98.0], high=[101.0], ts_open_ns=[NS])).fills
    assert (fill.price[0], fill.spread_cost[0], fill.impact_cost[0]) == (99.0, 0.0, 0.0)
    assert fill.ts_ns[0] == 9 * NS


def test_volume_is_shared_and_the_rest_works_on() -> None:
    """A tenth of 1,000 units: 70 for the first order, 30 of the second; then 20 more; then the remaining 10."""
    broker = _broker(max_participation=0.1)
    broker.submit(orders_of({"quantity": 70.0}, {"quantity": 60.0}))
    fills = [broker.on_slice(slice_of(t * NS, [100.0], volume=[v])).fills for t, v in ((1, 1e3), (2, 200.0), (3, 1e3))]
    assert [f.quantity.tolist() for f in fills] == [[70.0, 30.0], [20.0], [10.0]]
    expected = fill_ids(np.array([0, 1, 1, 1]), np.array([0, 0, 1, 2]))
    assert np.concatenate([f.fill_id for f in fills]).tolist() == expected.tolist()
    assert broker.open_quantity().tolist() == [0.0]


def test_a_bar_without_volume_fills_nothing() -> None:
    """Zero volume is known to be zero; an unknown volume fills all."""
    broker = _broker()
    broker.submit(orders_of({"quantity": 5.0}))
    assert len(broker.on_slice(slice_of(NS, [100.0], volume=[0.0])).fills) == 0
    assert broker.on_slice(slice_of(2 * NS, [100.0])).fills.quantity.tolist() == [5.0]


def test_partial_fills_are_whole_lots() -> None:
    """A tenth of 270 units in lots of 10 is 20."""
    broker = _broker(lot_size=10.0)
    broker.submit(orders_of({"quantity": 100.0}))
    assert broker.on_slice(slice_of(NS, [100.0], volume=[270.0])).fills.quantity.tolist() == [20.0]


def test_immediate_or_cancel_has_one_chance() -> None:
    """What its first bar cannot fill is withdrawn; before it is active it waits."""
    broker = _broker(latency_ms=1500.0)
    broker.submit(orders_of({"quantity": 50.0, "time_in_force": TimeInForce.IOC}))
    assert broker.on_slice(slice_of(NS, [100.0], volume=[100.0])).withdrawals == ()
    update = broker.on_slice(slice_of(2 * NS, [100.0], volume=[100.0]))
    assert update.fills.quantity.tolist() == [10.0]
    assert [(w.order_id, w.remaining, w.reason, w.rejected) for w in update.withdrawals] == [
        (0, 40.0, "immediate_or_cancel", False)
    ]
    assert broker.open_quantity().tolist() == [0.0]


def test_fill_numbers_never_run_into_the_next_order() -> None:
    """After as many fills as it has ids the rest of an order is withdrawn."""
    broker = _broker()
    broker.submit(orders_of({"quantity": 1e9}))
    ids: list[int] = []
    for t in range(1, 5000):
        update = broker.on_slice(slice_of(t * NS, [100.0], volume=[10.0]))
        ids += update.fills.fill_id.tolist()
        if update.withdrawals:
            break
    assert ids == list(range(4096))
    assert update.withdrawals[0].reason == "too_many_fills"


def test_the_minimum_commission_is_charged_once_an_order() -> None:
    """Two partial fills of one order."""
    broker = _broker(commission_bps=0.0, commission_minimum=3.0)
    broker.submit(orders_of({"quantity": 15.0}))
    charges = [broker.on_slice(slice_of(t * NS, [100.0], volume=[100.0])).fills.commission[0] for t in (1, 2)]
    assert charges == [3.0, 0.0]
