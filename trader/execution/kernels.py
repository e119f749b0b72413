"""Compiled loops of planning: weights to order records."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["PlanTerms", "fill_order_records", "whole_lots"]

FloatArray = NDArray[np.float64]
Records = NDArray[np.record]

_SIDES = (-1, 1)
_LIMIT = 1
_GTC = 0


class PlanTerms(NamedTuple):
    """How orders are made: whole lots, no less than a value in currency, and a limit price if the kind is LIMIT."""

    lot: float
    min_value: float
    kind: int
    offset: float
    """Relative distance of a limit from the last price, towards the other side if positive."""


@njit(cache=True)
def whole_lots(quantity: float, lot: float) -> float:
    """Return `quantity` rounded down to a multiple of `lot`; 0 allows any. A rounding error short counts as whole."""
    return np.floor(quantity / lot + 1e-9) * lot if lot > 0.0 else quantity


@njit(cache=True)
def fill_order_records(
    records: Records,
    target: FloatArray,
    current: FloatArray,
    positions: FloatArray,
    prices: FloatArray,
    equity: float,
    terms: PlanTerms,
    first_id: int,
    ts_ns: int,
) -> int:
    """Write sells, then buys, each by symbol, and return how many."""
    count = 0
    for side in _SIDES:
        for s in range(target.size):
            change = target[s] - current[s]
            if target[s] == 0.0:
                change = -positions[s]
            if change * side <= 0.0 or not np.isfinite(prices[s]):
                continue
            if target[s] == 0.0:
                quantity = abs(positions[s])
            else:
                quantity = whole_lots(abs(change) * equity / prices[s], terms.lot)
                if quantity <= 0.0 or quantity * prices[s] < terms.min_value:
                    continue
            order = records[count]
            order.order_id = first_id + count
            order.symbol_id = s
            order.side = side
            order.quantity = quantity
            order.kind = terms.kind
            order.limit_price = prices[s] * (1.0 + side * terms.offset) if terms.kind == _LIMIT else np.nan
            order.time_in_force = _GTC
            order.ts_ns = ts_ns
            order.reference_price = prices[s]
            count += 1
    return count
