"""Returns, prices and weights from a user's own CSV and Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from risk.panel import ReturnPanel
from trader.core.errors import DataError
from trader.data.reading.names import FIELDS
from trader.data.reading.stamps import MISSING, read_stamps
from trader.data.reading.tables import open_table
from trader.data.reading.values import read_numbers

__all__ = ["read_columns", "read_groups", "read_panel", "read_weights"]

FloatArray = NDArray[np.float64]
Stamps = NDArray[np.datetime64]

_TIMES = frozenset({"ts", *FIELDS["ts"], ""})
_ASSETS = ("asset", "symbol", "name", "ticker", "instrument")
_WEIGHTS = ("weight", "weights", "w", "share")


def read_panel(path: Path, *, prices: bool = False, assets: Sequence[str] = ()) -> ReturnPanel:
    """Read one time column and one column of returns (or prices) an asset.

    Parameters
    ----------
    path : Path
        CSV (gzip or not) or Parquet. The first column that is called like a time is one; without any, the first
        column is.
    prices : bool, default=False
        The numbers are prices; returns are made of them.
    assets : sequence of str, optional
        Columns to read; default is all.

    Raises
    ------
    NotFoundError, DataError
        If the file cannot be read, a column is missing or holds text, or `ReturnPanel.of` refuses the numbers.
    """
    names, values, stamps = read_columns(path, assets)
    make = ReturnPanel.of_prices if prices else ReturnPanel.of
    return make(names, values, stamps)


def read_columns(path: Path, columns: Sequence[str] = ()) -> tuple[list[str], FloatArray, Stamps]:
    """Return names, values of shape (n_rows, n_names), sorted by time, and times, from a file as `read_panel` reads.

    Raises
    ------
    NotFoundError, DataError
        If the file cannot be read, a column is missing or holds text, or a row has no time.
    """
    table = open_table(path, frozenset())
    there = list(table.column_names)
    time = next((name for name in there if name.strip().lower() in _TIMES), there[0])
    names = list(columns) or [name for name in there if name != time]
    missing = sorted(set(names) - set(there))
    if missing or not names:
        raise DataError(f"file {path} has no column {', '.join(missing) or 'of returns'}; there are {there}")
    stamps = read_stamps(table.column(time), time, "UTC").values
    if (stamps == MISSING).any():
        raise DataError(f"file {path} has no time in row {int(np.argmax(stamps == MISSING)) + 1} of column {time!r}")
    values = np.column_stack([read_numbers(table.column(name), name) for name in names])
    order = np.argsort(stamps, kind="stable")
    return names, values[order], stamps[order].astype("datetime64[ns]")


def read_weights(path: Path, what: str = "weight") -> dict[str, float]:
    """Read a table of assets and weights: columns `asset` (or symbol, name, ticker) and `weight`, or another number.

    Raises
    ------
    NotFoundError, DataError
        If the file cannot be read, a column is missing, an asset comes twice or a weight is no finite number.
    """
    table = open_table(path, frozenset(_ASSETS))
    by_lower = {name.strip().lower(): name for name in table.column_names}
    asset = next((by_lower[name] for name in _ASSETS if name in by_lower), None)
    weight = next((by_lower[name] for name in (what, *_WEIGHTS) if name in by_lower), None)
    if asset is None or weight is None:
        raise DataError(f"file {path} has columns {table.column_names}; `asset` and `{what}` are needed")
    names = [str(name) for name in table.column(asset).to_pylist()]
    values = read_numbers(table.column(weight), weight)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"file {path} gives a {what} of {', '.join(twice)} more than once")
    for name, value in zip(names, values.tolist(), strict=True):
        if not np.isfinite(value):
            raise DataError(f"file {path} gives {name} the {what} {value}; a finite number is needed")
    return dict(zip(names, values.tolist(), strict=True))


def read_groups(path: Path) -> dict[str, dict[str, str]]:
    """Read a table of assets and their groups: column `asset`, and one a grouping; return group by asset of each.

    Raises
    ------
    NotFoundError, DataError
        If the file cannot be read, there is no grouping, or an asset comes twice.
    """
    by_lower = {name.strip().lower(): name for name in open_table(path, frozenset()).column_names}
    table = open_table(path, frozenset(by_lower))  # whatever a group is called, it is text
    asset = next((by_lower[name] for name in _ASSETS if name in by_lower), None)
    groupings = [name for name in table.column_names if name != asset]
    if asset is None or not groupings:
        raise DataError(f"file {path} has columns {table.column_names}; `asset` and one a grouping are needed")
    names = [str(name) for name in table.column(asset).to_pylist()]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"file {path} groups {', '.join(twice)} more than once")
    return {
        grouping: {
            name: str(group)
            for name, group in zip(names, table.column(grouping).to_pylist(), strict=True)
            if group is not None and str(group).strip()
        }
        for grouping in groupings
    }
