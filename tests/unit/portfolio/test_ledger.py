from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.trading import fills_of
from trader.core.errors import DataError
from trader.core.orders import FillBatch
from trader.portfolio.ledger import Ledger


def test_average_cost_of_two_buys_is_weighted_by_quantity() -> None:
    """10 at 100 and 30 at 120 cost 115 each; commission goes to cash only."""
    ledger = Ledger(2, 10_000.0)
    ledger.apply(
        fills_of(
            {"symbol_id": 1, "quantity": 10.0, "price": 100.0, "commission": 2.0},
            {"symbol_id": 1, "quantity": 30.0, "price": 120.0, "commission": 3.0},
        )
    )
    assert ledger.average_cost.tolist() == [0.0, 115.0]
    assert ledger.positions.tolist() == [0.0, 40.0]
    assert ledger.cash == 10_000.0 - 1_000.0 - 3_600.0 - 5.0
    assert ledger.commission == 5.0
    assert ledger.traded_value == 4_600.0


def test_a_sale_realises_the_difference_to_the_average() -> None:
    """Selling 4 of 10 at 130 against a cost of 100 realises 120; the rest keeps its cost."""
    ledger = Ledger(1, 10_000.0)
    ledger.apply(fills_of({"quantity": 10.0, "price": 100.0}, {"side": -1, "quantity": 4.0, "price": 130.0}))
    assert ledger.realised_pnl == 120.0
    assert ledger.average_cost.tolist() == [100.0]
    ledger.mark(np.array([90.0]))
    assert ledger.unrealised_pnl == -60.0
    assert ledger.equity == 10_000.0 + 120.0 - 60.0


def test_a_fill_through_zero_closes_one_position_and_opens_the_other() -> None:
    """Selling 15 of 10 at 110 realises 100 and leaves 5 short at 110, which earns when the price falls."""
    ledger = Ledger(1, 1_000.0)
    ledger.apply(fills_of({"quantity": 10.0, "price": 100.0}, {"side": -1, "quantity": 15.0, "price": 110.0}))
    assert ledger.positions.tolist() == [-5.0]
    assert ledger.realised_pnl == 100.0
    assert ledger.average_cost.tolist() == [110.0]
    ledger.mark(np.array([104.0]))
    assert ledger.unrealised_pnl == 30.0


def test_closing_exactly_forgets_the_average_cost() -> None:
    """A flat name has neither cost nor unrealised profit."""
    ledger = Ledger(1, 1_000.0)
    ledger.apply(fills_of({"quantity": 3.0, "price": 10.0}, {"side": -1, "quantity": 3.0, "price": 11.0}))
    ledger.mark(np.array([500.0]))
    assert ledger.average_cost.tolist() == [0.0]
    assert ledger.unrealised_pnl == 0.0
    assert ledger.equity == ledger.cash == 1_003.0


def test_an_unmarked_position_counts_at_its_cost() -> None:
    """Without any price, equity is what was paid."""
    ledger = Ledger(1, 1_000.0)
    ledger.apply(fills_of({"quantity": 3.0, "price": 10.0}))
    ledger.mark(np.array([np.nan]))
    assert ledger.equity == 1_000.0


def test_a_repeated_fill_is_ignored_and_counted() -> None:
    """By id, within a batch and across batches, in any order."""
    first, second = {"quantity": 1.0, "price": 10.0}, {"quantity": 2.0, "price": 10.0}
    ledger = Ledger(1, 1_000.0)
    twice = fills_of(first, second).take(np.array([1, 0, 1]))
    assert ledger.apply(twice) == 2
    assert ledger.apply(fills_of(first, second)) == 0
    assert ledger.positions.tolist() == [3.0]
    assert ledger.repeated_fills == 3


def test_fills_of_settled_orders_are_repeats() -> None:
    """Below the settled order nothing is remembered, and nothing booked; above it all is as before."""
    ledger = Ledger(1, 1_000.0)
    batch = fills_of(*({"quantity": 1.0, "price": 10.0} for _ in range(4)))
    ledger.apply(batch.take(slice(0, 2)))
    ledger.settle_before(2)
    assert ledger.apply(batch) == 2
    assert ledger.apply(batch) == 0
    assert ledger.positions.tolist() == [4.0]
    assert len(ledger.state()["seen"]) == 2


def test_a_late_fill_of_an_open_order_is_new() -> None:
    """An older order may fill after a younger one."""
    ledger = Ledger(1, 1_000.0)
    batch = fills_of({"quantity": 1.0, "price": 10.0}, {"quantity": 5.0, "price": 10.0})
    assert ledger.apply(batch.take(np.array([1]))) == 1
    assert ledger.apply(batch.take(np.array([0]))) == 1
    assert ledger.positions.tolist() == [6.0]


@pytest.mark.parametrize("symbol_id", [-1, 2])
def test_an_unknown_symbol_books_nothing(symbol_id: int) -> None:
    """The whole batch is refused, naming the fill, and can be applied once repaired."""
    ledger = Ledger(2, 1_000.0)
    rows = [{"quantity": 1.0, "price": 10.0}, {"symbol_id": symbol_id, "quantity": 1.0, "price": 10.0}]
    with pytest.raises(DataError, match=f"fill 4096 has symbol_id={symbol_id}; 0 to 1 are known"):
        ledger.apply(fills_of(*rows))
    assert ledger.cash == 1_000.0
    assert ledger.apply(fills_of(rows[0])) == 1


def test_costs_are_totals_of_what_fills_report() -> None:
    """Spread and impact are counted, and change neither cash nor profit: they are inside the price."""
    ledger = Ledger(1, 1_000.0)
    ledger.apply(fills_of({"quantity": 2.0, "price": 10.0, "spread_cost": 0.3, "impact_cost": 0.2}))
    assert (ledger.spread_cost, ledger.impact_cost, ledger.cash) == (0.3, 0.2, 980.0)


def test_a_state_of_another_universe_is_refused() -> None:
    """The error names the array and both shapes."""
    with pytest.raises(DataError, match=r"state.positions has shape \(2,\); \(3,\) is needed"):
        Ledger(3, 1.0).restore(json.loads(json.dumps(Ledger(2, 1.0).state())))


def test_no_fills_change_nothing() -> None:
    """An empty batch is no fill."""
    ledger = Ledger(1, 5.0)
    assert ledger.apply(FillBatch.empty()) == 0
    assert ledger.equity == 5.0
