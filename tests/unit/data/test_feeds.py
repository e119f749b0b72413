from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from trader.core.errors import DataError, NotFoundError
from trader.core.market import BarBatch
from trader.data.content import describe
from trader.data.datasets import sp500_bars
from trader.data.feeds import FEEDS, feed_window, open_feed
from trader.data.replay import ReplayFeed
from trader.data.sessions import DAY_NS, HOUR_NS, day_start_ns
from trader.settings import FeedSettings
from trader.settings.live import LIVE_KINDS
from trader.settings.sections import REPLAY_KINDS


def _bars(feed: ReplayFeed) -> BarBatch:
    return BarBatch.concat([b.data for b in feed.batches()])  # type: ignore[misc]


def test_there_is_an_opener_for_every_kind() -> None:
    """The registry and the settings name the same kinds; each is taken, and nothing else."""
    assert set(FEEDS) == {*REPLAY_KINDS, *LIVE_KINDS}
    assert {FeedSettings(kind=kind).kind for kind in FEEDS} == set(FEEDS)
    with pytest.raises(ValidationError, match="are allowed"):
        FeedSettings(kind="kraken")


def test_the_window_is_in_days_of_the_exchange() -> None:
    """`start` begins and `end` ends at midnight in New York, in the file's zone for files."""
    start, end = feed_window(FeedSettings(start="2020-01-02", end="2020-01-02"))
    assert start == day_start_ns("2020-01-02", "UTC") + 5 * HOUR_NS
    assert end == start + DAY_NS
    assert feed_window(FeedSettings(kind="file", start="2020-01-02"))[0] == day_start_ns("2020-01-02", "UTC")
    assert feed_window(FeedSettings()) == (None, None)
    with pytest.raises(DataError, match=r"feed.start='2020-02-01' is after feed.end='2020-01-31'"):
        feed_window(FeedSettings(start="2020-02-01", end="2020-01-31"))


def test_the_end_is_inclusive() -> None:
    """The last day is delivered, the next is not."""
    feed = open_feed(FeedSettings(end="2000-12-29"), seed=0)
    assert feed.info.span_ns == (feed.info.span_ns[0], day_start_ns("2000-12-29", "UTC") + 21 * HOUR_NS)


def test_symbols_restrict_and_order() -> None:
    """Symbols are numbered in the order asked for."""
    feed = open_feed(FeedSettings(symbols=("XOM", "AAPL"), end="1990-01-05"), seed=0)
    assert feed.info.universe.symbols == ("XOM", "AAPL")
    bars, universe = sp500_bars()
    mine = next(iter(feed.batches())).data
    for symbol_id, symbol in enumerate(("XOM", "AAPL")):
        original = bars.take((bars.symbol_id == universe.id_of(symbol)) & (bars.ts_ns == mine.ts_ns[0]))
        assert mine.take(mine.symbol_id == symbol_id).close == original.close


def test_an_unknown_symbol_is_refused() -> None:
    """The message offers the nearest name."""
    with pytest.raises(DataError, match="symbol 'APPL' is not in the sp500 data; did you mean 'AAPL'"):
        open_feed(FeedSettings(symbols=("APPL",)), seed=0)


def test_a_file_feed_needs_a_path_that_exists(tmp_path: Path) -> None:
    """Neither a missing setting nor a missing file gets further."""
    with pytest.raises(DataError, match=r"feed.path is not set; feed.kind=file needs"):
        open_feed(FeedSettings(kind="file"), seed=0)
    with pytest.raises(NotFoundError, match=r"nothing.csv does not exist"):
        open_feed(FeedSettings(kind="file", path=tmp_path / "nothing.csv"), seed=0)


def test_bars_of_a_file_are_repaired_and_the_report_kept(tmp_path: Path) -> None:
    """A bad print in the file does not leave the feed; the report and the counts say what happened."""
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 200)))
    closes[120] *= 1.5
    days = np.arange(np.datetime64("2020-01-01"), np.datetime64("2020-01-01") + 200)
    path = tmp_path / "closes.csv"
    path.write_text("Date,AAA\n" + "".join(f"{d},{c}\n" for d, c in zip(days, closes, strict=True)))
    feed = open_feed(FeedSettings(kind="file", path=path), seed=0)
    assert isinstance(feed, ReplayFeed)
    assert feed.rejected() == {"repaired": 1}
    assert feed.quality is not None
    assert [f.ts_ns // DAY_NS for f in feed.quality.of("outliers")] == [days[120].astype(int)]
    assert np.array_equal(_bars(feed).close, np.delete(closes, 120))


def test_an_end_before_the_data_is_refused() -> None:
    """Nothing left is an error, not an empty feed."""
    with pytest.raises(DataError, match=r"feed.end='1980-01-01' leaves nothing of sp500"):
        open_feed(FeedSettings(end="1980-01-01"), seed=0)
    with pytest.raises(DataError, match="the simulated market begins on 2015-01-02"):
        open_feed(FeedSettings(kind="simulated", end="1980-01-01"), seed=0)


def test_replay_refuses_what_its_info_does_not_describe() -> None:
    """Another kind, ids outside the universe and unordered bars are programming errors that are caught."""
    bars, universe = sp500_bars()
    info = describe("x", bars, universe)
    with pytest.raises(DataError, match="bars are not in order of ts_ns"):
        ReplayFeed(bars.take(slice(None, None, -1)), info)
    small = describe("x", bars.take(slice(0, 1)), type(universe)(("AAPL",)))
    with pytest.raises(DataError, match="symbol ids 0 to 19 in the data; 0 to 0 is allowed"):
        ReplayFeed(bars, small)


def test_an_empty_replay_has_no_batches() -> None:
    """No rows, no batches, no span."""
    empty = BarBatch.empty()
    feed = ReplayFeed(empty, describe("none", empty, sp500_bars()[1]))
    assert list(feed.batches()) == []
    assert feed.info.span_ns is None


def test_importing_is_light() -> None:
    """`import trader.data` loads neither pandas, pyarrow, numba nor skfolio."""
    heavy = "pandas", "pyarrow", "numba", "skfolio", "scipy", "ray"
    code = f"import sys, trader.data; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
