"""Calendar features, from the UTC date on which the bar ends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.features.family import DAY, DAY_FRACTION, Family, Series, stack
from trader.features.jit import compiled

__all__ = ["Calendar", "calendar_step"]

FloatArray = NDArray[np.float64]


class Calendar(Family):
    """`day_of_week` (Monday 0), `month_position`, `days_to_month_end`, `year_position`, and perhaps `time_of_day`.

    A position is 0 on the first day and 1 on the last. `time_of_day`, the part of the UTC day gone, is there where
    a day has several bars. The date is that of the bar's last nanosecond: a bar stamped with midnight belongs to the
    day before.
    """

    name = "calendar"
    inputs = ("day", "day_fraction")

    def __init__(self, bars_per_day: float) -> None:
        self.intraday = bars_per_day > 1
        names = ["day_of_week", "month_position", "days_to_month_end", "year_position"]
        self._describe(names + ["time_of_day"] * self.intraday, 1, (float(self.intraday),), 0)

    def batch(self, bars: Series) -> FloatArray:
        """Return the features of all bars from scratch."""
        date = bars.day.astype("datetime64[D]")
        month, year = date.astype("datetime64[M]"), date.astype("datetime64[Y]")
        of_month = (date - month.astype(date.dtype)).astype(np.float64)
        of_year = (date - year.astype(date.dtype)).astype(np.float64)
        to_month_end = ((month + 1).astype(date.dtype) - date).astype(np.float64) - 1.0
        to_year_end = ((year + 1).astype(date.dtype) - date).astype(np.float64) - 1.0
        columns = [
            (bars.day + 3.0) % 7.0,
            of_month / (of_month + to_month_end),
            to_month_end,
            of_year / (of_year + to_year_end),
        ]
        return stack(*columns, *[bars.day_fraction] * self.intraday)


@compiled
def calendar_step(bar: FloatArray, mem: FloatArray, at: int, row: FloatArray, column: int) -> None:
    """Write the features of one bar. Block: whether a day has several bars."""
    # Years that begin in March put the leap day last: day of year and month follow by division. Source:
    # H. Hinnant, "chrono-compatible low-level date algorithms". Eras of 400 years are counted from 1 March 0000.
    days = int(bar[DAY]) + 719468
    of_era = days % 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    of_month = of_year - (153 * month + 2) // 5
    calendar_year = year + (1 if month >= 10 else 0)
    leap = 1 if calendar_year % 4 == 0 and (calendar_year % 100 != 0 or calendar_year % 400 == 0) else 0
    # March is month 0 here, so February is month 11, and January and February come last.
    in_month = 28 + leap if month == 11 else (153 * (month + 1) + 2) // 5 - (153 * month + 2) // 5
    since_new_year = of_year - 306 if month >= 10 else of_year + 59 + leap
    row[column] = (days + 2) % 7
    row[column + 1] = of_month / (in_month - 1.0)
    row[column + 2] = in_month - of_month - 1.0
    row[column + 3] = since_new_year / (364.0 + leap)
    if mem[at] > 0.0:
        row[column + 4] = bar[DAY_FRACTION]
