from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from risk.gate import RiskGate
from tests.support.trading import NS, orders_of
from trader.core.orders import Denial, DenialReason, OrderBatch, OrderKind, TradingState
from trader.settings.sections import GateSettings

OFF: dict[str, Any] = {
    "max_position_weight": None,
    "max_gross": None,
    "max_net": None,
    "max_herfindahl": None,
    "concentration_floor": 0.0,
    "max_daily_loss": None,
    "max_drawdown": None,
    "max_orders_per_minute": None,
    "price_collar": None,
    "max_data_age_s": None,
}
PRICES = np.array([100.0, 50.0, 10.0])
EQUITY = 1_000.0


def _gate(**limits: Any) -> RiskGate:
    return RiskGate(3, GateSettings(**{**OFF, **limits}))


def _check(gate: RiskGate, orders: OrderBatch, **given: Any) -> tuple[list[int], list[Denial]]:
    """Ids that passed, and denials."""
    scene = {
        "ts_ns": NS,
        "positions": np.zeros(3),
        "prices": PRICES,
        "price_ts_ns": np.full(3, NS),
        "equity": EQUITY,
        "open_quantity": np.zeros(3),
        **given,
    }
    passed, denials = gate.check(orders, **scene)
    return passed.order_id.tolist(), list(denials)


def _buy(symbol_id: int, quantity: float) -> dict[str, Any]:
    return {"symbol_id": symbol_id, "quantity": quantity}


def _sell(symbol_id: int, quantity: float) -> dict[str, Any]:
    return {"symbol_id": symbol_id, "side": -1, "quantity": quantity}


def test_without_limits_all_pass_as_they_are() -> None:
    """The same batch comes back."""
    orders = orders_of(_buy(0, 1e6), _sell(1, 1e6))
    passed, denials = _gate().check(
        orders,
        ts_ns=1,
        positions=np.zeros(3),
        prices=PRICES,
        price_ts_ns=np.zeros(3, np.int64),
        equity=EQUITY,
        open_quantity=np.zeros(3),
    )
    assert passed is orders
    assert denials == ()


def test_position_limit_counts_what_passed_before() -> None:
    """10 % is 1 unit of symbol 0: the first order uses it up, the second is refused with both numbers."""
    passed, denials = _check(_gate(max_position_weight=0.1), orders_of(_buy(0, 1.0), _buy(0, 0.5), _buy(1, 1.0)))
    assert passed == [0, 2]
    assert denials == [Denial(1, 0, DenialReason.POSITION_LIMIT, pytest.approx(0.15), 0.1)]


def test_position_limit_counts_working_orders() -> None:
    """A working buy of one unit has used the limit up, though nothing is held."""
    passed, denials = _check(
        _gate(max_position_weight=0.1), orders_of(_buy(0, 0.5)), open_quantity=np.array([1.0, 0.0, 0.0])
    )
    assert passed == []
    assert denials[0].reason is DenialReason.POSITION_LIMIT


def test_gross_limit() -> None:
    """Long and short add up."""
    passed, denials = _check(_gate(max_gross=0.5), orders_of(_buy(0, 3.0), _sell(1, 4.0), _buy(2, 1.0)))
    assert passed == [0, 1]
    assert denials == [Denial(2, 2, DenialReason.GROSS_LIMIT, pytest.approx(0.51), 0.5)]


def test_net_limit() -> None:
    """Long and short set each other off; an order that brings the net back passes."""
    orders = orders_of(_buy(0, 3.0), _buy(1, 2.0), _sell(1, 4.0), _buy(2, 10.0))
    passed, denials = _check(_gate(max_net=0.3), orders)
    assert passed == [0, 2, 3]
    assert denials == [Denial(1, 1, DenialReason.NET_LIMIT, pytest.approx(0.4), 0.3)]


def test_concentration_limit() -> None:
    """Weights 20 % and 30 % give (0.04 + 0.09) / 0.25 = 0.52, 20 % and 40 % give 0.2 / 0.36; one name gives 1."""
    positions = np.array([2.0, 0.0, 0.0])
    orders = orders_of(_buy(0, 1.0), _buy(1, 6.0), _buy(1, 2.0))
    passed, denials = _check(_gate(max_herfindahl=0.53), orders, positions=positions)
    assert passed == [1]
    assert denials == [
        Denial(0, 0, DenialReason.CONCENTRATION, pytest.approx(1.0), 0.53),
        Denial(2, 1, DenialReason.CONCENTRATION, pytest.approx(0.2 / 0.36), 0.53),
    ]


def test_concentration_is_not_judged_below_its_floor() -> None:
    """A book is concentrated while it is being built."""
    positions = np.array([2.0, 0.0, 0.0])
    orders = orders_of(_buy(0, 1.0), _buy(1, 6.0), _buy(1, 2.0))
    lenient = _gate(max_herfindahl=0.53, concentration_floor=0.9)
    assert _check(lenient, orders, positions=positions)[0] == [0, 1, 2]


def test_reducing_orders_meet_no_limit_of_exposure() -> None:
    """Far beyond every limit, closing still passes, and leaves room for nothing else."""
    gate = _gate(max_position_weight=0.0, max_gross=0.0, max_net=0.0, max_herfindahl=0.01)
    positions = np.array([10.0, -10.0, 0.0])
    passed, denials = _check(gate, orders_of(_sell(0, 4.0), _buy(1, 10.0), _sell(0, 7.0)), positions=positions)
    assert passed == [0, 1]
    assert [d.order_id for d in denials] == [2]


