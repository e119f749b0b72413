"""Compiled matching of open orders with one slice of the market.

Times are UTC ns. An order meets the first price known at or after its active time: the bar's open if the bar
began by then, else its close. The rules are stated in `trader.execution.broker`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.core.orders import FILLS_PER_ORDER
from trader.execution.costs import MAX_SLIPPAGE, commission_due, half_spread, square_root_impact
from trader.execution.kernels import whole_lots

__all__ = [
    "ENDED_BY_NUMBER",
    "ENDED_BY_TIME",
    "ENDED_FILLED",
    "KNOWN",
    "LAST_ID",
    "N_OPEN",
    "OPEN_ORDER",
    "REJECTIONS",
    "REPLACED",
    "TERMS",
    "WORKING",
    "BookArrays",
    "admissible",
    "admit_orders",
    "match_orders",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Records = NDArray[np.record]

OPEN_ORDER = np.dtype(
    [
        ("order_id", np.int64),
        ("decided_ns", np.int64),
        ("active_ns", np.int64),
        ("symbol_id", np.int32),
        ("side", np.int8),
        ("kind", np.int8),
        ("time_in_force", np.int8),
        ("limit_price", np.float64),
        ("remaining", np.float64),
        ("n_fills", np.int64),
        ("executed_value", np.float64),
        ("charged", np.float64),
        ("status", np.int64),
    ],
    align=True,
)
"""A working order: `executed_value` and `charged` (commission) in currency so far, `status` as below."""

TERMS = np.dtype(
    [
        (name, np.float64)
        for name in (
            "half_spread",
            "impact_coefficient",
            "assumed_daily_dollar_volume",
            "max_participation",
            "commission_rate",
            "commission_minimum",
            "lot_size",
        )
    ]
)
"""The broker's terms as one record: fractions, currency and units as in `ExecutionSettings`."""

N_OPEN, LAST_ID = range(2)
"""Places in `BookArrays.counts`: how many orders are open, and the highest id known."""

WORKING, ENDED_FILLED, ENDED_BY_TIME, ENDED_BY_NUMBER, REPLACED = range(5)
"""The status of an order: works on, filled, IOC over, as many fills as there are ids for them, replaced."""

ADMITTED, KNOWN, BAD_QUANTITY, BAD_SYMBOL, BAD_LIMIT, BAD_SIDE, BAD_KIND = range(7)
REJECTIONS = ("", "", "invalid_quantity", "unknown_symbol", "invalid_limit_price", "invalid_side", "unknown_kind")
"""Reasons by code, as withdrawals name them."""

DEFAULT_DAILY_VOLATILITY = 0.02
"""Used for impact until a name has two daily closes."""

_MARKET, _LIMIT = 0, 1
_IOC = 1


class BookArrays(NamedTuple):
    """Open orders and the broker's terms, for compiled loops that match and admit."""

    orders: NDArray[Any]
    """Of `OPEN_ORDER`; the first ones are open."""
    counts: IntArray
    """Shape (2,), by `N_OPEN` and `LAST_ID`."""
    terms: NDArray[Any]
    """One record of `TERMS`."""
    latency_ns: int


@njit(cache=True)
def admission(side: int, quantity: float, kind: int, limit_price: float, symbol_id: int, n_symbols: int) -> int:
    """Return the code of what is wrong with an order, or ADMITTED."""
    if not (np.isfinite(quantity) and quantity > 0.0):
        return BAD_QUANTITY
    if symbol_id < 0 or symbol_id >= n_symbols:
        return BAD_SYMBOL
    if side != 1 and side != -1:
        return BAD_SIDE
    if kind != _MARKET and kind != _LIMIT:
        return BAD_KIND
    if kind == _LIMIT and not (np.isfinite(limit_price) and limit_price > 0.0):
        return BAD_LIMIT
    return ADMITTED


