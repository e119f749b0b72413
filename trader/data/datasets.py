"""Real data that come with an installed library, and the benchmarks to compare with.

The 20 US stocks and the S&P 500 index, 1990-2022, are files of skfolio (BSD-3). Its loader imports the whole library;
the files are read directly instead.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import gzip
import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import NotFoundError
from trader.core.market import BAR_FIELDS, BarBatch, Universe
from trader.data.sessions import NEW_YORK, local_time_ns
from trader.settings import FeedSettings

__all__ = ["SESSION_CLOSE", "SESSION_OPEN", "Benchmark", "benchmark_for", "bars_of_closes", "sp500_bars", "sp500_index"]

SESSION_OPEN = dt.time(9, 30)
"""Opening of the US stock exchanges, New York time."""
SESSION_CLOSE = dt.time(16)
"""Their close. Early closes (13:00, a few days a year) are stamped with it too: late, but never before the truth."""


@dataclasses.dataclass(frozen=True, slots=True)
class Benchmark:
    """A price series to compare a strategy with.

    Parameters
    ----------
    name : str
        For people.
    ts_ns : ndarray of int64, shape (n_instants,)
        Close stamps, strictly increasing.
    close : ndarray of float64, shape (n_instants,)
        Index level.
    """

    name: str
    ts_ns: NDArray[np.int64]
    close: NDArray[np.float64]


def sp500_bars() -> tuple[BarBatch, Universe]:
    """Return the daily adjusted closes of 20 US stocks, 1990-01-02 to 2022-12-28, as bars.

    Only `close` is known; every other field is NaN. Both stamps are 16:00 New York time of the day. The names are
    those that survived to 2022: results on them flatter any strategy that is long.
    """
    names, stamps, closes = _closes("sp500_dataset.csv.gz")
    return bars_of_closes(stamps, closes), Universe(names)


def sp500_index() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return close stamps and levels of the S&P 500 (price index, without dividends) on the days of `sp500_bars`."""
    _, stamps, closes = _closes("sp500_index.csv.gz")
    return stamps, closes[:, 0]


def benchmark_for(feed: FeedSettings) -> Benchmark | None:
    """Return the index that belongs to a feed; None if there is none."""
    if feed.kind != "sp500":
        return None
    return Benchmark("S&P 500", *sp500_index())


def bars_of_closes(
    ts_ns: NDArray[np.int64], closes: NDArray[np.float64], ts_open_ns: NDArray[np.int64] | None = None
) -> BarBatch:
    """Return bars that know their close only, ordered by instant then symbol; a NaN close makes no bar.

    Parameters
    ----------
    ts_ns : ndarray of int64, shape (n_instants,)
        Close stamps.
    closes : ndarray of float64, shape (n_instants, n_symbols)
        Prices.
    ts_open_ns : ndarray of int64, shape (n_instants,), optional
        Times of the first price; by default the close stamps.
    """
    row, symbol_id = np.nonzero(~np.isnan(closes))
    unknown = np.full(row.size, np.nan)
    return BarBatch(
        ts_open_ns=(ts_ns if ts_open_ns is None else ts_open_ns)[row],
        ts_ns=ts_ns[row],
        symbol_id=symbol_id.astype(np.int32),
        n_trades=np.zeros(row.size, np.int64),
        **(dict.fromkeys(BAR_FIELDS, unknown) | {"close": closes[row, symbol_id]}),
    )


@functools.lru_cache(maxsize=2)
def _closes(file: str) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.float64]]:
    spec = importlib.util.find_spec("skfolio")
    if spec is None or spec.origin is None:
        raise NotFoundError("the sp500 data come with the package skfolio, which is not installed")
    path = Path(spec.origin).parent / "datasets" / "data" / file
    if not path.is_file():
        raise NotFoundError(f"skfolio is installed without its data file {file}; version 0.9 to 1.x ships it")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        names = tuple(lines.readline().strip().split(",")[1:])
        rows = [line.rstrip("\n").split(",") for line in lines]
    days = np.array([row[0] for row in rows], "datetime64[D]")
    closes = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows])
    stamps = local_time_ns(days, SESSION_CLOSE, NEW_YORK)
    closes.flags.writeable = False
    stamps.flags.writeable = False
    return names, stamps, closes