def test_a_flip_that_stays_within_limits_passes() -> None:
    """It does not reduce, so limits are checked; the smaller position fits."""
    positions = np.array([1.0, 0.0, 0.0])
    gate = _gate(max_position_weight=0.1, max_gross=0.1, max_net=0.1)
    assert _check(gate, orders_of(_sell(0, 1.5)), positions=positions)[0] == [0]
    assert _check(gate, orders_of(_sell(0, 2.5)), positions=positions)[0] == []


def test_price_collar_judges_limit_prices() -> None:
    """20 % off passes, more does not; a missing limit price neither; market orders are not judged."""
    limit = {"kind": OrderKind.LIMIT}
    orders = orders_of(
        {**_buy(0, 1.0), **limit, "limit_price": 120.0},
        {**_buy(0, 1.0), **limit, "limit_price": 121.0},
        {**_sell(0, 1.0), **limit, "limit_price": 79.0},
        {**_buy(0, 1.0), **limit},
        _buy(0, 1.0),
    )
    passed, denials = _check(_gate(price_collar=0.2), orders)
    assert passed == [0, 4]
    assert {d.reason for d in denials} == {DenialReason.PRICE_COLLAR}
    assert denials[0].value == pytest.approx(0.21)


def test_stale_and_missing_prices() -> None:
    """Even reducing orders need a price, and one that is not too old; the age is in seconds."""
    prices = np.array([100.0, np.nan, 10.0])
    ages = np.array([50 * NS, 0, 100 * NS])
    passed, denials = _check(
        _gate(max_data_age_s=60.0),
        orders_of(_sell(0, 1.0), _buy(1, 1.0), _buy(2, 1.0)),
        ts_ns=111 * NS,
        positions=np.array([5.0, 0.0, 0.0]),
        prices=prices,
        price_ts_ns=ages,
    )
    assert passed == [2]
    assert denials[0] == Denial(0, 0, DenialReason.STALE_DATA, pytest.approx(61.0), pytest.approx(60.0))
    assert denials[1].reason is DenialReason.NO_PRICE


@pytest.mark.parametrize(
    "bad", [{"quantity": 0.0}, {"quantity": -1.0}, {"quantity": np.nan}, {"quantity": np.inf}, {"side": 0}]
)
def test_invalid_quantities(bad: dict[str, float]) -> None:
    """Are refused before anything else looks at them."""
    _, denials = _check(_gate(), orders_of(bad))
    assert [d.reason for d in denials] == [DenialReason.INVALID_QUANTITY]


@pytest.mark.parametrize("symbol_id", [-1, 3])
def test_an_unknown_symbol_has_no_price(symbol_id: int) -> None:
    """It is refused, not looked up."""
    _, denials = _check(_gate(), orders_of(_buy(symbol_id, 1.0)))
    assert [d.reason for d in denials] == [DenialReason.NO_PRICE]


def test_order_rate_over_any_minute() -> None:
    """Three within 60 seconds of event time; when the first is a minute old there is room again."""
    gate = _gate(max_orders_per_minute=3)
    two = orders_of(_buy(0, 1.0), _buy(1, 1.0))
    assert _check(gate, two, ts_ns=10 * NS)[0] == [0, 1]
    passed, denials = _check(gate, two, ts_ns=40 * NS)
    assert passed == [0]
    assert denials == [Denial(1, 1, DenialReason.ORDER_RATE, 4.0, 3.0)]
    assert _check(gate, two, ts_ns=69 * NS)[0] == []
    assert _check(gate, two, ts_ns=70 * NS)[0] == [0, 1]


@pytest.mark.parametrize("equity", [0.0, -5.0, np.nan])
def test_without_equity_only_reducing_orders_pass(equity: float) -> None:
    """Weights have no meaning then."""
    positions = np.array([5.0, 0.0, 0.0])
    passed, denials = _check(_gate(), orders_of(_sell(0, 1.0), _buy(1, 1.0)), positions=positions, equity=equity)
    assert passed == [0]
    assert denials[0].reason is DenialReason.REDUCING_ONLY


def test_reducing_lets_positions_shrink_only() -> None:
    """No growth, no flip, and no sale against a buy that may never fill."""
    gate = _gate(trading_state="reducing")
    orders = orders_of(_sell(0, 2.0), _sell(0, 4.0), _buy(1, 1.0), _sell(2, 1.0))
    passed, denials = _check(
        gate, orders, positions=np.array([5.0, -1.0, 0.0]), open_quantity=np.array([0.0, 0.0, 3.0])
    )
    assert passed == [0, 2]
    assert [(d.order_id, d.reason) for d in denials] == [
        (1, DenialReason.REDUCING_ONLY),
        (3, DenialReason.REDUCING_ONLY),
    ]


def test_halted_lets_nothing_pass() -> None:
    """Not even what reduces."""
    gate = _gate(trading_state="halted")
    passed, denials = _check(gate, orders_of(_sell(0, 1.0)), positions=np.array([5.0, 0.0, 0.0]))
    assert passed == []
    assert [d.reason for d in denials] == [DenialReason.HALTED]
    assert gate.trading_state is TradingState.HALTED
