from __future__ import annotations

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.core.orders import OrderBatch, OrderKind, order_ids
from trader.execution.planner import OrderPlanner
from trader.settings.sections import ExecutionSettings

PRICES = np.array([10.0, 20.0, 50.0, np.nan])
EQUITY = 10_000.0


def _plan(target: list[float], positions: list[float], **options: object) -> OrderBatch:
    settings = ExecutionSettings(**{"min_order_value": 0.0, **options})
    held = np.array(positions)
    current = np.where(np.isnan(PRICES), 0.0, held * np.nan_to_num(PRICES) / EQUITY)
    return OrderPlanner(settings).plan(
        7, 123, target=np.array(target), current=current, positions=held, prices=PRICES, equity=EQUITY
    )


def test_orders_lead_from_positions_to_targets() -> None:
    """Sells first, then buys, each by symbol; quantities make up the difference at the last price."""
    orders = _plan([0.3, 0.1, -0.2, 0.5], [100.0, 100.0, 0.0, 0.0])
    assert orders.symbol_id.tolist() == [1, 2, 0]
    assert orders.side.tolist() == [-1, -1, 1]
    np.testing.assert_allclose(orders.quantity, [50.0, 40.0, 200.0])
    assert orders.reference_price.tolist() == [20.0, 50.0, 10.0]
    assert orders.order_id.tolist() == order_ids(7, 3).tolist()
    assert orders.ts_ns.tolist() == [123] * 3
    assert np.isnan(orders.limit_price).all()


def test_no_difference_makes_no_order() -> None:
    """Weights held are not traded, whatever the rounding of quantities would be."""
    assert len(_plan([1 / 3 * 10 / 10_000, 0.0, 0.0, 0.0], [1 / 3, 0.0, 0.0, 0.0])) == 0


def test_whole_lots_are_rounded_down() -> None:
    """55 shares in lots of 10 are 50; less than a lot is nothing; three tenths of 0.1 lots stay three."""
    assert _plan([0.055, 0.0, 0.0, 0.0], [0.0] * 4, lot_size=10.0).quantity.tolist() == [50.0]
    assert len(_plan([0.005, 0.0, 0.0, 0.0], [0.0] * 4, lot_size=10.0)) == 0
    assert _plan([0.0003, 0.0, 0.0, 0.0], [0.0] * 4, lot_size=0.1).quantity[0] == pytest.approx(0.3)


def test_small_orders_are_left_out() -> None:
    """An order worth less than the minimum is not made; one worth it is."""
    assert len(_plan([0.0099, 0.0, 0.0, 0.0], [0.0] * 4, min_order_value=100.0)) == 0
    assert len(_plan([0.0101, 0.0, 0.0, 0.0], [0.0] * 4, min_order_value=100.0)) == 1


def test_a_target_of_zero_closes_exactly() -> None:
    """Odd lots and small values too: nothing is left behind."""
    orders = _plan([0.0] * 4, [0.123, -7.77, 0.0, 0.0], lot_size=5.0, min_order_value=1e6)
    assert orders.side.tolist() == [-1, 1]
    assert orders.quantity.tolist() == [0.123, 7.77]


def test_limits_lie_beyond_the_last_price() -> None:
    """A positive offset is more aggressive: lower for sells, higher for buys."""
    orders = _plan([0.1, -0.1, 0.0, 0.0], [0.0] * 4, order_kind="limit", limit_offset_bps=10.0)
    assert orders.kind.tolist() == [OrderKind.LIMIT] * 2
    np.testing.assert_allclose(orders.limit_price, [20.0 * 0.999, 10.0 * 1.001])


def test_more_symbols_than_ids_are_refused() -> None:
    """Ids of one decision may not run into those of the next."""
    n = (1 << 16) + 1
    zeros = np.zeros(n)
    with pytest.raises(DataError, match="65537 symbols; a decision has ids for 65536 orders"):
        OrderPlanner(ExecutionSettings()).plan(
            0, 0, target=zeros, current=zeros, positions=zeros, prices=zeros, equity=1.0
        )
