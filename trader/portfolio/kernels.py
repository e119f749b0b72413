"""Compiled loops of the portfolio: booking fills, marking, and the running estimates of risk."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "LedgerArrays",
    "MomentArrays",
    "PriceArrays",
    "book_fills",
    "carry_prices",
    "mark_known",
    "market_value",
    "rises_above",
    "unrealised_pnl",
    "update_moments",
    "write_weights",
]


FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class LedgerArrays(NamedTuple):
    """What a ledger holds, for compiled loops that book in it; as `book_fills` and `mark_known` take it."""

    positions: FloatArray
    average_cost: FloatArray
    realised: FloatArray
    totals: FloatArray
    marks: FloatArray


class PriceArrays(NamedTuple):
    """Last prices and their times, shape (n_symbols,), as `carry_prices` takes them."""

    prices: FloatArray
    ts_ns: IntArray


class MomentArrays(NamedTuple):
    """Running second moments, as `update_moments` takes them."""

    decay: float
    square_sum: FloatArray
    weight_sum: FloatArray
    n_returns: IntArray
    co_moment: FloatArray
    min_observations: int
    volatility: FloatArray


@njit(cache=True)
def book_fills(
    symbol_id: NDArray[np.int32],
    side: NDArray[np.int8],
    quantity: FloatArray,
    price: FloatArray,
    commission: FloatArray,
    spread_cost: FloatArray,
    impact_cost: FloatArray,
    positions: FloatArray,
    average_cost: FloatArray,
    realised: FloatArray,
    totals: FloatArray,
) -> int:
    """Book fills one by one, in place, by the average-cost method.

    A fill in the direction of the position moves the average cost; one against it realises the difference to
    the average; one that crosses zero does both, and the new position costs the fill's price.

    `totals` holds cash, commission, spread cost, impact cost and traded value, in currency.
    Returns the row of the first unknown symbol, in which case nothing was booked, or -1.
    """
    for row in range(symbol_id.size):
        if symbol_id[row] < 0 or symbol_id[row] >= positions.size:
            return row
    for row in range(symbol_id.size):
        s = symbol_id[row]
        held = positions[s]
        signed = side[row] * quantity[row]
        if held * signed >= 0.0:
            size = abs(held) + quantity[row]
            average_cost[s] = (abs(held) * average_cost[s] + quantity[row] * price[row]) / size
        else:
            closed = min(quantity[row], abs(held))
            realised[s] += closed * (price[row] - average_cost[s]) * np.sign(held)
            if quantity[row] > abs(held):
                average_cost[s] = price[row]
        positions[s] = held + signed
        if positions[s] == 0.0:
            average_cost[s] = 0.0
        totals[0] -= signed * price[row] + commission[row]
        totals[1] += commission[row]
        totals[2] += spread_cost[row]
        totals[3] += impact_cost[row]
        totals[4] += quantity[row] * price[row]
    return -1


@njit(cache=True)
def rises_above(ids: IntArray, highest: int) -> bool:
    """Return whether every id is above `highest` and above the one before it."""
    for i in range(ids.size):
        if ids[i] <= highest:
            return False
        highest = ids[i]
    return True


@njit(cache=True)
def mark_known(prices: FloatArray, marks: FloatArray) -> None:
    """Take the finite prices as marks, in place."""
    for s in range(prices.size):
        if np.isfinite(prices[s]):
            marks[s] = prices[s]


@njit(cache=True)
def market_value(positions: FloatArray, marks: FloatArray, average_cost: FloatArray) -> float:
    """Return the value of all positions in currency; one without a mark counts at its average cost."""
    value = 0.0
    for s in range(positions.size):
        if positions[s] != 0.0:
            value += positions[s] * (marks[s] if np.isfinite(marks[s]) else average_cost[s])
    return value


@njit(cache=True)
def unrealised_pnl(positions: FloatArray, marks: FloatArray, average_cost: FloatArray) -> float:
    """Return the gain of all open positions over their average cost, in currency."""
    gain = 0.0
    for s in range(positions.size):
        if positions[s] != 0.0 and np.isfinite(marks[s]):
            gain += positions[s] * (marks[s] - average_cost[s])
    return gain


@njit(cache=True)
def write_weights(positions: FloatArray, prices: FloatArray, equity: float, weights: FloatArray) -> None:
    """Write positions as fractions of equity; a symbol without a price has weight 0."""
    for s in range(positions.size):
        weights[s] = positions[s] * prices[s] / equity if np.isfinite(prices[s]) else 0.0


@njit(cache=True)
def carry_prices(ts_ns: int, close: FloatArray, prices: FloatArray, price_ts_ns: IntArray, returns: FloatArray) -> None:
    """Carry last prices over one instant, in place; write simple returns since the last price before.

    The return of a symbol without a bar, or at its first, is NaN.
    """
    for s in range(close.size):
        returns[s] = np.nan
        if np.isfinite(close[s]):
            if np.isfinite(prices[s]):
                returns[s] = close[s] / prices[s] - 1.0
            prices[s] = close[s]
            price_ts_ns[s] = ts_ns


@njit(cache=True)
def update_moments(
    returns: FloatArray,
    decay: float,
    square_sum: FloatArray,
    weight_sum: FloatArray,
    count: IntArray,
    co_moment: FloatArray,
    min_observations: int,
    volatility: FloatArray,
) -> None:
    """Add the returns of one instant to exponentially weighted sums and refresh the volatilities, in place.

    A missing return leaves a symbol's own sums alone and counts as zero in the co-moments, which are thereby
    sums of outer products and stay positive semi-definite whatever is missing.
    """
    for i in range(returns.size):
        known = np.isfinite(returns[i])
        if known:
            square_sum[i] = decay * square_sum[i] + returns[i] * returns[i]
            weight_sum[i] = decay * weight_sum[i] + 1.0
            count[i] += 1
            if count[i] >= min_observations:
                volatility[i] = np.sqrt(square_sum[i] / weight_sum[i])
        for j in range(i + 1):
            product = returns[i] * returns[j] if known and np.isfinite(returns[j]) else 0.0
            co_moment[i, j] = decay * co_moment[i, j] + product
            co_moment[j, i] = co_moment[i, j]
