from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from trader.core.errors import DataError
from trader.data.sessions import DAY_NS, NEW_YORK, day_start_ns, local_days, local_time_ns


@pytest.mark.parametrize("zone", ["UTC", NEW_YORK, "Asia/Kolkata", "Australia/Sydney"])
def test_local_times_agree_with_pandas(zone: str) -> None:
    """Wall-clock times over three years of clock changes are those of pandas."""
    days = pd.date_range("2019-01-01", "2021-12-31")
    expected = (days + pd.Timedelta(hours=16)).tz_localize(zone).as_unit("ns").asi8
    assert np.array_equal(local_time_ns(days.values.astype("datetime64[D]"), dt.time(16), zone), expected)


def test_local_days_agree_with_pandas() -> None:
    """The calendar day at an instant is the zone's, half-hour offsets included."""
    instants = np.arange(0, 800) * 7 * 3_600 * 10**9 + pd.Timestamp("2020-02-01").value
    for zone in (NEW_YORK, "Asia/Kolkata"):
        expected = pd.DatetimeIndex(instants, tz="UTC").tz_convert(zone).strftime("%Y-%m-%d")
        assert local_days(instants, zone).astype(str).tolist() == expected.tolist()


def test_day_start_in_a_zone() -> None:
    """A day begins at local midnight: five hours after UTC's in a New York winter."""
    assert day_start_ns("2020-01-02", NEW_YORK) - day_start_ns("2020-01-02", "UTC") == 5 * DAY_NS // 24


@pytest.mark.parametrize("day", ["2020-13-01", "yesterday", "01/02/2020", ""])
def test_a_malformed_day_is_refused(day: str) -> None:
    """The message shows the day and the form that is allowed."""
    with pytest.raises(DataError, match=rf"day={day!r} is not a calendar day; the form 2020-12-31"):
        day_start_ns(day, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    """The message shows the zone and an example."""
    with pytest.raises(DataError, match="is unknown; an IANA name is allowed"):
        day_start_ns("2020-01-02", zone)
