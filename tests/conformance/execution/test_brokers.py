from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from tests.support.trading import NS, orders_of, slice_of
from trader.core.orders import OrderKind
from trader.core.protocols import Broker
from trader.execution.broker import PaperBroker
from trader.settings.sections import ExecutionSettings

BROKERS: dict[str, Callable[[int], Broker]] = {
    "paper": lambda n_symbols: PaperBroker(n_symbols, ExecutionSettings()),
}


@pytest.fixture(params=BROKERS)
def make(request: pytest.FixtureRequest) -> Callable[[int], Broker]:
    return BROKERS[request.param]


def test_it_is_a_broker(make: Callable[[int], Broker]) -> None:
    """It has the protocol's methods."""
    assert isinstance(make(1), Broker)


def test_a_submitted_order_works_until_filled(make: Callable[[int], Broker]) -> None:
    """Open quantity is signed, and the fills of a slice come in order of order id and sum to what was open."""
    broker = make(3)
    assert broker.submit(orders_of({"symbol_id": 2, "side": -1, "quantity": 4.0}, {"quantity": 3.0})) == ()
    assert broker.open_quantity().tolist() == [3.0, 0.0, -4.0]
    fills = broker.on_slice(slice_of(NS, [10.0, 20.0, 30.0])).fills
    assert fills.order_id.tolist() == [0, 1]
    assert (fills.side * fills.quantity).tolist() == [-4.0, 3.0]
    assert (fills.ts_ns > 0).all()
    assert broker.open_quantity().tolist() == [0.0, 0.0, 0.0]
    assert len(broker.on_slice(slice_of(2 * NS, [10.0, 20.0, 30.0])).fills) == 0


def test_a_repeated_submission_is_ignored(make: Callable[[int], Broker]) -> None:
    """While the order works, after it was filled, and after it was withdrawn."""
    broker = make(1)
    orders = orders_of({"quantity": 2.0})
    broker.submit(orders)
    assert broker.submit(orders) == ()
    assert broker.open_quantity().tolist() == [2.0]
    assert broker.on_slice(slice_of(NS, [10.0])).fills.quantity.tolist() == [2.0]
    broker.submit(orders)
    assert broker.open_quantity().tolist() == [0.0]
    later = orders_of({"order_id": 9, "quantity": 1.0, "ts_ns": NS})
    broker.submit(later)
    broker.cancel_all("enough")
    broker.submit(later)
    assert broker.open_quantity().tolist() == [0.0]


def test_withdrawn_orders_never_fill(make: Callable[[int], Broker]) -> None:
    """Each is reported once, with what was left and why."""
    broker = make(2)
    broker.submit(orders_of({"quantity": 2.0}, {"symbol_id": 1, "quantity": 5.0}))
    withdrawn = broker.cancel_all("halted")
    assert [(w.order_id, w.symbol_id, w.remaining, w.reason, w.rejected) for w in withdrawn] == [
        (0, 0, 2.0, "halted", False),
        (1, 1, 5.0, "halted", False),
    ]
    assert broker.cancel_all("halted") == ()
    assert len(broker.on_slice(slice_of(NS, [10.0, 10.0])).fills) == 0


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"quantity": 0.0}, "invalid_quantity"),
        ({"quantity": -1.0}, "invalid_quantity"),
        ({"quantity": np.nan}, "invalid_quantity"),
        ({"quantity": np.inf}, "invalid_quantity"),
        ({"symbol_id": 2}, "unknown_symbol"),
        ({"symbol_id": -1}, "unknown_symbol"),
        ({"kind": OrderKind.LIMIT}, "invalid_limit_price"),
        ({"kind": OrderKind.LIMIT, "limit_price": 0.0}, "invalid_limit_price"),
        ({"side": 0}, "invalid_side"),
        ({"kind": 9}, "unknown_kind"),
    ],
)
def test_bad_orders_are_rejected_alone(make: Callable[[int], Broker], bad: dict[str, float], reason: str) -> None:
    """The reason is named, and good orders of the same batch work."""
    broker = make(2)
    rejected = broker.submit(orders_of({"quantity": 1.0}, bad, {"quantity": 2.0}))
    assert [(w.order_id, w.reason, w.rejected) for w in rejected] == [(1, reason, True)]
    assert broker.open_quantity().tolist() == [3.0, 0.0]
    assert broker.on_slice(slice_of(NS, [10.0, 10.0])).fills.order_id.tolist() == [0, 2]


def test_state_goes_on_through_json(make: Callable[[int], Broker]) -> None:
    """A restored broker fills the same bits, and knows the ids it knew."""
    broker, other = make(2), make(2)
    for t in range(1, 30):
        broker.on_slice(slice_of(t * 3600 * NS * 20, [100.0 + t % 7, 50.0 - t % 3], volume=[1e5, np.nan]))
    now = 29 * 3600 * NS * 20
    orders = orders_of(
        *({"order_id": i, "symbol_id": i % 2, "quantity": 1e4 + i, "ts_ns": now} for i in range(100)),
    )
    broker.submit(orders)
    broker.on_slice(slice_of(now + NS, [100.0, 40.0], volume=[9e5, 1e4]))
    other.restore(json.loads(json.dumps(broker.state())))
    assert other.submit(orders) == ()
    for t in range(2, 6):
        market = slice_of(now + t * NS, [100.0, 40.0 + t], volume=[1e5, 1e5])
        assert other.on_slice(market) == broker.on_slice(market)
        assert other.state() == broker.state()
    assert other.cancel_all("end") == broker.cancel_all("end")
