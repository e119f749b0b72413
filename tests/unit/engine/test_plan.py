"""What a run will do follows from settings and data."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError, SettingsError
from trader.core.market import Universe
from trader.core.protocols import FeedInfo
from trader.data.feeds import feed_window
from trader.engine.plan import make_plan, new_run_id, periods_per_year
from trader.settings import Settings, load_settings

DAY = 86_400_000_000_000
HOUR = DAY // 24


def _info(span: tuple[int, int] | None = (0, 1000 * DAY)) -> FeedInfo:
    return FeedInfo("test", Universe(("A",)), "bars", frozenset({"close"}), "f" * 64, span)


def _settings(**overrides: dict[str, object]) -> Settings:
    return load_settings(None, None, overrides)


def test_without_dates_half_trains_and_the_rest_trades() -> None:
    """The default split is at `train_fraction` of the span, and trading starts right after it."""
    plan = make_plan(_settings(models={"train_fraction": 0.25}), _info(), mode="backtest")
    assert plan.train_end_ns == 250 * DAY
    assert plan.start_ns == plan.train_end_ns + 1000
    assert feed_window(plan.settings.feed)[0] == plan.start_ns


def test_days_are_inclusive() -> None:
    """Training sees all of its last day."""
    plan = make_plan(_settings(models={"train_end": "1970-01-31"}), _info(), mode="backtest")
    assert plan.train_end_ns == 31 * DAY + 5 * HOUR - 1, "midnight in New York"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"models": {"train_end": "1971-01-01"}, "feed": {"start": "1970-06-01"}}, "may not be traded on data"),
        ({"models": {"train_end": "1999-01-01"}}, "outside the data"),
        ({"models": {"train_end": "soon"}}, "'soon' is not a calendar day"),
        ({"feed": {"start": "2030-01-01"}}, "feed.start=2030-01-01T05:00:00.* is outside the data"),
    ],
)
def test_dates_that_cannot_work_are_refused(overrides: dict[str, dict[str, object]], message: str) -> None:
    """Overlap of training and trading, and dates outside the data."""
    with pytest.raises((SettingsError, DataError), match=message):
        make_plan(_settings(**overrides), _info(), mode="run")


def test_a_live_feed_has_no_history() -> None:
    """Nothing to train on is said so."""
    with pytest.raises(DataError, match="no history"):
        make_plan(_settings(), _info(None), mode="run")


def test_run_ids_sort_by_time_and_differ() -> None:
    """A thousand ids of one second do not collide more than chance allows."""
    early, late = dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)
    assert new_run_id(early) < new_run_id(late)
    assert len({new_run_id(early) for _ in range(20)}) > 15


def test_periods_per_year() -> None:
    """Business days are 252 a year; minutes of a 24-hour market 525,960."""
    days = np.arange("2010-01-01", "2020-01-01", dtype="datetime64[D]")
    business = days[np.is_busday(days)].astype("datetime64[ns]").astype(np.int64)
    assert periods_per_year(business) == 252.0
    assert periods_per_year(np.arange(10_000, dtype=np.int64) * 60_000_000_000) == pytest.approx(525_960)
    assert periods_per_year(np.array([1])) == 252.0


def test_a_live_run_begins_with_the_first_whole_bar(tmp_path: Path) -> None:
    """Its start is the next boundary of bars, kept for a resume; a year holds as many bars as fit into it."""
    settings = _settings(models={"load_from": tmp_path}, bars={"size": 60.0}, feed={"kind": "binance"})
    before = time.time_ns()
    plan = make_plan(settings, _info(None), mode="run")
    assert before < plan.start_ns <= time.time_ns() + 60 * 10**9 + 1000
    assert plan.start_ns % (60 * 10**9) == 1000
    assert feed_window(plan.settings.feed)[0] == plan.start_ns
    assert plan.settings.sizing.bars_per_year == pytest.approx(525_960)
    assert plan.settings.risk.max_data_age_s == 120.0
    again = make_plan(plan.settings, _info(None), mode="run")
    assert (again.start_ns, again.settings) == (plan.start_ns, plan.settings)


def test_what_a_live_feed_cannot_do_is_refused(tmp_path: Path) -> None:
    """A backtest, and bars of which a year holds nobody knows how many."""
    settings = _settings(models={"load_from": tmp_path}, bars={"kind": "dollar", "size": 1e6})
    with pytest.raises(DataError, match="trader feeds record"):
        make_plan(settings, _info(None), mode="backtest")
    with pytest.raises(SettingsError, match=r"sizing.bars_per_year is not set; bars.kind='dollar'"):
        make_plan(settings, _info(None), mode="run")
