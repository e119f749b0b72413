"""A book of options held beside a portfolio, at the portfolio's prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from risk.options.book import MONEY_GREEKS, OptionBook
from risk.options.files import read_options
from risk.watch import Holdings
from trader.core.errors import DataError

__all__ = ["greeks_of_file", "held_options", "options_at"]

_NS = 1_000_000_000


def held_options(symbols: Sequence[str], holdings: Holdings, path: Path) -> OptionBook:
    """Return the options of a file that have not expired, valued at the time and the prices of holdings.

    An underlying that is not among the symbols keeps the price of the file.

    Raises
    ------
    NotFoundError, DataError
        If the file cannot be read, or an underlying among the symbols has no price yet.
    """
    book = options_at(path, holdings.ts_ns)
    spots = dict(zip(symbols, holdings.prices.tolist(), strict=True))
    known = {name: spot for name, spot in spots.items() if np.isfinite(spot)}
    unknown = sorted({name for name in book.underlying if name in spots} - set(known))
    if unknown:
        raise DataError(f"options on {', '.join(unknown)} cannot be valued: there is no price of it yet")
    return book.with_spots(known)


def options_at(path: Path, ts_ns: int) -> OptionBook:
    """Return the options of a file that have not expired at a time, in ns since 1970, at the file's prices.

    Raises
    ------
    NotFoundError, DataError
        If the file cannot be read.
    """
    return read_options(path, as_of=dt.datetime.fromtimestamp(ts_ns // _NS, dt.UTC).date(), expired="drop")


def greeks_of_file(symbols: Sequence[str], holdings: Holdings, path: Path | None) -> dict[str, float] | None:
    """Return the sums of `MONEY_GREEKS` of a file's options; None without a file, or before holdings have a time.

    Raises
    ------
    NotFoundError, DataError
        As `held_options`.
    """
    if path is None or holdings.ts_ns < 0:
        return None
    sums = held_options(symbols, holdings, path).by_underlying().values()
    return {key: sum(each[key] for each in sums) for key in MONEY_GREEKS}
