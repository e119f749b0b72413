"""The rows of a file before validation: ids, stamps and numbers in the order of the file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.data.reading.bar_times import bar_times
from trader.data.reading.stamps import read_stamps
from trader.data.reading.values import pick_symbols, read_numbers, read_sides, read_symbols

__all__ = ["ABSENT", "LEFT_OUT", "Rows", "long_rows", "wide_rows"]

ABSENT = -1
"""Id of a row that names no symbol."""
LEFT_OUT = -2
"""Id of a row whose symbol was not asked for."""

_STAMPS = ("ts", "ts_open", "ts_recv", "symbol")


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Columns of shape (n_rows,); `ids` index `names`, or are `ABSENT` or `LEFT_OUT`."""

    names: tuple[str, ...]
    ids: NDArray[np.int32]
    ts: NDArray[np.int64]
    ts_open: NDArray[np.int64]
    ts_recv: NDArray[np.int64]
    fields: Mapping[str, NDArray[Any]]


def long_rows(
    table: Any, kind: str, found: Mapping[str, str], timezone: str, symbols: Sequence[str], path: Path
) -> Rows:
    """Return the rows of a file with one tick or bar a row."""
    ids, names = _symbols_of(table, found, symbols, path)
    stamps = {
        field: read_stamps(table[found[field]], found[field], timezone)
        for field in ("ts", "ts_open", "ts_recv")
        if field in found
    }
    fields: dict[str, NDArray[Any]] = {
        field: read_sides(table[name]) if field == "side" else read_numbers(table[name], name)
        for field, name in found.items()
        if field not in _STAMPS
    }
    if kind == "bars":
        ts_open, ts = bar_times(stamps, ids, timezone, knows_open="open" in fields)
        return Rows(names, ids, ts, ts_open, ts, fields)
    ts = stamps["ts"].ns(timezone)
    received = stamps["ts_recv"].ns(timezone) if "ts_recv" in stamps else ts
    return Rows(names, ids, ts, ts, received, fields)


def wide_rows(table: Any, ts_name: str, timezone: str, symbols: Sequence[str], file: str) -> Rows:
    """Return the rows of a file with one column of closes a symbol; an empty cell is no row."""
    names = [name for name in table.column_names if name != ts_name]
    if symbols:
        pick_symbols(symbols, names, file)
        names = list(dict.fromkeys(symbols))
    stamps = read_stamps(table[ts_name], ts_name, timezone)
    closes = np.column_stack([read_numbers(table[name], name) for name in names])
    row, ids = np.nonzero(~np.isnan(closes))
    _, ts = bar_times({"ts": stamps}, np.zeros(closes.shape[0], np.int32), timezone, knows_open=False)
    return Rows(tuple(names), ids.astype(np.int32), ts[row], ts[row], ts[row], {"close": closes[row, ids]})


def _symbols_of(
    table: Any, found: Mapping[str, str], symbols: Sequence[str], path: Path
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    if "symbol" not in found:
        if len(symbols) > 1:
            raise DataError(
                f"symbols={tuple(symbols)!r} but file {path.name} has no symbol column; one name is allowed"
            )
        name = symbols[0] if symbols else path.name.split(".")[0]
        return np.zeros(table.num_rows, np.int32), (name,)
    ids, names = read_symbols(table[found["symbol"]])
    if not symbols:
        return ids, names
    new_ids = np.where((picked := pick_symbols(symbols, names, path.name)) < 0, LEFT_OUT, picked)
    return np.append(new_ids, ABSENT).astype(np.int32)[ids], tuple(dict.fromkeys(symbols))
