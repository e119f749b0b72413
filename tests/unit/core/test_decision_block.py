from __future__ import annotations

import numpy as np
import pytest

from tests.support.trading import comparable, fills_of, orders_of
from trader.core.decision import Decision, DecisionBlock, Incidents, StateChange
from trader.core.orders import Denial, DenialReason, TradingState
from trader.core.protocols import Withdrawal

DENIAL = Denial(1, 0, DenialReason.NO_PRICE, np.nan, 0.0)
WITHDRAWAL = Withdrawal(1, 0, 2.0, "replaced", rejected=False)
CHANGE = StateChange(TradingState.ACTIVE, TradingState.HALTED, "ann", "test")


def _decision(n_orders: int, n_fills: int, incidents: Incidents) -> Decision:
    row = np.arange(3.0)
    return Decision(
        seq=5,
        ts_ns=7,
        equity=10.0,
        cash=3.0,
        positions=row,
        prices=row + 1.0,
        score=row - 1.0,
        members={"linear@1": row * 2.0},
        target=row / 9.0,
        orders=orders_of(*[{"quantity": 1.0 + i} for i in range(n_orders)]),
        denials=incidents.denials,
        fills=fills_of(*[{"quantity": 2.0 + i, "price": 9.0} for i in range(n_fills)]),
        withdrawals=incidents.withdrawals,
        state_changes=incidents.state_changes,
    )


@pytest.mark.parametrize(
    ("n_orders", "n_fills", "incidents", "wanted"),
    [
        (0, 0, Incidents(), False),
        (2, 0, Incidents(), True),
        (0, 3, Incidents(withdrawals=(WITHDRAWAL,), state_changes=(CHANGE,)), False),
        (0, 1, Incidents(denials=(DENIAL,)), True),
        (1, 1, Incidents((DENIAL,), (WITHDRAWAL,), (CHANGE,)), True),
    ],
)
def test_a_decision_comes_back_out_of_its_block(
    n_orders: int, n_fills: int, incidents: Incidents, wanted: bool
) -> None:
    """Every bit of it; the block knows its incidents and whether an order was wanted."""
    decision = _decision(n_orders, n_fills, incidents)
    block = DecisionBlock.of(decision)
    [again] = block
    assert comparable([again]) == comparable([decision])
    assert {name: scores.tolist() for name, scores in again.members.items()} == {"linear@1": [0.0, 2.0, 4.0]}
    assert block.incidents == ({} if incidents == Incidents() else {0: incidents})
    assert block.wanted_orders().tolist() == [wanted]
