"""Local wall-clock times of many days as UTC nanoseconds."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = [
    "DAY_NS",
    "HOUR_NS",
    "MINUTE_NS",
    "NEW_YORK",
    "day_start_ns",
    "instant_ns",
    "local_days",
    "local_time_ns",
    "zone_of",
]

MINUTE_NS = 60 * 1_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
NEW_YORK = "America/New_York"
_EPOCH = dt.date(1970, 1, 1).toordinal()


def zone_of(name: str) -> ZoneInfo:
    """Return the IANA time zone `name`; an unknown one raises DataError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise DataError(f"timezone={name!r} is unknown; an IANA name is allowed, e.g. 'America/New_York'") from None


def local_time_ns(days: NDArray[np.datetime64], time_of_day: dt.time, timezone: str) -> NDArray[np.int64]:
    """Return the instants at which clocks in `timezone` show `time_of_day` on each day.

    Parameters
    ----------
    days : ndarray of datetime64[D], shape (n_days,)
        Calendar days.
    time_of_day : datetime.time
        Wall-clock time; one that a clock change skips is read with the offset before the change.
    timezone : str
        IANA name.

    Returns
    -------
    ndarray of int64, shape (n_days,)
        UTC nanoseconds.

    Examples
    --------
    >>> days = np.array(["2024-01-02", "2024-07-02"], "datetime64[D]")  # winter and summer time
    >>> local_time_ns(days, dt.time(16), NEW_YORK).astype("datetime64[ns]").astype("datetime64[h]").tolist()
    [datetime.datetime(2024, 1, 2, 21, 0), datetime.datetime(2024, 7, 2, 20, 0)]
    """
    zone = zone_of(timezone)
    numbers = days.astype("datetime64[D]").astype(np.int64)
    distinct, inverse = np.unique(numbers, return_inverse=True)
    seconds = [
        int(dt.datetime.combine(dt.date.fromordinal(_EPOCH + int(day)), time_of_day, zone).timestamp())
        for day in distinct
    ]
    stamps = np.array(seconds, np.int64) * 1_000_000_000 + time_of_day.microsecond * 1000
    return np.asarray(stamps[inverse], np.int64)


def instant_ns(text: str, timezone: str) -> int:
    """Return the instant that an ISO day begins at in `timezone`, or that an ISO time with an offset names.

    >>> instant_ns("1970-01-02", "UTC") == instant_ns("1970-01-02T00:00:00+00:00", "America/New_York")
    True
    """
    if "T" not in text:
        return day_start_ns(text, timezone)
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        parsed = dt.datetime.min
    if parsed.tzinfo is None:
        raise DataError(f"time={text!r} is not an instant; the form 2020-12-31T14:30:00+00:00 is allowed")
    since = parsed - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since // dt.timedelta(microseconds=1)) * 1000


def day_start_ns(day: str, timezone: str) -> int:
    """Return the instant at which the ISO day begins in `timezone`; a malformed day raises DataError.

    >>> day_start_ns("1970-01-02", "UTC") == DAY_NS
    True
    """
    try:
        parsed = dt.date.fromisoformat(day)
    except ValueError:
        raise DataError(f"day={day!r} is not a calendar day; the form 2020-12-31 is allowed") from None
    return int(local_time_ns(np.array([parsed], "datetime64[D]"), dt.time(), timezone)[0])


def local_days(ts_ns: NDArray[np.int64], timezone: str) -> NDArray[np.datetime64]:
    """Return the calendar day that `timezone` has at each instant, shape (n_instants,).

    >>> local_days(np.array([0]), NEW_YORK).tolist()
    [datetime.date(1969, 12, 31)]
    """
    zone = zone_of(timezone)
    # The offset is looked up once for each hour that occurs; zones change on whole hours of UTC in modern times.
    hours, inverse = np.unique(ts_ns // HOUR_NS, return_inverse=True)
    days = [dt.datetime.fromtimestamp(int(hour) * 3600, zone) for hour in hours]
    offsets = np.array([int(day.utcoffset().total_seconds()) for day in days], np.int64)  # type: ignore[union-attr]
    return (ts_ns + offsets[inverse] * 1_000_000_000).astype("datetime64[ns]").astype("datetime64[D]")
