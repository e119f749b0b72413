"""Trades of the consolidated tape, by what their sale conditions let them set."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trader.core.errors import DataError
from trader.core.market import TradeBatch, Universe
from trader.data.conditions import Codes, Rule, read_conditions, updates
from trader.data.readers import valid_rows
from trader.data.reading.marks import CONDITIONS, mark_column, suspicious
from trader.data.reading.names import SYMBOL_ALIASES, find_layout
from trader.data.reading.rows import LEFT_OUT, long_rows
from trader.data.reading.tables import open_table

__all__ = ["TapeFile", "read_tape"]

_AS_TEXT = SYMBOL_ALIASES | frozenset(CONDITIONS)


class TapeFile(NamedTuple):
    """Trades that may set the last price, the high and low, and the volume; their symbols; rows left out by reason.

    The three overlap. `left_out` has, beside the reasons of the boundary, `suspicious`, and as `no_last`, `no_high_low`
    and `no_volume` how many trades are missing in each by their conditions.
    """

    last: TradeBatch
    high_low: TradeBatch
    volume: TradeBatch
    universe: Universe
    left_out: dict[str, int]


def read_tape(
    path: Path,
    *,
    rule: Rule,
    codes: Codes,
    columns: Mapping[str, str] | None = None,
    timezone: str = "UTC",
    symbols: Sequence[str] = (),
) -> TapeFile:
    """Read trades with sale conditions from CSV or Parquet.

    Columns are found as `read_market_file` finds those of trades; that of the conditions is called conditions,
    condition, cond, conds, sale_condition, sale_conditions or c. Rows whose column `susp` or `suspicious` is not zero
    are left out.

    Parameters
    ----------
    path : Path
    rule : {"all", "consolidated", "ordinary"}
    codes : {"flags", "cta", "utp", "massive"}
        See `trader.data.conditions`.
    columns, timezone, symbols
        As of `read_market_file`; `columns` may name `conditions` too.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    DataError
        If it cannot be read, a column is missing, a code is unknown, or no row is usable.
    """
    file, mapping = Path(path), dict(columns or {})
    told = mapping.pop("conditions", None)
    table = open_table(file, _AS_TEXT | ({told.lower()} if told else frozenset()))
    name = mark_column(file.name, table.column_names, CONDITIONS, told)
    allowed = updates(read_conditions(table[name], codes, name), rule)
    marked = suspicious(table)
    _, found = find_layout(file.name, table.column_names, frozenset(), "trades", mapping)
    rows = long_rows(table, "trades", found, timezone, symbols, file)
    left_out = {"suspicious": int(np.count_nonzero(marked & (rows.ids >= 0)))}
    parts = []
    for field, mask in zip(allowed._fields, allowed, strict=True):
        left_out[f"no_{field}"] = int(np.count_nonzero(~mask & ~marked & (rows.ids >= 0)))
        ids = np.where(mask & ~marked, rows.ids, LEFT_OUT)
        trades, refused = valid_rows(dataclasses.replace(rows, ids=ids), "trades")
        assert isinstance(trades, TradeBatch)  # noqa: S101 - the layout is that of trades
        parts.append(trades)
    last, high_low, volume = parts
    left_out |= refused
    left_out = {reason: count for reason, count in left_out.items() if count}
    if not len(volume):
        raise DataError(f"file {file} holds no usable row: {', '.join(f'{n} {why}' for why, n in left_out.items())}")
    return TapeFile(last, high_low, volume, Universe(rows.names), left_out)
