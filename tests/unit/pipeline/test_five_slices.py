from __future__ import annotations

import numpy as np
import pytest

from tests.support.trading import NS, panel_of, slice_of
from trader.core.decision import Decision
from trader.core.orders import fill_ids, order_ids
from trader.pipeline import DecisionLoop
from trader.settings.sections import ExecutionSettings, GateSettings, SizingSettings

HOUR = 3600 * NS


def _scenario() -> tuple[DecisionLoop, list[Decision]]:
    """Two names, full tilt to equal weights, five hourly slices; name 1 has no bar in the fourth."""
    loop = DecisionLoop(
        2,
        sizing=SizingSettings(
            target_volatility=10.0,
            max_weight=0.5,
            max_gross=1.0,
            max_turnover=2.0,
            rebalance_band=0.02,
            tilt=1.0,
        ),
        execution=ExecutionSettings(
            initial_cash=10_000.0,
            latency_ms=1_000.0,
            half_spread_bps=10.0,
            impact_coefficient=0.0,
            commission_bps=5.0,
            max_participation=0.1,
            min_order_value=0.0,
        ),
        gate=GateSettings(
            max_position_weight=0.6, max_gross=2.0, max_net=2.0, max_herfindahl=None, max_daily_loss=None
        ),
    )
    wave = np.where(np.arange(40) % 2, 1.0, -1.0)
    past = [slice_of(HOUR + t * NS, [100.0 * 1.01 ** wave[t], 50.0 * 1.01 ** wave[t // 2]]) for t in range(40)]
    loop.warm_up(panel_of(past))
    slices = [
        slice_of(2 * HOUR, [100.0, 50.0]),
        slice_of(3 * HOUR, [102.0, 52.0], open=[101.0, 51.0], ts_open_ns=[2 * HOUR + NS] * 2, volume=[300.0, 1e6]),
        slice_of(4 * HOUR, [104.0, 52.0], open=[103.0, 52.0], ts_open_ns=[3 * HOUR + NS] * 2, volume=[1e6, 1e6]),
        slice_of(5 * HOUR, [110.0, np.nan], open=[105.0, np.nan], ts_open_ns=[4 * HOUR + NS, 5 * HOUR]),
        slice_of(6 * HOUR, [110.0, 40.0]),
    ]
    scores = ([1.0, 2.0], [1.0, 2.0], [np.nan, 2.0], [1.0, 2.0], [1.0, 2.0])
    return loop, [loop.step(seq, m, np.array(s), {}) for seq, (m, s) in enumerate(zip(slices, scores, strict=True))]


@pytest.fixture(scope="module")
def decisions() -> list[Decision]:
    return _scenario()[1]


def test_slice_0_buys_half_and_half(decisions: list[Decision]) -> None:
    """5,000 in each name at the closes: 50 units at 100, 100 units at 50."""
    d = decisions[0]
    assert d.target.tolist() == [0.5, 0.5]
    assert d.orders.order_id.tolist() == order_ids(0, 2).tolist()
    np.testing.assert_allclose(d.orders.quantity, [50.0, 100.0])
    assert (d.equity, d.cash, len(d.fills)) == (10_000.0, 10_000.0, 0)


def test_slice_1_fills_at_the_open_as_far_as_volume_allows(decisions: list[Decision]) -> None:
    """Opens 101 and 51 plus 10 bp; a tenth of 300 units is 30 of the 50; 5 bp commission; marked at the close."""
    d = decisions[1]
    np.testing.assert_allclose(d.fills.quantity, [30.0, 100.0])
    np.testing.assert_allclose(d.fills.price, [101.101, 51.051], rtol=1e-14)
    np.testing.assert_allclose(d.fills.spread_cost, [30 * 0.101, 100 * 0.051], rtol=1e-12)
    np.testing.assert_allclose(d.fills.commission, [3033.03 * 5e-4, 5105.1 * 5e-4], rtol=1e-13)
    assert d.fills.fill_id.tolist() == fill_ids(order_ids(0, 2), np.zeros(2, np.int64)).tolist()
    assert d.fills.ts_ns.tolist() == [2 * HOUR + NS] * 2
    cash = 10_000.0 - 3033.03 - 5105.1 - (3033.03 + 5105.1) * 5e-4
    assert d.cash == pytest.approx(cash, rel=1e-14)
    assert d.equity == pytest.approx(cash + 30.0 * 102.0 + 100.0 * 52.0, rel=1e-14)


def test_slice_1_replaces_the_rest(decisions: list[Decision]) -> None:
    """The 20 units that still worked are withdrawn; the new order leads to half of the equity of now."""
    d = decisions[1]
    assert [(w.symbol_id, w.reason) for w in d.withdrawals] == [(0, "replaced")]
    assert d.withdrawals[0].remaining == pytest.approx(20.0)
    equity = d.equity
    assert d.orders.symbol_id.tolist() == [1, 0]
    assert d.orders.side.tolist() == [-1, 1]
    np.testing.assert_allclose(
        d.orders.quantity, [100.0 - 0.5 * equity / 52.0, 0.5 * equity / 102.0 - 30.0], rtol=1e-12
    )


def test_slice_2_holds_what_abstains_and_what_is_near(decisions: list[Decision]) -> None:
    """Name 0 abstains but is beyond its limit: cut to 0.5. Name 1 is within the band: left alone."""
    before, d = decisions[1], decisions[2]
    np.testing.assert_allclose(d.positions, [0.5 * before.equity / 102.0, 0.5 * before.equity / 52.0], rtol=1e-12)
    sold, bought = before.orders.quantity
    paid = bought * 103.0 * 1.001
    got = sold * 52.0 * 0.999
    assert d.cash == pytest.approx(before.cash - paid + got - (paid + got) * 5e-4, rel=1e-13)
    weights = d.positions * [104.0, 52.0] / d.equity
    assert weights[0] > 0.5 > weights[1] > 0.48
    assert d.target[0] == pytest.approx(0.5)
    assert d.target[1] == weights[1]
    assert d.orders.symbol_id.tolist() == [0]
    assert d.orders.quantity[0] == pytest.approx((weights[0] - 0.5) * d.equity / 104.0)


def test_slice_3_marks_a_missing_name_at_its_last_price(decisions: list[Decision]) -> None:
    """Name 1 has no bar: it stays at 52, and its orders work on until it has one."""
    d = decisions[3]
    assert d.prices.tolist() == [110.0, 52.0]
    assert d.fills.symbol_id.tolist() == [0]
    assert d.fills.price[0] == pytest.approx(105.0 * 0.999)
    assert d.equity == pytest.approx(d.cash + d.positions @ [110.0, 52.0], rel=1e-14)


def test_slice_4_fills_closes_and_closes_only(decisions: list[Decision]) -> None:
    """Without opens the orders of slice 3 meet the closes, stamped with them."""
    before, d = decisions[3], decisions[4]
    assert len(before.orders) == len(d.fills)
    np.testing.assert_allclose(
        d.fills.price, np.array([110.0, 40.0])[d.fills.symbol_id] * (1.0 + d.fills.side * 1e-3), rtol=1e-14
    )
    assert set(d.fills.ts_ns.tolist()) == {6 * HOUR}
    signed = np.bincount(d.fills.symbol_id, d.fills.side * d.fills.quantity, minlength=2)
    np.testing.assert_allclose(d.positions, before.positions + signed)


def test_the_ledger_adds_up() -> None:
    """After all: cash and positions equal initial cash plus profit less commission, and totals equal the fills."""
    loop, decisions = _scenario()
    ledger = loop.ledger
    profit = ledger.realised_pnl + ledger.unrealised_pnl - ledger.commission
    assert ledger.equity == pytest.approx(10_000.0 + profit, rel=1e-12)
    assert ledger.commission == pytest.approx(sum(d.fills.commission.sum() for d in decisions))
    assert ledger.spread_cost == pytest.approx(sum(d.fills.spread_cost.sum() for d in decisions))
