"""Compiled loops of the bar builder.

A symbol owns one row of `symbols` and a few `bars`, the open ones. Everything a loop knows between two ticks
is in these two tables, and ticks are added one by one in order of receipt: a bar can therefore not depend on
how its ticks were cut into batches. No fast-math: sums keep their order.

The open bar that holds time `t` sits in place `(t // size) % n_places`. Bars of ticks, volume or currency
have one place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "BAR_DTYPE",
    "SYMBOL_DTYPE",
    "UNSET",
    "close_until",
    "close_all",
    "event_quotes",
    "event_trades",
    "time_quotes",
    "time_trades",
]

UNSET = np.iinfo(np.int64).min
"""A time before every other: nothing was closed yet."""

BAR_DTYPE = np.dtype(
    [
        ("open", "f8"),
        ("high", "f8"),
        ("low", "f8"),
        ("close", "f8"),
        ("volume", "f8"),
        ("notional", "f8"),
        ("buy_volume", "f8"),
        ("spread_sum", "f8"),
        ("first_ns", "i8"),
        ("last_ns", "i8"),
        ("n_trades", "i8"),
        ("n_quotes", "i8"),
    ],
    align=True,
)
"""An open bar. It is empty while it has neither trades nor a first price (`first_ns` is UNSET)."""

SYMBOL_DTYPE = np.dtype(
    [
        ("closed_ns", "i8"),
        ("start_ns", "i8"),
        ("quick_ns", "i8"),
        ("stamp_ns", "i8"),
        ("late", "i8"),
        ("last_price", "f8"),
        ("direction", "f8"),
        ("traded", "i8"),
    ],
    align=True,
)
"""What a symbol remembers beyond its open bars.

