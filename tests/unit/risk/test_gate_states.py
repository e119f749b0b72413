from __future__ import annotations

import json

import numpy as np
import pytest

from risk.gate import RiskGate
from tests.support.trading import DAY_NS, NS, orders_of
from trader.core.decision import StateChange
from trader.core.orders import DenialReason, OrderBatch, TradingState
from trader.settings.sections import GateSettings

ACTIVE, REDUCING, HALTED = TradingState


def _gate(**limits: float | None) -> RiskGate:
    return RiskGate(1, GateSettings(**{"max_daily_loss": 0.05, "max_drawdown": 0.2, **limits}))


def _reasons(gate: RiskGate, ts_ns: int, equity: float, orders: OrderBatch) -> list[tuple[DenialReason, float, float]]:
    _, denials = gate.check(
        orders,
        ts_ns=ts_ns,
        positions=np.zeros(1),
        prices=np.array([100.0]),
        price_ts_ns=np.array([ts_ns]),
        equity=equity,
        open_quantity=np.zeros(1),
    )
    return [(d.reason, d.value, d.limit) for d in denials]


def test_a_daily_loss_reduces_until_the_next_day() -> None:
    """Measured from the previous day's last equity; a loss at the limit is allowed."""
    gate = _gate()
    gate.observe(0, 100.0)
    gate.observe(DAY_NS, 95.0)
    assert gate.take_changes() == ()
    gate.observe(DAY_NS + NS, 94.0)
    assert gate.take_changes() == (
        StateChange(ACTIVE, REDUCING, "daily_loss", "lost 6.00% of equity in a day; the limit is 5.00%"),
    )
    assert _reasons(gate, DAY_NS + NS, 94.0, orders_of({})) == [(DenialReason.DAILY_LOSS, pytest.approx(0.06), 0.05)]
    gate.observe(2 * DAY_NS, 93.0)
    assert gate.take_changes() == (StateChange(REDUCING, ACTIVE, "daily_loss", "a new day began"),)


def test_days_may_begin_elsewhere_than_midnight() -> None:
    """With a session that begins at 22:00 UTC, 21:59 is still the day before."""
    gate = RiskGate(1, GateSettings(max_daily_loss=0.05), day_start_ns=22 * 3600 * NS)
    gate.observe(22 * 3600 * NS, 100.0)
    gate.observe(DAY_NS + 21 * 3600 * NS, 94.0)
    assert gate.trading_state is REDUCING
    gate.observe(DAY_NS + 22 * 3600 * NS, 94.0)
    assert gate.trading_state is ACTIVE


def test_a_new_day_that_loses_at_once_stays_reducing() -> None:
    """Both changes are reported."""
    gate = _gate()
    for day, equity in enumerate([100.0, 94.0, 88.0]):
        gate.observe(day * DAY_NS, equity)
    assert [(c.previous, c.current) for c in gate.take_changes()] == [
        (ACTIVE, REDUCING),
        (REDUCING, ACTIVE),
        (ACTIVE, REDUCING),
    ]


def test_a_drawdown_halts_until_a_person_resumes() -> None:
    """A new day does not lift it; a resume accepts the loss and measures from there."""
    gate = _gate(max_daily_loss=None)
    for day, equity in enumerate([100.0, 120.0, 95.0, 110.0]):
        gate.observe(day * DAY_NS, equity)
    assert gate.take_changes() == (
        StateChange(ACTIVE, HALTED, "drawdown", "equity is 20.83% below its peak; the limit is 20.00%"),
    )
    assert _reasons(gate, 3 * DAY_NS, 110.0, orders_of({})) == [(DenialReason.DRAWDOWN, pytest.approx(1 / 12), 0.2)]
    gate.set_state(ACTIVE, "ann", "looked into it")
    gate.observe(4 * DAY_NS, 90.0)
    assert gate.take_changes() == (StateChange(HALTED, ACTIVE, "ann", "looked into it"),)
    gate.observe(5 * DAY_NS, 87.0)
    assert gate.trading_state is HALTED


def test_a_person_s_state_outlasts_the_day() -> None:
    """Only what a rule imposed for the day is lifted by the next."""
    gate = _gate()
    gate.observe(0, 100.0)
    gate.set_state(REDUCING, "ann", "news")
    gate.observe(DAY_NS, 100.0)
    assert gate.trading_state is REDUCING
    assert _reasons(gate, DAY_NS, 100.0, orders_of({}))[0][0] is DenialReason.REDUCING_ONLY


def test_resuming_within_a_losing_day_lasts() -> None:
    """The loss before it is accepted, a further one counts."""
    gate = _gate()
    gate.observe(0, 100.0)
    gate.observe(1, 94.0)
    gate.set_state(ACTIVE, "ann", "known")
    gate.observe(2, 93.9)
    assert gate.trading_state is ACTIVE
    gate.observe(3, 89.0)
    assert gate.trading_state is REDUCING


def test_setting_the_present_state_is_no_change() -> None:
    """Nothing is reported."""
    gate = _gate()
    gate.set_state(ACTIVE, "ann", "sure")
    assert gate.take_changes() == ()


def test_state_goes_on_through_json() -> None:
    """Rate, losses, cause and unreported changes included."""
    gate, other = _gate(max_orders_per_minute=2), _gate(max_orders_per_minute=2)
    gate.observe(0, 100.0)
    _reasons(gate, 1, 100.0, orders_of({"quantity": 1e-3}))
    gate.observe(2, 94.0)
    other.restore(json.loads(json.dumps(gate.state())))
    assert other.take_changes() == gate.take_changes() != ()
    assert other.state() == gate.state()
    for ts_ns, equity in ((3, 94.0), (DAY_NS, 94.0), (DAY_NS + 1, 60.0)):
        orders = orders_of({"quantity": 1e-3}, {"quantity": 1e-3}, {"quantity": 1e-3})
        assert _reasons(other, ts_ns, equity, orders) == _reasons(gate, ts_ns, equity, orders)
        assert other.trading_state is gate.trading_state
