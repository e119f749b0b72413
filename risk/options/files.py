"""Option positions from a user's own CSV and Parquet files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from risk.options.book import OptionBook
from risk.options.exotic import STYLES, Contract
from risk.options.implied import implied_volatility
from trader.core.errors import DataError
from trader.data.reading.stamps import MISSING, read_stamps
from trader.data.reading.tables import open_table
from trader.data.reading.values import read_numbers

__all__ = ["read_options"]

FloatArray = NDArray[np.float64]
_KINDS = {"c": True, "call": True, "p": False, "put": False}
_TEXT = frozenset({"underlying", "kind", "style"})
_DAY_NS = 86_400_000_000_000
_YEAR_DAYS = 365.0


def read_options(
    path: Path,
    *,
    as_of: dt.date,
    rate: float = 0.0,
    dividend: float = 0.0,
    expired: Literal["refuse", "drop"] = "refuse",
) -> OptionBook:
    """Read one position a row.

    Columns: `underlying`, `kind` (call or put), `strike`, `expiry` (a date) or `years`, `quantity` (contracts, negative
    for short), `spot`, and `volatility` (a fraction a year) or `price` (of one unit, whose implied volatility is
    taken; European only). Optional: `multiplier` (100), `rate`, `dividend`, `style` (european, american, asian,
    down-out, down-in, up-out, up-in) and `barrier`.

    Parameters
    ----------
    path : Path
        CSV (gzip or not) or Parquet.
    as_of : date
        Day of valuation; times to expiry are calendar days from it over 365.
    rate, dividend : float, default=0
        Used where the file has no such column or number.
    expired : {"refuse", "drop"}, default="refuse"
        What becomes of options that expired before that day.

    Raises
    ------
    NotFoundError, DataError
        If the file cannot be read, a column is missing or a value is not allowed; the message names row and column.
    """
    table = open_table(path, _TEXT)
    if expired == "drop":
        table = _without_expired(table, as_of)
    columns = {name.strip().lower(): name for name in table.column_names}
    reader = _Reader(path, table, columns)
    for pair in (("expiry", "years"), ("volatility", "price")):
        if not set(pair) & set(columns):
            raise DataError(f"file {path} has neither {pair[0]} nor {pair[1]}; one is needed")
    is_call = np.array([reader.one_of("kind", _KINDS, row, text) for row, text in enumerate(reader.text("kind"))])
    styles = tuple(reader.text("style", "european"))
    for row, style in enumerate(styles):
        reader.one_of("style", dict.fromkeys(STYLES, True), row, style)
    book = OptionBook(
        underlying=tuple(reader.text("underlying")),
        is_call=is_call,
        strike=reader.numbers("strike", least=0.0, open_end=True),
        years=reader.years(as_of),
        quantity=reader.numbers("quantity"),
        multiplier=reader.numbers("multiplier", 100.0, least=0.0),
        spot=reader.numbers("spot", least=0.0, open_end=True),
        volatility=np.zeros(table.num_rows),
        rate=reader.numbers("rate", rate),
        dividend=reader.numbers("dividend", dividend),
        style=styles,
        barrier=reader.numbers("barrier", np.nan),
    )
    book.volatility[:] = _volatility(reader, book)
    for i in range(len(book)):  # a contract refuses what it cannot be
        Contract(float(book.strike[i]), float(book.years[i]), bool(is_call[i]), styles[i], float(book.barrier[i]))
    return book


def _without_expired(table: Any, as_of: dt.date) -> Any:
    name = next((name for name in table.column_names if name.strip().lower() == "expiry"), None)
    if name is None:
        return table
    stamps = read_stamps(table.column(name), name, "UTC").values
    today = (as_of - dt.date(1970, 1, 1)).days * _DAY_NS
    return table.filter((stamps >= today) | (stamps == MISSING))


def _volatility(reader: _Reader, book: OptionBook) -> FloatArray:
    """Return what the file says, or what its prices imply."""
    told = reader.numbers("volatility", np.nan, least=0.0)
    asked = np.isnan(told)
    if asked.any():
        prices = reader.numbers("price", np.nan, least=0.0)
        for row in np.flatnonzero(asked & ((book.years == 0.0) | np.isnan(prices))).tolist():
            if np.isnan(prices[row]):
                raise reader.error(row, "volatility and price", "empty", "one of them is needed")
            told[row] = 0.0  # nothing is left to vary
        asked = np.isnan(told)
        implied = implied_volatility(
            prices, book.spot, book.strike, book.years, rate=book.rate, dividend=book.dividend, is_call=book.is_call
        )
        for row in np.flatnonzero(asked).tolist():
            if book.style[row] != "european":
                raise reader.error(row, "style", book.style[row], "a volatility is needed for all but european")
            if np.isnan(implied[row]):
                raise reader.error(row, "price", f"{prices[row]:g}", "no volatility gives that; it is out of bounds")
        told[asked] = implied[asked]
    return told


class _Reader:
    """Columns of one file, by their lower-case names."""

    def __init__(self, path: Path, table: Any, columns: dict[str, str]) -> None:
        self._path, self._table, self._columns = path, table, columns

    def error(self, row: int, column: str, value: object, allowed: str) -> DataError:
        return DataError(f"file {self._path}, row {row + 1}: {column} is {value}; {allowed}")

    def text(self, name: str, default: str | None = None) -> list[str]:
        if name not in self._columns:
            if default is None:
                raise DataError(f"file {self._path} has columns {list(self._columns)}; {name} is needed")
            return [default] * int(self._table.num_rows)
        values = self._table.column(self._columns[name]).to_pylist()
        return [str(default if value is None or value == "" else value).strip() for value in values]

    def numbers(
        self, name: str, default: float | None = None, *, least: float = -np.inf, open_end: bool = False
    ) -> FloatArray:
        if name not in self._columns:
            if default is None:
                raise DataError(f"file {self._path} has columns {list(self._columns)}; {name} is needed")
            return np.full(int(self._table.num_rows), default)
        values = read_numbers(self._table.column(self._columns[name]), name).copy()
        absent = np.isnan(values)
        if default is not None:
            values[absent] = default
        wrong = (absent & (default is None)) | np.isinf(values) | (values <= least if open_end else values < least)
        if wrong.any():
            row = int(np.argmax(wrong))
            bound = f"a number {'above' if open_end else 'of at least'} {least:g}" if least > -np.inf else "a number"
            raise self.error(row, name, f"{values[row]:g}", f"{bound} is needed")
        return values

    def years(self, as_of: dt.date) -> FloatArray:
        if "years" in self._columns:
            return self.numbers("years", least=0.0)
        name = self._columns["expiry"]
        stamps = read_stamps(self._table.column(name), name, "UTC").values
        days = stamps // _DAY_NS - (as_of - dt.date(1970, 1, 1)).days
        wrong = (stamps == MISSING) | (days < 0)
        if wrong.any():
            row = int(np.argmax(wrong))
            value = "empty" if stamps[row] == MISSING else stamps[row : row + 1].astype("datetime64[ns]")[0]
            raise self.error(row, "expiry", str(value)[:10], f"a day from {as_of} on is needed")
        return np.asarray(days / _YEAR_DAYS, np.float64)

    def one_of(self, name: str, allowed: dict[str, bool], row: int, value: str) -> bool:
        if value.lower() not in allowed:
            raise self.error(row, name, repr(value), f"allowed are {', '.join(allowed)}")
        return allowed[value.lower()]