`closed_ns`: bars up to here are closed; `start_ns`: of the newest bar; `quick_ns`: from `start_ns` to here a
tick belongs to the newest bar and closes nothing; `stamp_ns`: of the last closed bar; `direction`: share of a
trade of unknown side that the tick test counts as bought; `traded`: 1 after the first trade.
"""

Bar = Any  # one record of BAR_DTYPE
Symbol = Any  # one record of SYMBOL_DTYPE
Table = NDArray[np.void]  # open bars (n_symbols, n_places), symbols (n_symbols,) or rows of a BarBatch
Times = NDArray[np.int64]
Ids = NDArray[np.int32]
Floats = NDArray[np.float64]
Sides = NDArray[np.int8]


@njit(forceinline=True)
def _clear(bar: Bar) -> None:
    bar.volume = 0.0
    bar.notional = 0.0
    bar.buy_volume = 0.0
    bar.spread_sum = 0.0
    bar.first_ns = UNSET
    bar.n_trades = 0
    bar.n_quotes = 0


@njit(forceinline=True)
def _start(bar: Bar, ts: int, price: float) -> None:
    bar.open = price
    bar.high = price
    bar.low = price
    bar.close = price
    bar.first_ns = ts
    bar.last_ns = ts


@njit(forceinline=True)
def _add_price(bar: Bar, ts: int, price: float) -> None:
    if price > bar.high:
        bar.high = price
    if price < bar.low:
        bar.low = price
    if ts >= bar.last_ns:
        bar.close = price
        bar.last_ns = ts
    elif ts < bar.first_ns:
        bar.open = price
        bar.first_ns = ts


@njit(forceinline=True)
def _add_trade(bar: Bar, symbol: Symbol, ts: int, price: float, size: float, side: int) -> None:
    if bar.n_trades > 0:
        _add_price(bar, ts, price)
    else:
        _start(bar, ts, price)  # what mid prices the bar may hold are replaced
        if symbol.traded == 0:
            symbol.traded = 1
            symbol.last_price = price
    # An uptick counts as bought, a downtick as sold, no change as the change before it (the tick test). Selections,
    # not branches: the next direction cannot be predicted.
    moved = 1.0 if price > symbol.last_price else 0.0
    symbol.direction = symbol.direction if price == symbol.last_price else moved
    symbol.last_price = price
    bar.volume += size
    bar.notional += price * size
    bar.buy_volume += size * (symbol.direction if side == 0 else 0.5 + 0.5 * side)
    bar.n_trades += 1


@njit(forceinline=True)
def _add_quote(bar: Bar, symbol: Symbol, ts: int, bid: float, ask: float) -> None:
    if symbol.traded == 0:
        if bar.first_ns == UNSET:
            _start(bar, ts, 0.5 * (bid + ask))
        else:
            _add_price(bar, ts, 0.5 * (bid + ask))
    bar.spread_sum += ask - bid
    bar.n_quotes += 1


@njit(forceinline=True)
def _emit(bar: Bar, s: int, stamp: int, out: Table, n: int) -> int:
    """Write a bar to `out[n]`, empty it, and return the number of rows written so far."""
    if bar.first_ns != UNSET:
        row = out[n]
        row.ts_open_ns = bar.first_ns
        row.ts_ns = stamp
        row.symbol_id = s
        row.open = bar.open
        row.high = bar.high
        row.low = bar.low
        row.close = bar.close
        has_trades = bar.n_trades > 0
        row.volume = bar.volume if has_trades else np.nan
        row.vwap = bar.notional / bar.volume if has_trades and bar.volume > 0.0 else np.nan
        row.buy_volume = bar.buy_volume if has_trades else np.nan
        row.spread = bar.spread_sum / bar.n_quotes if bar.n_quotes > 0 else np.nan
        row.n_trades = bar.n_trades
        n += 1
    _clear(bar)
    return n


@njit(forceinline=True)
def _close_symbol(bars: Table, symbols: Table, s: int, boundary: int, size_ns: int, out: Table, n: int) -> int:
    """Close the time bars of a symbol that end by `boundary`, in order of time."""
    n_places = bars.shape[1]
    symbol = symbols[s]
    if symbol.closed_ns != UNSET:
        first = symbol.closed_ns // size_ns
        for index in range(first, min(first + n_places, boundary // size_ns)):
            n = _emit(bars[s, index % n_places], s, (index + 1) * size_ns, out, n)
    symbol.closed_ns = boundary
    symbol.start_ns = max(symbol.start_ns, boundary)
    return n


@njit(forceinline=True)
def _open_time_bar(
    bars: Table, symbols: Table, s: int, ts: int, size_ns: int, late_ns: int, out: Table, n: int
) -> tuple[int, int]:
    """Close what a tick at `ts` closes; return its place in the bars (-1: too late) and the rows written."""
    symbol = symbols[s]
    if ts < symbol.closed_ns:
        symbol.late += 1
        return -1, n
    boundary = (ts - late_ns) // size_ns * size_ns
    if boundary > symbol.closed_ns:
        n = _close_symbol(bars, symbols, s, boundary, size_ns, out, n)
    index = ts // size_ns
    symbol.start_ns = max(symbol.start_ns, index * size_ns)
    symbol.quick_ns = size_ns + min(symbol.start_ns, symbol.closed_ns + late_ns)
    return index % bars.shape[1], n


@njit(forceinline=True)
def _is_known(symbol_id: Ids, n_symbols: int) -> bool:
    highest = np.uint32(0)
    for row in range(symbol_id.size):
        highest = max(highest, np.uint32(symbol_id[row]))  # a negative id becomes a large one
    return bool(highest < n_symbols)


@njit(cache=True)
def time_trades(
    ts_ns: Times,
    symbol_id: Ids,
    price: Floats,
    size: Floats,
    side: Sides,
    bars: Table,
    symbols: Table,
    size_ns: int,
    late_ns: int,
    out: Table,
) -> int:
    """Add trades to time bars; return the rows written to `out`, or -1 (and add none) if a symbol is unknown."""
    if not _is_known(symbol_id, symbols.size):
        return -1
    n = 0
    place = 0
    for row in range(ts_ns.size):
        ts = ts_ns[row]
        s = np.int64(symbol_id[row])
        symbol = symbols[s]
        if ts < symbol.start_ns or ts >= symbol.quick_ns:
            place, n = _open_time_bar(bars, symbols, s, ts, size_ns, late_ns, out, n)
            if place < 0:
                continue
        elif bars.shape[1] > 1:
            place = (ts // size_ns) % bars.shape[1]
        else:
            place = 0
        _add_trade(bars[s, place], symbol, ts, price[row], size[row], side[row])
    return n


@njit(cache=True)
def time_quotes(
    ts_ns: Times,
    symbol_id: Ids,
    bid: Floats,
    ask: Floats,
    bars: Table,
    symbols: Table,
    size_ns: int,
    late_ns: int,
    out: Table,
) -> int:
    """Add quotes to time bars; return the rows written to `out`, or -1 (and add none) if a symbol is unknown."""
    if not _is_known(symbol_id, symbols.size):
        return -1
    n = 0
    for row in range(ts_ns.size):
        ts = ts_ns[row]
        s = np.int64(symbol_id[row])
        place, n = _open_time_bar(bars, symbols, s, ts, size_ns, late_ns, out, n)
        if place >= 0:
            _add_quote(bars[s, place], symbols[s], ts, bid[row], ask[row])
    return n


@njit(forceinline=True)
def _is_late(symbol: Symbol, ts: int, late_ns: int) -> bool:
    """Say whether a tick is older than the last bar closed by ticks, volume or currency allows, and count it."""
    if symbol.closed_ns != UNSET and ts < symbol.closed_ns - late_ns:
        symbol.late += 1
        return True
    return False


@njit(forceinline=True)
def _emit_event_bar(bar: Bar, symbol: Symbol, s: int, out: Table, n: int) -> int:
    """Emit the bar that a tick has completed; two bars of one symbol never have the same stamp."""
    if bar.first_ns != UNSET:
        symbol.stamp_ns = max(symbol.stamp_ns + 1, bar.last_ns)
        symbol.closed_ns = max(symbol.closed_ns, bar.last_ns)
    return int(_emit(bar, s, symbol.stamp_ns, out, n))


@njit(cache=True)
def event_trades(
    ts_ns: Times,
    symbol_id: Ids,
    price: Floats,
    size: Floats,
    side: Sides,
    bars: Table,
    symbols: Table,
    kind: int,
    threshold: float,
    late_ns: int,
    out: Table,
) -> int:
    """Add trades to bars of ticks (`kind` 1), volume (2) or currency (3); return as `time_trades` does."""
    if not _is_known(symbol_id, symbols.size):
        return -1
    n = 0
    for row in range(ts_ns.size):
        ts = ts_ns[row]
        s = np.int64(symbol_id[row])
        symbol = symbols[s]
        if _is_late(symbol, ts, late_ns):
            continue
        bar = bars[s, 0]
        _add_trade(bar, symbol, ts, price[row], size[row], side[row])
        reached = float(bar.n_trades) if kind == 1 else bar.volume if kind == 2 else bar.notional
        if reached >= threshold:
            n = _emit_event_bar(bar, symbol, s, out, n)
    return n


@njit(cache=True)
def event_quotes(
    ts_ns: Times,
    symbol_id: Ids,
    bid: Floats,
    ask: Floats,
    bars: Table,
    symbols: Table,
    kind: int,
    threshold: float,
    late_ns: int,
    out: Table,
) -> int:
    """Add quotes; only those of a symbol that never traded fill bars of ticks. Return as `time_trades` does."""
    if not _is_known(symbol_id, symbols.size):
        return -1
    n = 0
    for row in range(ts_ns.size):
        ts = ts_ns[row]
        s = np.int64(symbol_id[row])
        symbol = symbols[s]
        if _is_late(symbol, ts, late_ns):
            continue
        bar = bars[s, 0]
        _add_quote(bar, symbol, ts, bid[row], ask[row])
        if kind == 1 and symbol.traded == 0 and bar.n_quotes >= threshold:
            n = _emit_event_bar(bar, symbol, s, out, n)
    return n


@njit(cache=True)
def close_until(boundary: int, bars: Table, symbols: Table, size_ns: int, late_ns: int, out: Table) -> int:
    """Close the time bars of all symbols that end by `boundary`; return the rows written to `out`."""
    n = 0
    for s in range(symbols.size):
        symbol = symbols[s]
        if boundary > symbol.closed_ns:
            n = _close_symbol(bars, symbols, s, boundary, size_ns, out, n)
            symbol.quick_ns = size_ns + min(symbol.start_ns, symbol.closed_ns + late_ns)
    return n


@njit(cache=True)
def close_all(kind: int, bars: Table, symbols: Table, size_ns: int, out: Table) -> int:
    """Close every open bar (time bars are `kind` 0); return the rows written to `out`."""
    n = 0
    for s in range(symbols.size):
        symbol = symbols[s]
        if kind != 0:
            n = _emit_event_bar(bars[s, 0], symbol, s, out, n)
            continue
        newest = UNSET
        for place in range(bars.shape[1]):
            if bars[s, place].first_ns != UNSET:
                newest = max(newest, (bars[s, place].last_ns // size_ns + 1) * size_ns)
        if newest != UNSET:
            n = _close_symbol(bars, symbols, s, newest, size_ns, out, n)
            symbol.quick_ns = symbol.start_ns + size_ns
    return n
