"""Time columns as UTC nanoseconds."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.data.sessions import local_time_ns, zone_of

__all__ = ["MISSING", "StampColumn", "epoch_unit_ns", "read_stamps"]

MISSING = np.iinfo(np.int64).min
"""What an absent stamp becomes; the reader refuses the row."""


@dataclasses.dataclass(frozen=True, slots=True)
class StampColumn:
    """UTC nanoseconds of shape (n_rows,); calendar days (`days_only`) are given as midnight UTC of their date."""

    values: NDArray[np.int64]
    days_only: bool

    def ns(self, timezone: str) -> NDArray[np.int64]:
        """Return instants: those given, or the beginning of each day in `timezone`."""
        if not self.days_only:
            return self.values
        missing = self.values == MISSING
        days = np.where(missing, 0, self.values).astype("datetime64[ns]").astype("datetime64[D]")
        return np.where(missing, MISSING, local_time_ns(days, dt.time(), timezone))


_TEXT_FORMATS = (
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y",
    "%Y%m%d %H:%M:%S",
    "%Y%m%d",
)
"""Tried in this order on text that is not ISO 8601: slashes after the month are US (month first), dots day first."""


def read_stamps(column: Any, name: str, timezone: str) -> StampColumn:
    """Return the stamps of an Arrow column.

    Dates, timestamps, text and numbers are understood. A stamp without a zone is local time of `timezone`: of an hour
    that clocks show twice the earlier is meant, one they skip is moved to the end of the skip. Numbers between
    19000101 and 21001231 are days, others seconds, milliseconds, microseconds or nanoseconds since 1970 by
    `epoch_unit_ns`; those are UTC.

    Raises
    ------
    DataError
        If a stamp cannot be read; the message shows the first one.
    """
    import pyarrow as pa

    zone_of(timezone)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = _parse_text(column, name)
        kind = column.type
    if pa.types.is_date(kind):
        return StampColumn(_to_ns(column.cast(pa.timestamp("s"))), True)
    if pa.types.is_timestamp(kind):
        return _from_timestamps(column, timezone)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _from_numbers(column, name)
    raise DataError(f"column {name!r} holds {kind}, which is not a time; text, dates, time stamps and numbers are")


def epoch_unit_ns(magnitude: float) -> int:
    """Return how many nanoseconds one unit of an epoch stamp of this size is.

    Below 1e11 it counts seconds (until the year 5138), below 1e14 milliseconds (1973 to 5138), below 1e17
    microseconds, else nanoseconds.

    >>> [epoch_unit_ns(m) for m in (1.7e9, 1.7e12, 1.7e15, 1.7e18)]
    [1000000000, 1000000, 1000, 1]
    """
    for limit, unit in ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1000)):
        if magnitude < limit:
            return unit
    return 1


def _from_timestamps(column: Any, timezone: str) -> StampColumn:
    import pyarrow as pa
    from pyarrow import compute as pc

    if column.type.tz is not None:
        return StampColumn(_to_ns(column), False)
    stamps = _to_ns(column)
    known = stamps[stamps != MISSING]
    if known.size and not (known % 86_400_000_000_000).any():
        return StampColumn(stamps, True)
    local = column.cast(pa.timestamp("ns"))
    return StampColumn(_to_ns(pc.assume_timezone(local, timezone, ambiguous="earliest", nonexistent="latest")), False)


def _from_numbers(column: Any, name: str) -> StampColumn:
    import pyarrow as pa

    whole = pa.types.is_integer(column.type)
    if whole:
        values = column.cast(pa.int64()).fill_null(MISSING).to_numpy()
        known = values != MISSING
    else:
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        known = np.isfinite(values)
    if not known.any():
        raise DataError(f"column {name!r} holds no time stamp")
    given = values[known]
    if ((given >= 19_000_101) & (given <= 21_001_231) & (given == np.floor(given))).all():
        stamps, days_only = _from_day_numbers(given.astype(np.int64), name), True
    else:
        unit, days_only = epoch_unit_ns(float(np.median(np.abs(given)))), False
        # A float of seconds carries microseconds at best; more digits would be noise.
        fine = 1 if whole or unit == 1 else 1000
        stamps = given * unit if whole else np.round(given * (unit // fine)).astype(np.int64) * fine
    full = np.full(values.size, MISSING)
    full[known] = stamps
    return StampColumn(full, days_only)


def _from_day_numbers(numbers: NDArray[np.int64], name: str) -> NDArray[np.int64]:
    distinct, inverse = np.unique(numbers, return_inverse=True)
    try:
        days = np.array([f"{d // 10000:04d}-{d // 100 % 100:02d}-{d % 100:02d}" for d in distinct], "datetime64[D]")
    except ValueError as error:
        raise DataError(f"column {name!r} looks like days of the form 20201231, but: {error}") from None
    return np.asarray(days.astype("datetime64[ns]").astype(np.int64)[inverse])


def _parse_text(column: Any, name: str) -> Any:
    import pyarrow as pa
    from pyarrow import compute as pc

    filled = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), pa.scalar(None, column.type), column)
    for target in (pa.date32(), pa.timestamp("ns", "UTC"), pa.timestamp("ns")):
        try:
            return filled.cast(target)
        except pa.ArrowInvalid:
            continue
    for form in _TEXT_FORMATS:
        parsed = pc.strptime(filled, format=form, unit="s", error_is_null=True)
        if parsed.null_count == filled.null_count:
            return parsed if "%H" in form else parsed.cast(pa.date32())
    # Report by the format that understood most.
    best = min(
        (pc.strptime(filled, format=form, unit="s", error_is_null=True) for form in _TEXT_FORMATS),
        key=lambda parsed: parsed.null_count,
    )
    bad = pc.and_(pc.is_null(best), pc.is_valid(filled))
    row = pc.index(bad, True).as_py()
    raise DataError(
        f"column {name!r} holds {filled[row].as_py()!r} in row {row + 1}, which is not a time; "
        "ISO 8601 (2020-12-31T16:00:00), 12/31/2020, 31.12.2020, 20201231 and epoch numbers are allowed"
    )


def _to_ns(column: Any) -> NDArray[np.int64]:
    import pyarrow as pa

    target = pa.timestamp("ns", column.type.tz)
    try:
        return np.asarray(column.cast(target).cast(pa.int64()).fill_null(MISSING).to_numpy(), np.int64)
    except pa.ArrowInvalid:
        raise DataError("a time stamp lies outside the years 1677 to 2262") from None
