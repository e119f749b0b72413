"""Market data from a user's own CSV and Parquet files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.market import BAR_FIELDS, BarBatch, QuoteBatch, TradeBatch, Universe
from trader.core.protocols import MarketBatch
from trader.data.boundary import validate
from trader.data.reading.names import SYMBOL_ALIASES, find_layout
from trader.data.reading.rows import ABSENT, Rows, long_rows, wide_rows
from trader.data.reading.stamps import MISSING
from trader.data.reading.tables import open_table

__all__ = ["MarketFile", "read_market_file", "valid_rows"]


class MarketFile(NamedTuple):
    """What a file holds: valid rows in order of receipt or close, its symbols, and the rows refused by reason."""

    data: MarketBatch
    universe: Universe
    rejected: dict[str, int]


def read_market_file(
    path: Path,
    *,
    kind: Literal["auto", "trades", "quotes", "bars"] = "auto",
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    symbols: Sequence[str] = (),
) -> MarketFile:
    """Read trades, quotes or bars from CSV (gzip or not) or Parquet.

    Long format has one row a tick or bar, with a symbol column if there is more than one symbol; wide format has a
    time column and one column of closes a symbol. Rows are sorted by receipt (ticks) or close (bars), equal times
    keeping the order of the file, and then pass the boundary (`trader.data.boundary`).

    The stamp of a bar is its close, unless its column is called or mapped as `ts_open`; then it closes one step later,
    the step being the most common distance of a symbol's stamps. A bar dated by day only is stamped with the last
    microsecond of that day in `timezone`, so that nothing is known before it happened. Bars of a day or more
    have their first price at 9:30 local time, shorter ones a step before their close, and those without an open
    price at their close.

    Parameters
    ----------
    path : Path
        The file.
    kind : {"auto", "trades", "quotes", "bars"}, default="auto"
        What it holds; `auto` tells by the columns.
    columns : mapping of str to str, optional
        Our column name to the file's, e.g. `{"price": "last"}`; others are found by their usual names.
    timezone : str, default="UTC"
        IANA zone of stamps that carry none.
    symbols : sequence of str, default=()
        Keep these only, in this order. For a file without symbol column, one name is the symbol of all rows; without
        it the file's name is.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    DataError
        If it cannot be read, a column is missing, a stamp or number is malformed, a symbol is not there, or no row is
        usable.
    """
    file, mapping = Path(path), dict(columns or {})
    as_text = SYMBOL_ALIASES | {mapping["symbol"].lower()} if "symbol" in mapping else SYMBOL_ALIASES
    table = open_table(file, as_text)
    layout, found = find_layout(file.name, table.column_names, _numeric(table), kind, mapping)
    if layout == "wide":
        rows = wide_rows(table, found["ts"], timezone, symbols, file.name)
    else:
        rows = long_rows(table, layout, found, timezone, symbols, file)
    data, rejected = valid_rows(rows, layout)
    if not len(data):
        why = ", ".join(f"{n} {reason}" for reason, n in rejected.items()) or "all were left out"
        raise DataError(f"file {file} holds no usable row: {why}")
    return MarketFile(data, Universe(rows.names), rejected)


def _numeric(table: Any) -> frozenset[str]:
    import pyarrow as pa

    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    return frozenset(f.name for f in table.schema if any(is_kind(f.type) for is_kind in numeric))


def valid_rows(rows: Rows, layout: str) -> tuple[MarketBatch, dict[str, int]]:
    """Return the rows in order of receipt or close that pass the boundary, and how many were refused by reason."""
    no_time = (rows.ts == MISSING) & (rows.ids >= ABSENT)
    no_symbol = (rows.ids == ABSENT) & ~no_time
    kept = np.flatnonzero((rows.ids >= 0) & ~no_time)
    bars = layout in ("bars", "wide")
    order = np.lexsort((rows.ids[kept], rows.ts[kept])) if bars else np.argsort(rows.ts_recv[kept], kind="stable")
    data, refused = validate(_assemble(layout, rows, kept[order]))
    found = {"missing_time": int(no_time.sum()), "missing_symbol": int(no_symbol.sum())} | refused
    return data, {reason: count for reason, count in found.items() if count}


def _assemble(layout: str, rows: Rows, order: NDArray[np.intp]) -> MarketBatch:
    def column(name: str, absent: float = np.nan) -> NDArray[np.float64]:
        values = rows.fields.get(name)
        return np.full(order.size, absent) if values is None else values[order]

    ids = rows.ids[order]
    if layout == "trades":
        return TradeBatch(
            ts_event_ns=rows.ts[order],
            ts_recv_ns=rows.ts_recv[order],
            symbol_id=ids,
            price=column("price"),
            size=column("size", 1.0),
            side=column("side", 0.0).astype(np.int8),
        )
    if layout == "quotes":
        return QuoteBatch(
            ts_event_ns=rows.ts[order],
            ts_recv_ns=rows.ts_recv[order],
            symbol_id=ids,
            bid=column("bid"),
            ask=column("ask"),
            bid_size=column("bid_size", 0.0),
            ask_size=column("ask_size", 0.0),
        )
    return BarBatch(
        ts_open_ns=rows.ts_open[order],
        ts_ns=rows.ts[order],
        symbol_id=ids,
        n_trades=np.nan_to_num(column("n_trades", 0.0), posinf=0.0, neginf=0.0).astype(np.int64),
        **{name: column(name) for name in BAR_FIELDS},
    )
