"""The ordinary part of `DecisionLoop.step`, compiled: many instants in one call.

`forward` runs the steps of the loop's docstring with the very functions that the parts are made of, on the arrays
that the parts own. It knows nothing of denials, rejections and losses beyond a limit: at an instant that would
bring one it stops between what the market did (fills, prices, marks) and what the portfolio does about it, and
the loop goes on from there in Python.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import is_jitted
from numpy.typing import NDArray

from risk.kernels import (
    MINUTE_NS,
    GateArrays,
    beyond_a_limit,
    forget_before,
    judge_orders,
    note_equity,
    note_passed,
)
from trader.core.orders import ORDERS_PER_DECISION
from trader.execution.kernels import PlanTerms, fill_order_records
from trader.execution.liquidity import LiquidityArrays, add_bars, begin_instant
from trader.execution.matching import LAST_ID, N_OPEN, REPLACED, BookArrays, admissible, admit_orders, match_orders
from trader.portfolio.kernels import (
    LedgerArrays,
    MomentArrays,
    PriceArrays,
    book_fills,
    carry_prices,
    mark_known,
    market_value,
    update_moments,
    write_weights,
)
from trader.portfolio.sizing_kernels import SizingLimits, target_weights

__all__ = ["Decided", "Desk", "Instants", "Reached", "forward"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Records = NDArray[np.record]

_REFUSED = -1


class Instants(NamedTuple):
    """What the loop is given: `ts_ns` of shape (n_instants,), the others (n_instants, n_symbols)."""

    ts_ns: IntArray
    ts_open_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    spread: FloatArray
    score: FloatArray


class Desk(NamedTuple):
    """What the parts of the loop own; brought forward in place."""

    book: BookArrays
    liquidity: LiquidityArrays
    ledger: LedgerArrays
    last: PriceArrays
    moments: MomentArrays
    sizing: SizingLimits
    plan: PlanTerms
    gate: GateArrays
    rebalance_every: int


class Decided(NamedTuple):
    """Where decisions are written, a row an instant; orders and the like one after the other, counted by instant."""

    equity: FloatArray
    cash: FloatArray
    positions: FloatArray
    prices: FloatArray
    target: FloatArray
    orders: Records
    n_orders: IntArray
    fills: Records
    n_fills: IntArray
    withdrawn: Records
    n_withdrawn: IntArray


class Reached(NamedTuple):
    """How far `forward` came."""

    row: int
    """The first instant that was not decided on; if it is not the end, its market was taken in."""
    in_flight_until_ns: int
    """When the latest orders reach the market."""
    rebalanced: int
    """The last instant at which open orders were settled; -1 if there was none."""


@njit
def take_instant(
    row: int,
    instants: Instants,
    desk: Desk,
    bars: FloatArray,
    returns: FloatArray,
    fills: Records,
    withdrawn: Records,
) -> tuple[int, int]:
    """Let open orders meet the market, book their fills, and take the closes: steps 1 and 2 of the loop.

    `bars` (6, n_symbols) and `returns` (n_symbols,) are room to work in. Returns how many fills there are, and how
    many orders ended unfilled.
    """
    book, liquidity, ledger, last = desk.book, desk.liquidity, desk.ledger, desk.last
    ts_ns, close, volume = instants.ts_ns[row], instants.close[row], instants.volume[row]
    begin_instant(liquidity.names, liquidity.volatility, liquidity.volume, liquidity.day, ts_ns)
    n_fills, n_unfilled = 0, 0
    if book.counts[N_OPEN] > 0:
        for s in range(close.size):
            bars[0, s], bars[1, s] = instants.open[row, s], instants.high[row, s]
            bars[2, s], bars[3, s] = instants.low[row, s], close[s]
            bars[4, s], bars[5, s] = volume[s], instants.spread[row, s]
        book.counts[N_OPEN], n_fills, n_unfilled = match_orders(
            book.orders,
            book.counts[N_OPEN],
            ts_ns,
            instants.ts_open_ns[row],
            bars,
            liquidity.volatility,
            liquidity.volume,
            book.terms,
            fills,
            withdrawn,
        )
        new = fills[:n_fills]
        book_fills(
            new["symbol_id"],
            new["side"],
            new["quantity"],
            new["price"],
            new["commission"],
            new["spread_cost"],
            new["impact_cost"],
            ledger.positions,
            ledger.average_cost,
            ledger.realised,
            ledger.totals,
        )
    add_bars(liquidity.names, close, volume)
    carry_prices(ts_ns, close, last.prices, last.ts_ns, returns)
    moments = desk.moments
    update_moments(
        returns,
        moments.decay,
        moments.square_sum,
        moments.weight_sum,
        moments.n_returns,
        moments.co_moment,
        moments.min_observations,
        moments.volatility,
    )
    mark_known(last.prices, ledger.marks)
    return n_fills, n_unfilled


@njit
def write_row(table: FloatArray, row: int, values: FloatArray) -> None:
    """Copy values into a row; for the assignment numba would compile its broadcasting, which takes seconds."""
    for s in range(values.size):
        table[row, s] = values[s]


@njit
def write_books(row: int, desk: Desk, decided: Decided) -> float:
    """Write positions, prices, cash and equity; return the equity."""
    ledger = desk.ledger
    cash = ledger.totals[0]
    equity: float = cash + market_value(ledger.positions, ledger.marks, ledger.average_cost)
    decided.cash[row], decided.equity[row] = cash, equity
    write_row(decided.positions, row, ledger.positions)
    write_row(decided.prices, row, desk.last.prices)
    return equity


@njit
def order_instant(
    first_id: int, ts_ns: int, score: FloatArray, equity: float, desk: Desk, target: FloatArray, orders: Records
) -> int:
    """Write the target and the orders that lead to it, as if none were open: steps 3, 5 and 6 of the loop.

    Returns how many orders there are, or `_REFUSED` if gate or broker would refuse one.
    """
    last, moments, gate = desk.last, desk.moments, desk.gate
    positions, n_symbols = desk.ledger.positions, score.size
    current = np.empty(n_symbols)
    write_weights(positions, last.prices, equity, current)
    target_weights(score, last.prices, current, moments.volatility, moments.co_moment, desk.sizing, target)
    count: int = fill_order_records(orders, target, current, positions, last.prices, equity, desk.plan, first_id, ts_ns)
    if count == 0:
        return 0
    new = orders[:count]
    codes = np.empty(count, np.int8)
    forget_before(gate.recent, gate.span, ts_ns - MINUTE_NS)
    n_passed = judge_orders(
        new["symbol_id"],
        new["side"],
        new["quantity"],
        new["kind"],
        new["limit_price"],
        positions,
        np.zeros(n_symbols),
        last.prices,
        last.ts_ns,
        ts_ns,
        equity,
        False,
        gate.span[2],
        gate.max_recent,
        gate.limits,
        codes,
        np.empty((2, count)),
    )
    acceptable = admissible(new["symbol_id"], new["side"], new["quantity"], new["kind"], new["limit_price"], n_symbols)
    return count if n_passed == count and acceptable else _REFUSED


@njit
def replace_orders(ts_ns: int, desk: Desk, orders: Records, withdrawn: Records) -> int:
    """Withdraw what is open, and give the broker orders that gate and broker accept: steps 4 and 7 of the loop.

    Returns how many were withdrawn.
    """
    book, gate = desk.book, desk.gate
    n_withdrawn: int = book.counts[N_OPEN]
    for i in range(n_withdrawn):
        withdrawn[i] = book.orders[i]
        withdrawn[i].status = REPLACED
    book.counts[N_OPEN] = 0
    if orders.size > 0:
        book.counts[N_OPEN], _, book.counts[LAST_ID] = admit_orders(
            book.orders,
            0,
            orders["order_id"],
            orders["symbol_id"],
            orders["side"],
            orders["quantity"],
            orders["kind"],
            orders["limit_price"],
            orders["time_in_force"],
            orders["ts_ns"],
            book.latency_ns,
            desk.ledger.positions.size,
            book.counts[LAST_ID],
            np.empty(orders.size, np.int8),
        )
        note_passed(gate.recent, gate.span, ts_ns, orders.size)
    return n_withdrawn


def _compiled(callees: int) -> Callable[..., Reached]:
    """Return the compiled loop; `callees` changes with the code of the functions it calls."""

    @njit(cache=True)
    def forward(
        first_seq: int,
        start: int,
        instants: Instants,
        desk: Desk,
        in_flight_until_ns: int,
        target: FloatArray,
        n_orders: int,
        n_fills: int,
        n_withdrawn: int,
        decided: Decided,
    ) -> Reached:
        callees  # noqa: B018 - see `_digest`
        n_instants, n_symbols = instants.close.shape
        bars, returns = np.empty((6, n_symbols)), np.empty(n_symbols)
        rebalanced = -1
        for row in range(start, n_instants):
            seq, ts_ns = first_seq + row, instants.ts_ns[row]

            # What the market did
            filled, ended = take_instant(
                row, instants, desk, bars, returns, decided.fills[n_fills:], decided.withdrawn[n_withdrawn:]
            )
            n_fills += filled
            n_withdrawn += ended
            decided.n_fills[row], decided.n_withdrawn[row] = filled, ended
            equity = write_books(row, desk, decided)
            note_equity(desk.gate.losses, ts_ns, equity)

            # Whether that is in the ordinary
            due = seq % desk.rebalance_every == 0 and ts_ns >= in_flight_until_ns
            if beyond_a_limit(desk.gate.losses) or (due and not equity > 0.0):
                return Reached(row, in_flight_until_ns, rebalanced)

            # What the portfolio does about it
            decided.n_orders[row] = 0
            if not due:
                write_row(decided.target, row, target)
                continue
            target, orders = decided.target[row], decided.orders[n_orders:]
            ordered = order_instant(seq * ORDERS_PER_DECISION, ts_ns, instants.score[row], equity, desk, target, orders)
            if ordered == _REFUSED:
                return Reached(row, in_flight_until_ns, rebalanced)
            replaced = replace_orders(ts_ns, desk, orders[:ordered], decided.withdrawn[n_withdrawn:])
            n_orders += ordered
            n_withdrawn += replaced
            decided.n_orders[row] = ordered
            decided.n_withdrawn[row] += replaced
            rebalanced = row
            if ordered > 0:
                in_flight_until_ns = ts_ns + desk.book.latency_ns
        return Reached(n_instants, in_flight_until_ns, rebalanced)

    compiled: Callable[..., Reached] = forward
    return compiled


def _digest(functions: Iterable[Any]) -> int:
    """Return a digest of the files of compiled functions; whatever else is given is left out.

    numba's cache on disk notices a change in the file of a function and in its closure, but not in what it calls:
    with the digest in its closure it notices that, too.
    """
    files = sorted({function.py_func.__code__.co_filename for function in functions if is_jitted(function)})
    content = b"".join(Path(file).read_bytes() for file in files)
    return int.from_bytes(hashlib.sha256(content).digest()[:7], "big")


forward = _compiled(_digest(globals().values()))
"""Decide on instants from `start` on; the arguments tell where the decisions before them ended."""