@njit(cache=True)
def admissible(
    symbol_id: NDArray[np.int32],
    side: NDArray[np.int8],
    quantity: FloatArray,
    kind: NDArray[np.int8],
    limit_price: FloatArray,
    n_symbols: int,
) -> bool:
    """Return whether `admit_orders` would reject none of these."""
    for row in range(symbol_id.size):
        if admission(side[row], quantity[row], kind[row], limit_price[row], symbol_id[row], n_symbols) != ADMITTED:
            return False
    return True


@njit(cache=True)
def admit_orders(
    book: Records,
    n_open: int,
    order_id: IntArray,
    symbol_id: NDArray[np.int32],
    side: NDArray[np.int8],
    quantity: FloatArray,
    kind: NDArray[np.int8],
    limit_price: FloatArray,
    time_in_force: NDArray[np.int8],
    ts_ns: IntArray,
    latency_ns: int,
    n_symbols: int,
    last_id: int,
    codes: NDArray[np.int8],
) -> tuple[int, int, int]:
    """Append valid new orders to the book, which has room for all, and write a code for each row.

    Returns how many are open now, how many were rejected, and the highest id known.
    """
    n_rejected, highest = 0, last_id
    for row in range(order_id.size):
        if order_id[row] <= last_id:
            codes[row] = KNOWN
            continue
        highest = max(highest, order_id[row])
        codes[row] = admission(side[row], quantity[row], kind[row], limit_price[row], symbol_id[row], n_symbols)
        if codes[row] != ADMITTED:
            n_rejected += 1
            continue
        order = book[n_open]
        n_open += 1
        order.order_id = order_id[row]
        order.decided_ns = ts_ns[row]
        order.active_ns = ts_ns[row] + latency_ns
        order.symbol_id = symbol_id[row]
        order.side = side[row]
        order.kind = kind[row]
        order.time_in_force = time_in_force[row]
        order.limit_price = limit_price[row]
        order.remaining = quantity[row]
        order.n_fills = 0
        order.executed_value = 0.0
        order.charged = 0.0
        order.status = WORKING
    return n_open, n_rejected, highest


@njit(cache=True)
def meet(
    kind: int,
    side: int,
    limit_price: float,
    at_open: bool,
    open_: float,
    high: float,
    low: float,
    close: float,
) -> tuple[float, bool]:
    """Return the price an order meets in a bar (NaN for none) and whether it takes liquidity there.

    A limit order that is marketable on arrival takes. One that waits from the open on is met at its limit if
    the bar trades through it; of an order that arrived within the bar only the close is known to come later.
    """
    arrival = open_ if at_open else close
    if kind == _MARKET or side * (limit_price - arrival) >= 0.0:
        return arrival, True
    if at_open:
        extreme = low if side > 0 else high
        if not np.isfinite(extreme):
            extreme = close
        if side * (limit_price - extreme) > 0.0:
            return limit_price, False
    return np.nan, False


@njit(cache=True)
def slippage(
    order: np.record,
    reference: float,
    quantity: float,
    quoted: float,
    volatility: float,
    volume: float,
    term: np.record,
) -> tuple[float, float]:
    """Return what spread and impact take of an order that takes liquidity, relative to the reference price.

    A limit order pays no more than its limit: impact is cut first. Volatility and volume are daily.
    """
    bound = MAX_SLIPPAGE
    if order.kind == _LIMIT:
        bound = min(bound, order.side * (order.limit_price / reference - 1.0))
    if not np.isfinite(volume):
        volume = term.assumed_daily_dollar_volume / reference
    if not np.isfinite(volatility):
        volatility = DEFAULT_DAILY_VOLATILITY
    spread = min(half_spread(quoted, reference, term.half_spread), bound)
    impact = square_root_impact(quantity, volume, volatility, term.impact_coefficient)
    return spread, min(impact, bound - spread)


