"""Which column of a file is which of ours."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from trader.core.errors import DataError

__all__ = ["FIELDS", "SYMBOL_ALIASES", "Layout", "find_layout"]

DataKind = Literal["auto", "trades", "quotes", "bars"]
Layout = tuple[Literal["trades", "quotes", "bars", "wide"], dict[str, str]]
"""The form of a file, and our column names to the file's. `wide` has one column of closes a symbol."""

FIELDS: dict[str, tuple[str, ...]] = {
    "ts": ("timestamp", "time", "date", "datetime", "ts_event", "ts_event_ns", "ts_ns", "close_time", "end", "index"),
    "ts_open": ("ts_open_ns", "open_time", "start", "start_time", "bar_start"),
    "ts_recv": ("ts_recv_ns", "recv_time", "received", "ts_received", "recv_ns"),
    "symbol": ("sym", "ticker", "instrument", "asset", "name"),
    "price": ("px", "last", "trade_price", "last_price"),
    "size": ("qty", "quantity", "volume", "amount", "trade_size"),
    "side": ("aggressor", "aggressor_side", "taker_side"),
    "bid": ("bid_price", "bid_px", "best_bid", "bp"),
    "ask": ("ask_price", "ask_px", "best_ask", "offer", "ap"),
    "bid_size": ("bid_qty", "bid_volume", "bid_sz", "bs"),
    "ask_size": ("ask_qty", "ask_volume", "ask_sz", "as"),
    "open": ("open_price",),
    "high": ("high_price",),
    "low": ("low_price",),
    "close": ("close_price",),
    "volume": ("vol", "qty", "quantity", "size", "amount"),
    "vwap": ("average", "avg_price"),
    "buy_volume": ("taker_buy_volume", "buyvol"),
    "spread": (),
    "n_trades": ("trades", "trade_count", "count", "number_of_trades"),
}
"""Our columns, in the order that a file's columns are given to them, and the other names they are known by."""

SYMBOL_ALIASES = frozenset({"symbol", *FIELDS["symbol"]})

_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "trades": (("ts", "price"), ("ts_recv", "symbol", "size", "side")),
    "quotes": (("ts", "bid", "ask"), ("ts_recv", "symbol", "bid_size", "ask_size")),
    "bars": (
        ("ts", "close"),
        ("ts_open", "symbol", "open", "high", "low", "volume", "vwap", "buy_volume", "spread", "n_trades"),
    ),
}
_PANDAS_INDEX = ("", "unnamed_0", "index_level_0")


def find_layout(
    file: str, names: Sequence[str], numeric: frozenset[str], kind: DataKind, mapping: Mapping[str, str]
) -> Layout:
    """Return the form of a file and its columns by our names.

    A mapped column is taken as told; the others are found by name, case and punctuation aside. `auto` takes a file
    with open, high, low and close for bars, else with a price for trades, with bid and ask for quotes, with a close
    for bars; a file without symbol, price and close columns whose other columns are all numbers is wide.

    Raises
    ------
    DataError
        If the mapping names an unknown column, or a column that the kind needs is missing.
    """
    told = _told(file, names, mapping)
    if kind == "auto":
        found = {field: _lookup(field, names, told) for field in FIELDS}
        guessed = _guess(found)
    else:
        guessed = kind
    if guessed is not None:
        required, optional = _KINDS[guessed]
        columns = _assign((*required, *optional), names, told)
        if all(field in columns for field in required if field != "ts") and _has_time(guessed, columns):
            return guessed, columns  # type: ignore[return-value]
    if guessed in (None, "bars"):
        wide = _wide(names, numeric, told)
        if wide is not None:
            return "wide", wide
    raise _missing(file, names, guessed, told)


def _told(file: str, names: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    told: dict[str, str] = {}
    ours = {alias: field for field in FIELDS for alias in (field, f"{field}_ns")} | {"time": "ts", "ts_event": "ts"}
    ours["ts_event_ns"] = "ts"
    for key, column in mapping.items():
        if key not in ours:
            raise DataError(f"columns maps {key!r}, which is not one of ours{_hint(key, list(FIELDS))}")
        match = column if column in names else next((n for n in names if n.lower() == column.lower()), None)
        if match is None:
            raise DataError(f"file {file} has no column {column!r} (mapped to {key}){_hint(column, names)}")
        told[ours[key]] = match
    return told


def _lookup(field: str, names: Sequence[str], told: Mapping[str, str]) -> str | None:
    if field in told:
        return told[field]
    free = {_plain(name): name for name in reversed(names) if name not in told.values()}
    aliases = (field, *FIELDS[field])
    if {"o", "h", "l", "c"} <= free.keys():
        aliases = (*aliases, field[0]) if field in ("open", "high", "low", "close", "volume") else aliases
    if field == "ts":
        aliases = (*aliases, *_PANDAS_INDEX)
    return next((free[alias] for alias in aliases if alias in free), None)


def _assign(fields: Sequence[str], names: Sequence[str], told: Mapping[str, str]) -> dict[str, str]:
    columns = {field: name for field, name in told.items() if field in fields}
    for field in fields:
        name = _lookup(field, [n for n in names if n not in columns.values()], columns)
        if name is not None:
            columns[field] = name
    return columns


def _guess(found: Mapping[str, str | None]) -> str | None:
    if all(found[field] for field in ("open", "high", "low", "close")):
        return "bars"
    if found["price"]:
        return "trades"
    if found["bid"] and found["ask"]:
        return "quotes"
    return "bars" if found["close"] else None


def _has_time(kind: str, columns: Mapping[str, str]) -> bool:
    return "ts" in columns or (kind == "bars" and "ts_open" in columns)


def _wide(names: Sequence[str], numeric: frozenset[str], told: Mapping[str, str]) -> dict[str, str] | None:
    ts = _lookup("ts", names, told)
    if ts is None or _lookup("symbol", names, told) is not None:
        return None
    rest = [name for name in names if name != ts]
    # `open` or a misspelt `Pirce` is no ticker; tickers are upper case as a rule.
    misspelt = any(name != name.upper() and difflib.get_close_matches(name.lower(), FIELDS, 1, 0.75) for name in rest)
    return {"ts": ts} if rest and not misspelt and all(name in numeric for name in rest) else None


def _missing(file: str, names: Sequence[str], kind: str | None, told: Mapping[str, str]) -> DataError:
    shown = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
    if kind is None:
        spellings: tuple[str, ...] = ("price", "close", "bid", "ask")
        what = "price (trades), bid and ask (quotes) or close (bars)"
    else:
        columns = _assign(_KINDS[kind][0], names, told)
        field = next((f for f in _KINDS[kind][0] if f not in columns), "ts")
        what, spellings = f"{field}, which {kind} need", (field, *FIELDS[field])
    likely = [name for name in names if difflib.get_close_matches(name.lower(), spellings, 1)]
    hint = f"; did you mean {likely[0]!r}?" if likely else "."
    return DataError(f"file {file} has no column for {what}{hint} It has {shown}; map one, as in columns.price=last")


def _hint(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word.lower(), [k.lower() for k in known], 1)
    if near:
        return f"; did you mean {next(k for k in known if k.lower() == near[0])!r}?"
    return f"; there are {', '.join(known[:12])}" + (" …" if len(known) > 12 else "")


def _plain(name: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")
