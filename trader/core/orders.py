"""Orders, fills and denials as columnar messages, with deterministic ids.

An order id packs what identifies an order: the sequence number of its decision and its place in that decision.
The same decisions therefore give the same ids in a backtest, in a run and after a restart, and a repeated
write is recognised as a repeat.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from trader.core.columns import Columns

__all__ = [
    "DENIAL_REASONS",
    "FILLS_PER_ORDER",
    "ORDERS_PER_DECISION",
    "Denial",
    "DenialReason",
    "FillBatch",
    "OrderBatch",
    "OrderKind",
    "TimeInForce",
    "TradingState",
    "fill_ids",
    "first_fill_id",
    "first_order_id",
    "format_fill_id",
    "format_order_id",
    "order_ids",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ORDERS_PER_DECISION_BITS = 16
_FILLS_PER_ORDER_BITS = 12

ORDERS_PER_DECISION = 1 << _ORDERS_PER_DECISION_BITS
"""Ids that belong to one decision."""

FILLS_PER_ORDER = 1 << _FILLS_PER_ORDER_BITS
"""Ids that belong to the fills of one order."""


class OrderKind(enum.IntEnum):
    """How an order may be priced."""

    MARKET = 0
    LIMIT = 1


class TimeInForce(enum.IntEnum):
    """How long an order works."""

    GTC = 0
    """Until filled or cancelled."""
    IOC = 1
    """The first event only; the rest is cancelled."""


class TradingState(enum.StrEnum):
    """What the risk gate lets through."""

    ACTIVE = "active"
    REDUCING = "reducing"
    """Only orders that bring a position nearer to zero."""
    HALTED = "halted"
    """No order at all; open orders are cancelled."""


class DenialReason(enum.StrEnum):
    """Why the risk gate refused an order."""

    HALTED = "halted"
    REDUCING_ONLY = "reducing_only"
    STALE_DATA = "stale_data"
    NO_PRICE = "no_price"
    INVALID_QUANTITY = "invalid_quantity"
    PRICE_COLLAR = "price_collar"
    POSITION_LIMIT = "position_limit"
    GROSS_LIMIT = "gross_limit"
    NET_LIMIT = "net_limit"
    CONCENTRATION = "concentration"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    ORDER_RATE = "order_rate"
    VAR_LIMIT = "var_limit"
    ES_LIMIT = "es_limit"
    STALE_RISK = "stale_risk"
    UNKNOWN_RISK = "unknown_risk"


DENIAL_REASONS: tuple[DenialReason, ...] = tuple(DenialReason)


@dataclasses.dataclass(frozen=True, slots=True)
class Denial:
    """One refused order. `limit` and `value` are in the unit of the rule: weights, returns or counts."""

    order_id: int
    symbol_id: int
    reason: DenialReason
    value: float
    limit: float


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class OrderBatch(Columns):
    """Orders of one decision. `side` is +1 or -1, `quantity` is positive, `limit_price` NaN for market orders.

    `ts_ns` is the time of the decision, `reference_price` the price it was sized on.
    """

    order_id: IntArray
    symbol_id: NDArray[np.int32]
    side: NDArray[np.int8]
    quantity: FloatArray
    kind: NDArray[np.int8]
    limit_price: FloatArray
    time_in_force: NDArray[np.int8]
    ts_ns: IntArray
    reference_price: FloatArray

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {
        "order_id": np.int64,
        "symbol_id": np.int32,
        "side": np.int8,
        "quantity": np.float64,
        "kind": np.int8,
        "limit_price": np.float64,
        "time_in_force": np.int8,
        "ts_ns": np.int64,
        "reference_price": np.float64,
    }


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FillBatch(Columns):
    """Executions. `price` is what was paid or received per unit, slippage included.

    `commission` is charged to cash on top; `spread_cost` and `impact_cost` are the parts of the price, in
    currency, that half-spread and market impact took: they are reported, and already inside `price`.
    """

    fill_id: IntArray
    order_id: IntArray
    symbol_id: NDArray[np.int32]
    side: NDArray[np.int8]
    quantity: FloatArray
    price: FloatArray
    commission: FloatArray
    spread_cost: FloatArray
    impact_cost: FloatArray
    ts_ns: IntArray

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {
        "fill_id": np.int64,
        "order_id": np.int64,
        "symbol_id": np.int32,
        "side": np.int8,
        "quantity": np.float64,
        "price": np.float64,
        "commission": np.float64,
        "spread_cost": np.float64,
        "impact_cost": np.float64,
        "ts_ns": np.int64,
    }


def order_ids(seq: int, count: int) -> IntArray:
    """Return the ids of the `count` orders of decision `seq`, shape (count,).

    >>> order_ids(3, 2).tolist()
    [196608, 196609]
    """
    if count >= 1 << _ORDERS_PER_DECISION_BITS:
        raise ValueError(f"count={count}; a decision may hold {(1 << _ORDERS_PER_DECISION_BITS) - 1} orders")
    return (np.int64(seq) << _ORDERS_PER_DECISION_BITS) + np.arange(count, dtype=np.int64)


def first_order_id(seq: int) -> int:
    """Return the lowest id an order of decision `seq` can have; all orders of earlier ones are below it.

    >>> first_order_id(3)
    196608
    """
    return seq << _ORDERS_PER_DECISION_BITS


def first_fill_id(order_id: int) -> int:
    """Return the lowest id a fill of an order can have; all fills of orders with lower ids are below it.

    >>> first_fill_id(3)
    12288
    """
    return order_id << _FILLS_PER_ORDER_BITS


def fill_ids(order_id: IntArray, nth: IntArray) -> IntArray:
    """Return the ids of the `nth` (from 0) fills of orders, elementwise."""
    return (order_id << _FILLS_PER_ORDER_BITS) + nth


def format_order_id(order_id: int) -> str:
    """Return the form people and files see: decision and place.

    >>> format_order_id(196609)
    'O-00000003-0001'
    """
    return f"O-{order_id >> _ORDERS_PER_DECISION_BITS:08d}-{order_id & ((1 << _ORDERS_PER_DECISION_BITS) - 1):04d}"


def format_fill_id(fill_id: int) -> str:
    """Return the form people and files see: decision, place and number of the fill.

    >>> format_fill_id((196609 << 12) + 2)
    'F-00000003-0001-02'
    """
    nth = fill_id & ((1 << _FILLS_PER_ORDER_BITS) - 1)
    return f"F{format_order_id(fill_id >> _FILLS_PER_ORDER_BITS)[1:]}-{nth:02d}"
