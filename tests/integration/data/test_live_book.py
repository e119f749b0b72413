"""Order books that follow the reference server, and everything the server can do to them."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path

import numpy as np
import pytest

from tests.support.books import N_LEVELS, check_depth, check_rows, make_diffs, write_book_capture
from tests.support.live import serving
from tests.support.live_vendors import PATIENT
from trader.core.errors import ServiceUnavailableError
from trader.core.market import QuoteBatch
from trader.data.live.binance_book import BinanceBookDecoder
from trader.data.live.depth_log import DepthBatch, DepthLog
from trader.data.live.feed import LiveFeed
from trader.data.live.vendors import open_live
from trader.settings import FeedSettings, LiveSettings

LOB = Path(__file__).parents[4] / "shared" / "data" / "lob"
N = 150
DIFFS = make_diffs(N, seed=11)


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """What the feed loads while it runs is there from the beginning, so that times are short."""
    for name in ("httpx", "scipy.stats"):
        importlib.import_module(name)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return write_book_capture(tmp_path / "book", DIFFS)


def feed_of(url: str, n_levels: int, **live: object) -> tuple[LiveFeed, DepthLog]:
    """A feed that tries again fast, and what its book was."""
    fast = {"backoff_first_s": 0.02, "backoff_cap_s": 0.1, "batch_ms": 10.0, "market": "usdm"}
    settings = LiveSettings.model_validate({"url": url} | PATIENT | fast | live)
    feed = open_live(FeedSettings(kind="binance", symbols=("BTCUSDT",), data_kind="book", live=settings))
    log, decoder = DepthLog(n_levels), feed.sources[0].decoder
    assert isinstance(decoder, BinanceBookDecoder)
    decoder.keep_depth(log)
    return feed, log


def read(feed: LiveFeed, log: DepthLog, last: np.ndarray) -> tuple[QuoteBatch, DepthBatch]:
    """Read until the newest state of the book is `last`, shape (2, n_levels, 2)."""
    batches = []
    with contextlib.closing(feed.batches()) as stream:
        for batch in stream:
            batches.append(batch.data)
            newest = log.newest(0)
            if newest is None:
                continue
            depth = newest[1]
            found = np.array([[depth.bid, depth.bid_size], [depth.ask, depth.ask_size]]).transpose(0, 2, 1)
            if np.array_equal(found, last, equal_nan=True):
                break
        else:
            raise AssertionError(f"the book is not the last one: {feed.status()}")
    return QuoteBatch.concat(batches), log.take()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("faults", "troubles"),
    [
        (["garbage:3@50", "duplicate:5@60"], set()),
        (["skip:3@50", "reorder:2@80", "skip:2@110"], {"book_gap"}),
        (["close:1000@40", "close:1001@60", "close:1006@80", "close:1011@100"], {"disconnected"}),
        (["mute@50"], {"stale"}),
        (["refuse:429x2", "nosnapshot:429x2", "nosnapshot:503x2"], {"snapshot_failed", "connect_failed"}),
        (["skew:2@50", "throttle:400@50"], set()),
    ],
)
def test_it_ends_with_the_true_book(tmp_path: Path, faults: list[str], troubles: set[str]) -> None:
    """Whatever happens, every quote and every state is one that the book had, and the last is right again."""
    is_mute = "mute@50" in faults
    capture = write_book_capture(tmp_path / "book", DIFFS, rest_ms=4000 if is_mute else 1000 if troubles else 0)
    with serving(capture, *faults, speed=1.0, stamps="recorded") as server:
        feed, log = feed_of(server.url, N_LEVELS, stale_s=2.0 if is_mute else 60.0)
        rows, states = read(feed, log, DIFFS[-1].truth)
    places = check_rows(DIFFS, rows)
    assert places == sorted(set(places))
    assert set(places) <= set(check_depth(DIFFS, states.depth))
    assert troubles <= set(feed.status().troubles)
    if not troubles:
        assert len(places) == N - places[0]
    if "book_gap" in troubles:
        gaps = feed.rejected()["book_gap"]
        assert gaps >= 1
        (counters,) = feed.counters()
        assert counters.counts["book_gaps"].tolist() == [gaps]
        assert counters.counts["book_snapshots"][0] >= gaps + 1
        assert len(places) < N


def test_a_book_that_never_begins_brings_nothing(capture: Path) -> None:
    """The run ends with a line that says why, not with quotes of half a book."""
    with serving(capture, "nosnapshot:418x999", speed=1.0) as server:
        feed, log = feed_of(server.url, N_LEVELS, start_deadline_s=2.0)
        with pytest.raises(ServiceUnavailableError, match=r"no snapshot of the book came: refused with HTTP 418"):
            list(feed.batches())
    assert len(log.take()) == 0
    assert feed.status().troubles["snapshot_failed"] >= 2


def test_a_rollover_loses_nothing(capture: Path) -> None:
    """A second connection is made before the first ends; what both bring is applied once."""
    with serving(capture, speed=1.0, stamps="recorded") as server:
        feed, log = feed_of(server.url, N_LEVELS, rollover_s=0.6)
        rows, _ = read(feed, log, DIFFS[-1].truth)
        assert server.connections >= 2
    check_rows(DIFFS, rows)
    assert "disconnected" not in feed.status().troubles


@pytest.mark.skipif(not LOB.is_dir(), reason="../shared/data is absent")
def test_a_real_capture_at_full_speed() -> None:
    """The ten levels after each diff since the snapshot are those that an independent program rebuilt."""
    import pyarrow.parquet as pq

    oracle = pq.read_table(LOB / "binance_usdm_btcusdt_20240808_L10.parquet")
    columns = np.column_stack([oracle[name].to_numpy() for name in oracle.column_names[2:]])
    expected = columns.reshape(-1, 10, 2, 2)[:, :, ::-1].transpose(0, 2, 1, 3)  # bids first
    with serving(LOB / "binance_usdm_btcusdt_20240808.gz", speed=0.0, stamps="recorded") as server:
        feed, log = feed_of(server.url, 10)
        quotes, states = read(feed, log, expected[-1])
    depth = states.depth
    found = np.stack([np.stack([depth.bid, depth.bid_size], -1), np.stack([depth.ask, depth.ask_size], -1)], 1)
    assert len(found) > 1000
    np.testing.assert_array_equal(found, expected[-len(found) :])
    assert 0 < len(quotes) <= len(found)
    assert feed.status().troubles.keys() <= {"snapshot_failed"}
