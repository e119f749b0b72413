"""When the bars of a file open and close."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.data.reading.stamps import MISSING, StampColumn
from trader.data.sessions import DAY_NS, local_days, local_time_ns

__all__ = ["FIRST_PRICE", "LAST_MOMENT", "bar_times", "common_step"]

FIRST_PRICE = dt.time(9, 30)
"""Local time of the first price of a bar of a day or more, where the file does not say."""
LAST_MOMENT = dt.time(23, 59, 59, 999999)
"""Local time of the close of a bar that is dated by day only."""


def bar_times(
    stamps: Mapping[str, StampColumn], ids: NDArray[np.int32], timezone: str, *, knows_open: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return opening and closing stamps, each of shape (n_rows,), by the rules of `read_market_file`.

    Parameters
    ----------
    stamps : mapping of {"ts", "ts_open"} to StampColumn
        One or both.
    ids : ndarray of int32, shape (n_rows,)
        Symbols; the step between bars is looked for within each.
    timezone : str
        Zone of days.
    knows_open : bool
        Whether the file has open prices; without them a bar opens at its close.
    """
    given = stamps.get("ts") or stamps["ts_open"]
    missing = given.values == MISSING
    if given.days_only:
        days = np.where(missing, 0, given.values).astype("datetime64[ns]").astype("datetime64[D]")
        close = local_time_ns(days, LAST_MOMENT, timezone)
        opening = local_time_ns(days, FIRST_PRICE, timezone)
    elif "ts" in stamps and "ts_open" in stamps:
        close, opening = stamps["ts"].values, stamps["ts_open"].ns(timezone)
    else:
        step = common_step(given.values, ids)
        close = given.values if "ts" in stamps else given.values + step
        if "ts" not in stamps and step == 0:
            raise DataError("bars are stamped with their opening, but no symbol has two, so their length is unknown")
        opening = given.values if "ts" not in stamps else close - step
        if step >= DAY_NS:
            days = local_days(np.where(missing, 0, close), timezone)
            opening = np.minimum(local_time_ns(days, FIRST_PRICE, timezone), close)
    close = np.where(missing, MISSING, close)
    return (np.where(missing, MISSING, opening) if knows_open else close), close


def common_step(ts_ns: NDArray[np.int64], ids: NDArray[np.int32]) -> int:
    """Return the most common positive distance of consecutive stamps of one symbol; 0 if there is none.

    >>> common_step(np.array([0, 60, 120, 600, 0, 60]), np.array([0, 0, 0, 0, 1, 1]))
    60
    """
    order = np.lexsort((ts_ns, ids))
    order = order[ts_ns[order] != MISSING]
    distance = np.diff(ts_ns[order])
    distance = distance[(np.diff(ids[order]) == 0) & (distance > 0)]
    if not distance.size:
        return 0
    steps, counts = np.unique(distance, return_counts=True)
    return int(steps[np.argmax(counts)])
