"""Compiled judgement of orders, one after the other, and of losses; `risk.gate` states the rules."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trader.core.orders import DENIAL_REASONS, DenialReason

__all__ = [
    "LIMITS",
    "LOSSES",
    "MINUTE_NS",
    "NO_DAY",
    "PASSED",
    "GateArrays",
    "beyond_a_limit",
    "forget_before",
    "forget_losses",
    "judge_orders",
    "loss_beyond",
    "measure_losses",
    "note_equity",
    "note_passed",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Records = NDArray[np.record]

LIMITS = np.dtype(
    [
        (name, np.float64)
        for name in (
            "position",
            "gross",
            "net",
            "herfindahl",
            "concentration_floor",
            "price_collar",
            "data_age_ns",
        )
    ]
)
"""The limits as one record; infinite where a rule is off."""

LOSSES = np.dtype(
    [
        ("day", np.int64),
        ("day_start_ns", np.int64),
        *(
            (name, np.float64)
            for name in (
                "day_equity",
                "peak",
                "equity",
                "daily_loss",
                "drawdown",
                "max_daily_loss",
                "max_drawdown",
            )
        ),
    ]
)
"""Losses as one record: equities in currency, losses and their limits as fractions; `day` counts days."""

NO_DAY = np.iinfo(np.int64).min
"""The day before any equity was seen."""

MINUTE_NS = 60_000_000_000
"""The window of the order rate."""

PASSED = -1
"""The code of an order that no rule refuses; other codes are positions in `DENIAL_REASONS`."""

_NO_PRICE = DENIAL_REASONS.index(DenialReason.NO_PRICE)
_INVALID_QUANTITY = DENIAL_REASONS.index(DenialReason.INVALID_QUANTITY)
_STALE_DATA = DENIAL_REASONS.index(DenialReason.STALE_DATA)
_PRICE_COLLAR = DENIAL_REASONS.index(DenialReason.PRICE_COLLAR)
_REDUCING_ONLY = DENIAL_REASONS.index(DenialReason.REDUCING_ONLY)
_POSITION = DENIAL_REASONS.index(DenialReason.POSITION_LIMIT)
_GROSS = DENIAL_REASONS.index(DenialReason.GROSS_LIMIT)
_NET = DENIAL_REASONS.index(DenialReason.NET_LIMIT)
_CONCENTRATION = DENIAL_REASONS.index(DenialReason.CONCENTRATION)
_ORDER_RATE = DENIAL_REASONS.index(DenialReason.ORDER_RATE)

_LIMIT_ORDER = 1
_DAY_NS = 86_400_000_000_000
_ROUNDING = 1e-12
_TOLERANCE = 1e-9
"""Relative; sums of weights are rounded, and a target that uses a limit up may pass."""


class GateArrays(NamedTuple):
    """What the gate remembers, for compiled loops that read and write it."""

    limits: NDArray[Any]
    """One record of `LIMITS`."""
    losses: NDArray[Any]
    """One record of `LOSSES`."""
    recent: IntArray
    """Time of a decision, and how many of its orders passed, shape (n, 2)."""
    span: IntArray
    """First row of `recent` that still counts, the row after the last, and the sum of orders between; shape (3,)."""
    max_recent: int
    """Orders that may pass within a minute."""


@njit(cache=True)
def reduces(before: float, signed: float) -> bool:
    """Return whether a change brings a quantity nearer to zero without crossing it."""
    after = before + signed
    return abs(after) < abs(before) and after * before >= 0.0


@njit(cache=True)
def worse(before: float, after: float, limit: float) -> bool:
    """Return whether a measure ends beyond its limit and further out than it was."""
    return after > limit * (1.0 + _TOLERANCE) and after > before


@njit(cache=True)
def judge_message(
    symbol_id: int,
    side: int,
    quantity: float,
    kind: int,
    limit_price: float,
    prices: FloatArray,
    price_ts_ns: IntArray,
    ts_ns: int,
    limits: np.record,
) -> tuple[int, float, float]:
    """Judge what an order says by itself: code, value, limit."""
    if not (np.isfinite(quantity) and quantity > 0.0 and abs(side) == 1):
        return _INVALID_QUANTITY, side * quantity, 0.0
    if symbol_id < 0 or symbol_id >= prices.size or not prices[symbol_id] > 0.0:
        return _NO_PRICE, np.nan, 0.0
    age_ns = ts_ns - price_ts_ns[symbol_id]
    if age_ns > limits.data_age_ns:
        return _STALE_DATA, age_ns * 1e-9, limits.data_age_ns * 1e-9
    if kind == _LIMIT_ORDER:
        distance = abs(limit_price / prices[symbol_id] - 1.0)
        if not distance <= limits.price_collar:
            return _PRICE_COLLAR, distance, limits.price_collar
    return PASSED, 0.0, 0.0


@njit(cache=True)
def judge_exposure(weights: FloatArray, s: int, change: float, limits: np.record) -> tuple[int, float, float]:
    """Judge what the book becomes if the weight of `s` changes: code, value, limit."""
    gross, net, square_sum = 0.0, 0.0, 0.0
    for i in range(weights.size):
        gross += abs(weights[i])
        net += weights[i]
        square_sum += weights[i] * weights[i]
    before, after = weights[s], weights[s] + change
    new_gross = gross + abs(after) - abs(before)
    new_net = net + change
    if worse(abs(before), abs(after), limits.position):
        return _POSITION, abs(after), limits.position
    if worse(gross, new_gross, limits.gross):
        return _GROSS, new_gross, limits.gross
    if worse(abs(net), abs(new_net), limits.net):
        return _NET, abs(new_net), limits.net
    if new_gross > 0.0 and new_gross >= limits.concentration_floor:
        herfindahl = square_sum / gross**2 if gross > 0.0 else 0.0
        new_herfindahl = (square_sum + after * after - before * before) / new_gross**2
        # More of the only name leaves the measure at 1: what does not spread the book is refused as well.
        if worse(herfindahl * (1.0 - _TOLERANCE), new_herfindahl, limits.herfindahl):
            return _CONCENTRATION, new_herfindahl, limits.herfindahl
    return PASSED, 0.0, 0.0


@njit(cache=True)
def judge_orders(
    symbol_id: NDArray[np.int32],
    side: NDArray[np.int8],
    quantity: FloatArray,
    kind: NDArray[np.int8],
    limit_price: FloatArray,
    positions: FloatArray,
    open_quantity: FloatArray,
    prices: FloatArray,
    price_ts_ns: IntArray,
    ts_ns: int,
    equity: float,
    reducing_only: bool,
    n_recent: int,
    max_recent: int,
    limits: Records,
    codes: NDArray[np.int8],
    measured: FloatArray,
) -> int:
    """Write a code for each order; one that passes changes the book that the next ones see.

    `n_recent` orders passed within the last minute, and at most `max_recent` may. The rows of `measured`, shape
    (2, n_orders), receive what was measured and the limit it broke. Returns how many pass.
    """
    n_before = n_recent
    held = positions.copy()
    exposure = open_quantity.copy()
    weights = np.zeros(prices.size)
    for s in range(prices.size):
        exposure[s] += positions[s]
        if exposure[s] != 0.0 and prices[s] > 0.0 and equity > 0.0:
            weights[s] = exposure[s] * prices[s] / equity
    for row in range(symbol_id.size):
        s = symbol_id[row]
        code, value, bound = judge_message(
            s, side[row], quantity[row], kind[row], limit_price[row], prices, price_ts_ns, ts_ns, limits[0]
        )
        if code == PASSED:
            signed = side[row] * quantity[row]
            reducing = reduces(held[s], signed) and reduces(exposure[s], signed)
            if not reducing:
                if reducing_only or not equity > 0.0:
                    code, value, bound = _REDUCING_ONLY, abs(exposure[s] + signed), abs(exposure[s])
                else:
                    code, value, bound = judge_exposure(weights, s, signed * prices[s] / equity, limits[0])
        if code == PASSED and n_recent >= max_recent:
            code, value, bound = _ORDER_RATE, n_recent + 1.0, float(max_recent)
        if code == PASSED:
            n_recent += 1
            held[s] += signed
            exposure[s] += signed
            if equity > 0.0:
                weights[s] = exposure[s] * prices[s] / equity
        codes[row], measured[0, row], measured[1, row] = code, value, bound
    return n_recent - n_before


@njit(cache=True)
def forget_before(recent: IntArray, span: IntArray, ts_ns: int) -> None:
    """Let orders that passed at or before `ts_ns` count no longer; arrays as in `GateArrays`."""
    while span[0] < span[1] and recent[span[0], 0] <= ts_ns:
        span[2] -= recent[span[0], 1]
        span[0] += 1


@njit(cache=True)
def note_passed(recent: IntArray, span: IntArray, ts_ns: int, count: int) -> None:
    """Remember that `count` orders passed; `recent` must have a row left."""
    recent[span[1], 0] = ts_ns
    recent[span[1], 1] = count
    span[1] += 1
    span[2] += count


@njit(cache=True)
def loss_beyond(loss: float, limit: float) -> bool:
    """Return whether a loss is beyond its limit."""
    return loss > limit + _ROUNDING


@njit(cache=True)
def beyond_a_limit(losses: Records) -> bool:
    """Return whether the loss of the day or from the peak is beyond its limit."""
    watch = losses[0]
    beyond: bool = loss_beyond(watch.daily_loss, watch.max_daily_loss) or loss_beyond(
        watch.drawdown, watch.max_drawdown
    )
    return beyond


@njit(cache=True)
def loss_from(reference: float, equity: float) -> float:
    """Return the loss from `reference` as a fraction at or above 0."""
    return max(1.0 - equity / reference, 0.0) if reference > 0.0 else 0.0


@njit(cache=True)
def measure_losses(losses: Records) -> None:
    """Measure both losses at the last equity, in place."""
    watch = losses[0]
    watch.daily_loss = loss_from(watch.day_equity, watch.equity)
    watch.drawdown = loss_from(watch.peak, watch.equity)


@njit(cache=True)
def forget_losses(losses: Records) -> None:
    """Measure both losses from the last equity on, in place."""
    watch = losses[0]
    watch.day_equity = watch.equity
    watch.peak = watch.equity
    measure_losses(losses)


@njit(cache=True)
def note_equity(losses: Records, ts_ns: int, equity: float) -> bool:
    """Take the equity at an instant, in place; return whether a new day began."""
    watch = losses[0]
    day = (ts_ns - watch.day_start_ns) // _DAY_NS
    new_day: bool = day > watch.day
    if watch.day == NO_DAY:
        watch.day_equity = equity
        watch.peak = equity
    elif new_day:
        watch.day_equity = watch.equity
    if new_day:
        watch.day = day
    watch.equity = equity
    watch.peak = max(watch.peak, equity)
    measure_losses(losses)
    return new_day
