from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trader.core.errors import DataError
from trader.data.reading.bar_times import common_step
from trader.data.reading.stamps import MISSING, epoch_unit_ns, read_stamps

MOMENT = pd.Timestamp("2021-03-04 15:16:17", tz="UTC")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_epoch_numbers_are_told_by_their_size(unit: str) -> None:
    """Seconds, milliseconds, microseconds and nanoseconds of the same moment agree, as integers and as text."""
    number = MOMENT.as_unit("ns").value // pd.Timedelta(1, unit).value
    stamps = read_stamps(pa.array([number]), "t", "America/New_York")
    assert stamps.values.tolist() == [MOMENT.as_unit("ns").value]
    assert not stamps.days_only


def test_float_seconds_keep_microseconds() -> None:
    """A float of seconds is rounded to the microsecond it can carry; NaN is missing."""
    stamps = read_stamps(pa.array([1614870977.123456, float("nan")]), "t", "UTC")
    assert stamps.values.tolist() == [1614870977123456000, MISSING]


@pytest.mark.parametrize(
    "text",
    [
        "2021-03-04 15:16:17",
        "2021-03-04T15:16:17",
        "2021-03-04T15:16:17Z",
        "2021-03-04T16:16:17+01:00",
        "2021/03/04 15:16:17",
        "03/04/2021 15:16:17",
        "04.03.2021 15:16:17",
        "20210304 15:16:17",
    ],
)
def test_forms_of_text(text: str) -> None:
    """ISO 8601 with and without a zone, US slashes, European dots and compact stamps mean the same moment."""
    assert read_stamps(pa.array([text]), "t", "UTC").values.tolist() == [MOMENT.as_unit("ns").value]


@pytest.mark.parametrize("text", ["2021-03-04", "2021/03/04", "03/04/2021", "04.03.2021"])
def test_days_as_text(text: str) -> None:
    """Days are told from moments."""
    stamps = read_stamps(pa.array([text]), "t", "UTC")
    assert stamps.days_only
    assert stamps.values.tolist() == [MOMENT.normalize().as_unit("ns").value]


def test_days_as_numbers() -> None:
    """20210304 is a day, not a second of 1970."""
    stamps = read_stamps(pa.array([20210304, None, 19990101]), "t", "UTC")
    assert stamps.days_only
    assert stamps.values.tolist() == [MOMENT.normalize().as_unit("ns").value, MISSING, pd.Timestamp("1999").value]


def test_local_stamps_agree_with_pandas_through_clock_changes() -> None:
    """Naive stamps are local: the doubled hour means the earlier, the skipped one moves on."""
    local = pd.date_range("2020-03-07", "2020-03-10", freq="30min").append(
        pd.date_range("2020-10-31", "2020-11-03", freq="30min")
    )
    stamps = read_stamps(pa.array(local.to_pydatetime()), "t", "America/New_York")
    zoned = local.tz_localize(
        "America/New_York", ambiguous=np.ones(len(local), bool), nonexistent="shift_forward"
    ).as_unit("ns")
    assert stamps.values.tolist() == zoned.asi8.tolist()


def test_stamps_with_a_zone_ignore_the_default() -> None:
    """A zone in the column wins over the argument."""
    column = pa.array([MOMENT.to_pydatetime()], pa.timestamp("us", "Asia/Tokyo"))
    assert read_stamps(column, "t", "America/New_York").values.tolist() == [MOMENT.as_unit("ns").value]


def test_missing_stamps_are_marked() -> None:
    """Empty text and null are missing, in a column of moments and of days."""
    assert read_stamps(pa.array(["2021-03-04 15:16:17", "", None]), "t", "UTC").values.tolist()[1:] == [MISSING] * 2
    assert read_stamps(pa.array(["2021-03-04", None]), "t", "UTC").ns("Asia/Tokyo").tolist()[1] == MISSING


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array(["2021-03-04", "soon"]), "column 't' holds 'soon' in row 2, which is not a time; ISO 8601"),
        (pa.array([True]), "column 't' holds bool, which is not a time"),
        (pa.array([20210399]), "column 't' looks like days of the form 20201231, but"),
        (pa.array([None, None], pa.int64()), "column 't' holds no time stamp"),
        (pa.array(["9999-01-01"]), "outside the years 1677 to 2262"),
    ],
)
def test_what_is_no_time_is_refused(column: pa.Array, message: str) -> None:
    """The message names column, value and what is allowed."""
    with pytest.raises(DataError, match=message):
        read_stamps(column, "t", "UTC")


def test_units_change_where_stated() -> None:
    """The rule for magnitudes holds on both sides of its limits."""
    assert [epoch_unit_ns(x) for x in (9.9e10, 1e11, 9.9e13, 1e14, 9.9e16, 1e17)] == [
        10**9,
        10**6,
        10**6,
        1000,
        1000,
        1,
    ]


def test_the_common_step_survives_gaps_and_disorder() -> None:
    """Nights, shuffled rows and missing stamps do not change the step."""
    day = np.arange(0, 390 * 60, 60) * 10**9
    stamps = np.concatenate([day, day + 86_400 * 10**9, [MISSING]])
    order = np.random.default_rng(0).permutation(stamps.size)
    assert common_step(stamps[order], np.zeros(stamps.size, np.int32)) == 60 * 10**9
    assert common_step(np.array([5]), np.zeros(1, np.int32)) == 0
