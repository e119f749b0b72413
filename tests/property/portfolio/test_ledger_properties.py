from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.trading import fills_of
from trader.core.orders import FillBatch
from trader.portfolio.ledger import Ledger

CASH = 1e6

row = st.fixed_dictionaries(
    {
        "symbol_id": st.integers(0, 2),
        "side": st.sampled_from([-1, 1]),
        "quantity": st.floats(1e-3, 1e3),
        "price": st.floats(1e-2, 1e3),
        "commission": st.floats(0.0, 10.0),
    }
)
batches = st.lists(row, min_size=1, max_size=40).map(lambda rows: fills_of(*rows))
marks = st.lists(st.floats(1e-2, 1e3), min_size=3, max_size=3).map(np.array)


def _booked(fills: FillBatch) -> Ledger:
    ledger = Ledger(3, CASH)
    ledger.apply(fills)
    return ledger


@settings(deadline=None)
@given(batches, marks)
def test_cash_and_positions_are_initial_cash_plus_profit_less_commission(fills: FillBatch, prices: np.ndarray) -> None:
    """The accounting identity, to 1e-9 of the money moved; positions and cash also equal plain sums."""
    ledger = _booked(fills)
    ledger.mark(prices)
    profit = ledger.realised_pnl + ledger.unrealised_pnl - ledger.commission
    moved = CASH + ledger.traded_value + abs(ledger.positions) @ prices
    assert ledger.cash + ledger.positions @ prices == pytest.approx(CASH + profit, rel=0, abs=1e-9 * moved)
    assert ledger.equity == pytest.approx(ledger.cash + ledger.positions @ prices, rel=0, abs=1e-12 * moved)
    signed = fills.side * fills.quantity
    assert ledger.cash == pytest.approx(CASH - signed @ fills.price - fills.commission.sum(), abs=1e-9 * moved)
    expected = np.bincount(fills.symbol_id, signed, minlength=3)
    np.testing.assert_allclose(ledger.positions, expected, rtol=0, atol=1e-9 * fills.quantity.sum())


@settings(deadline=None)
@given(batches, st.data())
def test_any_split_and_repetition_books_the_same_bits(fills: FillBatch, data: st.DataObject) -> None:
    """Fills in parts, each repeated at will, with a restart from JSON in between, end in the same state."""
    cut = data.draw(st.integers(0, len(fills)))
    again = data.draw(st.integers(0, cut))
    ledger = Ledger(3, CASH)
    ledger.apply(fills.take(slice(0, cut)))
    restarted = Ledger(3, CASH)
    restarted.restore(json.loads(json.dumps(ledger.state())))
    restarted.apply(fills.take(slice(again, None)))
    rebuilt = Ledger(3, CASH)
    rebuilt.apply(fills.take(slice(0, 1)))
    rebuilt.rebuild(fills)
    once = _booked(fills)
    assert restarted.repeated_fills == cut - again
    for name in ("positions", "average_cost", "realised", "totals"):
        assert restarted.state()[name] == once.state()[name] == rebuilt.state()[name]
    assert sorted(restarted.state()["seen"]) == sorted(once.state()["seen"])
