"""An order can be traced back to what it was made from, and forward to what became of it."""

from __future__ import annotations

import json
from types import ModuleType

import numpy as np
import pytest

from trader.core.errors import DataError, NotFoundError
from trader.core.events import trace_id_of
from trader.core.orders import format_order_id, order_ids
from trader.storage import Store

LENGTH = 12


@pytest.fixture
def filled(store: Store, made: ModuleType) -> Store:
    made.append(store, "r1", 0, LENGTH)
    return store


def test_accepted_orders(filled: Store, made: ModuleType) -> None:
    """Each accepted order leads to its decision, features, member scores, feed batch, fills or cancellation."""
    for seq in range(LENGTH - 1):
        decision, orders, fills = made.decision(seq), made.orders(seq), made.fills(seq + 1)
        for i, order_id in enumerate(orders.order_id.tolist()):
            trace = filled.trace_order("r1", order_id)
            symbol = int(orders.symbol_id[i])
            assert (trace.seq, trace.ts_ns, trace.feed_seq) == (seq, decision.ts_ns, 10 * seq)
            assert trace.trace_id == trace_id_of("r1", seq)
            assert (trace.verdict, trace.reason, trace.symbol) == ("accepted", "", made.SYMBOLS[symbol])
            assert (trace.side, trace.quantity) == (orders.side[i], orders.quantity[i])
            np.testing.assert_array_equal(trace.price, decision.prices[symbol])
            assert (trace.score, trace.target) == (decision.score[symbol], decision.target[symbol])
            assert trace.features == dict(zip(made.FEATURES, made.features(seq)[symbol], strict=True))
            assert trace.members == {name: score[symbol] for name, score in decision.members.items()}
            assert trace.model_versions == {"momentum": "1", "linear": "3" if seq < 6 else "4"}
            assert trace.fills == fills.take(fills.order_id == order_id)
            last = i == len(orders) - 1
            assert len(trace.fills) == (0 if last else 1)
            assert [e.kind for e in trace.outcomes] == (
                ["order_rejected" if (seq + 1) % 2 else "order_cancelled"] if last else []
            )


def test_denied_order(filled: Store, made: ModuleType) -> None:
    """A denied order leads to the rule, its value and its limit, and to the event."""
    denied = int(order_ids(3, len(made.orders(3)) + 1)[-1])
    trace = filled.trace_order("r1", format_order_id(denied))
    assert (trace.verdict, trace.reason, trace.rule_value, trace.rule_limit) == ("denied", "gross_limit", 1.7, 1.5)
    assert np.isnan(trace.quantity)
    assert [e.kind for e in trace.outcomes] == ["order_denied"]
    assert set(trace.features) == set(made.FEATURES)


def test_to_dict_is_json(filled: Store, made: ModuleType) -> None:
    """A trace is JSON without NaN; fills carry their human ids."""
    order_id = int(made.fills(next(s for s in range(1, LENGTH) if len(made.fills(s)))).order_id[0])
    content = json.loads(json.dumps(filled.trace_order("r1", order_id).to_dict(), allow_nan=False))
    assert content["order_id"] == format_order_id(order_id)
    assert content["fills"][0]["fill_id"] == "F" + content["order_id"][1:] + "-00"
    assert content["rule_value"] is None


def test_unknown_orders(filled: Store) -> None:
    """An order that does not exist, and an id of another form, are named."""
    with pytest.raises(NotFoundError, match="order O-00000999-0000 does not exist in run r1"):
        filled.trace_order("r1", "O-00000999-0000")
    with pytest.raises(DataError, match="order_id='17' is not of the form"):
        filled.trace_order("r1", "17")