@njit(cache=True)
def obtainable(remaining: float, bar_volume: float, taken: float, term: np.record) -> float:
    """Return how much of an order the bar can fill; an unknown volume (NaN) fills all of it."""
    if not np.isfinite(bar_volume):
        return remaining
    capacity = max(term.max_participation * bar_volume - taken, 0.0)
    return remaining if remaining <= capacity else whole_lots(capacity, term.lot_size)


@njit(cache=True)
def execute(
    order: np.record, fill: np.record, quantity: float, reference: float, spread: float, impact: float, term: np.record
) -> None:
    """Fill `quantity` of an order and write the fill, but for its time; both in place."""
    price = reference * (1.0 + order.side * (spread + impact))
    if order.kind == _LIMIT:
        # Rounding may not carry the price beyond the limit.
        price = order.side * min(order.side * price, order.side * order.limit_price)
    order.executed_value += quantity * price
    commission = commission_due(order.executed_value, term.commission_rate, term.commission_minimum, order.charged)
    order.charged += commission
    fill.fill_id = order.order_id * FILLS_PER_ORDER + order.n_fills
    fill.order_id = order.order_id
    fill.symbol_id = order.symbol_id
    fill.side = order.side
    fill.quantity = quantity
    fill.price = price
    fill.commission = commission
    fill.spread_cost = quantity * reference * spread
    fill.impact_cost = quantity * reference * impact
    order.remaining -= quantity
    order.n_fills += 1


@njit(cache=True)
def outcome(order: np.record) -> int:
    """Return what became of an order that has met a bar."""
    if order.remaining <= 0.0:
        return ENDED_FILLED
    if order.time_in_force == _IOC:
        return ENDED_BY_TIME
    return ENDED_BY_NUMBER if order.n_fills == FILLS_PER_ORDER else WORKING


@njit(cache=True)
def match_orders(
    book: Records,
    n_open: int,
    ts_ns: int,
    ts_open_ns: IntArray,
    bars: FloatArray,
    daily_volatility: FloatArray,
    daily_volume: FloatArray,
    terms: Records,
    fills: Records,
    unfilled: Records,
) -> tuple[int, int, int]:
    """Let every open order meet the slice; write fills, and a copy of each order that ended unfilled.

    The rows of `bars`, shape (6, n_symbols), are open, high, low, close, volume and spread.
    Orders of one name share what participation allows, in order of id. The book keeps those that work on.
    Returns how many are open, how many fills there are, and how many orders ended unfilled.
    """
    term = terms[0]
    open_, high, low, close, volume, spread = bars[0], bars[1], bars[2], bars[3], bars[4], bars[5]
    taken = np.zeros(close.size)
    n_kept, n_fills, n_unfilled = 0, 0, 0
    for row in range(n_open):
        order = book[row]
        s = order.symbol_id
        if ts_ns > order.decided_ns and ts_ns >= order.active_ns and np.isfinite(close[s]):
            at_open = np.isfinite(open_[s]) and ts_open_ns[s] >= order.active_ns
            reference, takes = meet(
                order.kind, order.side, order.limit_price, at_open, open_[s], high[s], low[s], close[s]
            )
            quantity = obtainable(order.remaining, volume[s], taken[s], term)
            if np.isfinite(reference) and quantity > 0.0:
                spread_cost, impact = 0.0, 0.0
                if takes:
                    spread_cost, impact = slippage(
                        order, reference, quantity, spread[s], daily_volatility[s], daily_volume[s], term
                    )
                execute(order, fills[n_fills], quantity, reference, spread_cost, impact, term)
                fills[n_fills].ts_ns = ts_open_ns[s] if takes and at_open else ts_ns
                taken[s] += quantity
                n_fills += 1
            order.status = outcome(order)
        if order.status == WORKING:
            book[n_kept] = order
            n_kept += 1
        elif order.status != ENDED_FILLED:
            unfilled[n_unfilled] = order
            n_unfilled += 1
    return n_kept, n_fills, n_unfilled
