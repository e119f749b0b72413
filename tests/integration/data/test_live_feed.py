"""The live feed against the reference server, and everything the server can do to it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.support.live import serving, write_capture
from tests.support.live_vendors import PATIENT
from tests.support.waiting import wait_until
from trader.core.errors import OperationError, ServiceUnavailableError
from trader.core.market import TradeBatch
from trader.core.protocols import Feed, FeedBatch
from trader.data.feeds import open_feed
from trader.data.live.feed import LiveFeed
from trader.data.live.reference.server import ReplayServer
from trader.data.live.vendors import open_live
from trader.data.sinks.parquet import ParquetSink
from trader.settings import FeedSettings, LiveSettings

N = 400
"""Trades of the capture: two seconds of them."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_capture(tmp_path_factory.mktemp("capture") / "trades", N)


def feed_of(server: ReplayServer | str, symbols: tuple[str, ...] = ("BTCUSDT",), **live: object) -> LiveFeed:
    """A feed that reconnects fast, and gives up only what takes a minute."""
    url = server if isinstance(server, str) else server.url
    fast = {"backoff_first_s": 0.02, "batch_ms": 10.0, "backfill": False}
    settings = LiveSettings.model_validate({"url": url} | PATIENT | fast | live)
    return open_live(FeedSettings(kind="binance", symbols=symbols, live=settings))


def rows_of(batches: Iterable[FeedBatch]) -> TradeBatch:
    """All rows."""
    return TradeBatch.concat([batch.data for batch in batches if isinstance(batch.data, TradeBatch)])


def read(feed: LiveFeed, n: int = N, until: Callable[[], bool] = lambda: True) -> TradeBatch:
    """Rows of a pass that ends when all `n` have come or are counted as lost, and `until` is true."""
    batches, seen = [], 0
    with contextlib.closing(feed.batches()) as stream:
        for batch in stream:
            batches.append(batch)
            seen += len(batch.data)
            if seen + feed.rejected().get("lost", 0) >= n and until():
                break
    return rows_of(batches)


def test_it_keeps_the_promises_of_a_feed(tmp_path: Path) -> None:
    """Numbers without holes, watermarks that hold, order of receipt, and every row of every symbol."""
    symbols = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
    with serving(write_capture(tmp_path / "c", 600, symbols=symbols), speed=5.0) as server:
        feed = feed_of(server, symbols)
        assert isinstance(feed, Feed)
        batches = []
        with contextlib.closing(feed.batches(7)) as stream:
            for batch in stream:
                batches.append(batch)
                if not len(batch.data) and sum(len(each.data) for each in batches) == 600:
                    break
    assert [batch.seq for batch in batches] == list(range(7, 7 + len(batches)))
    promised, received = -(2**63), 0
    for batch in batches:
        data = batch.data
        assert isinstance(data, TradeBatch)
        assert batch.watermark_ns >= promised
        if len(data):
            assert data.ts_event_ns.min() > promised
            assert (np.diff(data.ts_recv_ns) > 0).all()
            assert data.ts_recv_ns[0] > received
            assert (data.ts_recv_ns >= data.ts_event_ns).all()
            received = int(data.ts_recv_ns[-1])
        promised = batch.watermark_ns
    rows = rows_of(batches)
    assert np.bincount(rows.symbol_id).tolist() == [200, 200, 200]
    assert rows.price.tolist() == [100.0 + place % 7 for place in range(600)]
    assert feed.rejected() == {}
    assert feed.status().dropped_rows == 0
    assert feed.info.span_ns is None


def test_full_speed_loses_nothing(tmp_path: Path) -> None:
    """Twenty thousand messages as fast as both sides can."""
    with serving(write_capture(tmp_path / "c", 20_000), speed=0.0) as server:
        feed = feed_of(server)
        assert len(read(feed, 20_000)) == 20_000
    assert feed.rejected() == {}


@pytest.mark.parametrize("code", ["1000", "1001", "1006", "1011"])
def test_a_connection_that_ends_is_made_again(capture: Path, code: str) -> None:
    """Clean closes too; what was missed meanwhile is counted to the row, and told."""
    with serving(capture, f"close:{code}@50", speed=1.0) as server:
        feed = feed_of(server)
        rows = read(feed)
        assert server.connections == 2
    lost = feed.rejected().get("lost", 0)
    assert len(rows) + lost == N
    assert len(rows) > 200
    troubles = feed.troubles()
    assert troubles[0].kind == "disconnected"
    assert troubles[0].detail == ("lost without a close frame" if code == "1006" else f"closed with code {code}")
    assert sum(trouble.count for trouble in troubles if trouble.kind == "rows_lost") == lost


def test_what_was_missed_is_fetched(capture: Path) -> None:
    """Skipped ids, and those that passed between two connections, come over REST; nothing is lost."""
    with serving(capture, "skip:3@50", "close:1006@100", speed=4.0) as server:
        feed = feed_of(server, backfill=True)
        rows = read(feed)
        assert server.connections == 2
    assert len(rows) == N
    assert "lost" not in feed.rejected()
    assert sum(trouble.count for trouble in feed.troubles() if trouble.kind == "filled") >= 3


def test_a_mute_connection_is_given_up(capture: Path) -> None:
    """One that is open and answers pings but brings nothing is made again."""
    with serving(capture, "mute@50", speed=0.5) as server:
        feed = feed_of(server, stale_s=0.75)
        rows = read(feed)
    assert feed.troubles()[0].kind == "stale"
    assert len(rows) > 100
    assert len(rows) + feed.rejected()["lost"] == N


def test_garbage_and_wrong_numbers_are_counted(capture: Path) -> None:
    """What is not JSON is refused, repeats are left out, the skipped told, the late taken; nothing else is lost."""
    faults = ("garbage:3@50", "skip:4@100", "duplicate:5@150", "reorder:2@200")
    with serving(capture, *faults, speed=4.0) as server:
        feed = feed_of(server)
        rows = read(feed)
    assert feed.rejected() == {"malformed": 3, "lost": 4, "duplicate": 5, "came_late": 1}
    assert len(rows) == N - 4
    assert [(trouble.kind, trouble.symbol, trouble.count) for trouble in feed.troubles()] == [
        ("rows_lost", "BTCUSDT", 4)
    ]


def test_a_skewed_clock_is_set_back(capture: Path) -> None:
    """Five seconds ahead lose no row, and are told."""
    with serving(capture, "skew:5@100", speed=0.0) as server:
        feed = feed_of(server)
        rows = read(feed)
    assert len(rows) == N
    assert (rows.ts_recv_ns >= rows.ts_event_ns).all()
    assert feed.status().clock_ahead_ms == pytest.approx(5000, abs=500)


def test_a_refused_connection_is_tried_again(capture: Path) -> None:
    """The vendor's status is told with what to do, and the third attempt is taken."""
    with serving(capture, "refuse:429x2", speed=4.0) as server:
        feed = feed_of(server)
        rows = read(feed)
        assert server.connections == 1
    assert len(rows) == N
    assert ["HTTP 429 (too many requests" in trouble.detail for trouble in feed.troubles()] == [True, True]


def test_an_old_connection_is_replaced_without_a_hole(capture: Path) -> None:
    """The new one is made first; what both bring is taken once."""
    with serving(capture, speed=2.0) as server:
        feed = feed_of(server, rollover_s=0.3)
        rows = read(feed, until=lambda: server.connections >= 3)
        assert server.connections >= 3
    assert len(rows) == N
    assert "lost" not in feed.rejected()
    assert feed.troubles() == []


def test_reconnects_do_not_storm(capture: Path) -> None:
    """A server that closes every connection at once sees waits that grow."""
    closes = [f"close:1011@{n}" for n in range(60)]
    with serving(capture, *closes, speed=1.0) as server:
        feed = feed_of(server, backoff_first_s=0.1, duration_s=4.0)
        list(feed.batches())
        assert 3 <= server.connections <= 8


@pytest.mark.parametrize(
    ("faults", "live", "symbols", "message"),
    [
        (("refuse:418x99",), {}, ("BTCUSDT",), r"HTTP 418 \(banned for a while"),
        ((), {}, ("DOGEUSDT",), "connected, but no symbol trades; look at feed.symbols"),
        ((), {"url": "ws://127.0.0.1:9"}, ("BTCUSDT",), "Connect"),
        ((), {"url": "ws://no.such.host.invalid"}, ("BTCUSDT",), "no.such.host.invalid"),
    ],
    ids=["refused", "unknown symbol", "nobody there", "no such name"],
)
def test_a_feed_that_brings_nothing_ends(
    capture: Path, faults: tuple[str, ...], live: dict[str, object], symbols: tuple[str, ...], message: str
) -> None:
    """One line says what is wrong when the start deadline has passed; it does not hang."""
    with serving(capture, *faults) as server:
        feed = feed_of(server, symbols, start_deadline_s=2.0, **live)
        began = time.monotonic()
        with pytest.raises(ServiceUnavailableError, match=message) as caught:
            list(feed.batches())
    assert time.monotonic() - began < 30
    assert "\n" not in str(caught.value)


def test_a_silent_symbol_is_told(capture: Path) -> None:
    """Once, by name, while the others go on."""
    with serving(capture, speed=2.0) as server:
        feed = feed_of(server, ("BTCUSDT", "ETHUSDT"), symbol_stale_s=0.3)
        assert len(read(feed)) == N
    assert {(trouble.kind, trouble.symbol) for trouble in feed.troubles()} >= {("symbol_silent", "ETHUSDT")}
    assert [trouble.symbol for trouble in feed.troubles()] == []


def test_a_slow_consumer_loses_the_oldest_and_is_told(capture: Path) -> None:
    """Rows seen and rows dropped add up."""
    with serving(capture, speed=10.0) as server:
        live = LiveSettings.model_validate({"url": server.url, "batch_ms": 5.0} | PATIENT)
        feed = open_live(FeedSettings(kind="binance", symbols=("BTCUSDT",), live=live, buffer_batches=2))
        with contextlib.closing(feed.batches()) as stream:
            seen = len(next(stream).data)
            wait_until(lambda: feed.status().messages == N)
            for batch in stream:
                seen += len(batch.data)
                if seen + feed.dropped_rows == N:
                    break
    status = feed.status()
    assert status.dropped_rows > 0
    assert seen + status.dropped_rows == N
    assert sum(t.count for t in feed.troubles() if t.kind == "rows_dropped") == status.dropped_rows
    (counters,) = feed.counters()
    assert counters.counts["dropped"].tolist() == [status.dropped_rows]
    assert counters.counts["messages"].tolist() == [N]


def test_one_pass_at_a_time(capture: Path) -> None:
    """A second one is refused while the first is read, and goes on when it has ended."""
    with serving(capture, speed=1.0) as server:
        feed = feed_of(server)
        stream = feed.batches()
        first = len(next(stream).data)
        with pytest.raises(OperationError, match="one pass at a time"):
            next(iter(feed.batches()))
        first += sum(len(batch.data) for _, batch in zip(range(5), stream, strict=False))
        stream.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "feed-binance"]
        second = len(read(feed, N - first - feed.rejected().get("unread", 0)))
    assert first + second + sum(feed.rejected().values()) == N
    assert set(feed.rejected()) <= {"lost", "unread"}


def test_a_recording_replays_what_came(tmp_path: Path) -> None:
    """By symbol and day, in several files, and read back row by row."""
    symbols = ("BTCUSDT", "ETHUSDT")
    recorded: list[TradeBatch] = []
    with serving(write_capture(tmp_path / "c", 500, symbols=symbols), speed=5.0) as server:
        feed = feed_of(server, symbols)
        sink = ParquetSink(tmp_path / "ticks", feed.info.universe, file_rows=150)
        with contextlib.closing(feed.batches()) as stream:
            for batch in stream:
                assert isinstance(batch.data, TradeBatch)
                for first in range(0, len(batch.data), 50):  # however much came at once
                    sink.put(batch.data.take(slice(first, first + 50)))
                recorded.append(batch.data)
                if sum(map(len, recorded)) == 500:
                    break
    sink.close(60.0)
    files = sorted((tmp_path / "ticks").rglob("*.parquet"))
    assert (sink.status().written, sink.files) == (500, len(files))
    assert len(files) >= 6
    assert {file.parent.name for file in files} == {"symbol=BTCUSDT", "symbol=ETHUSDT"}
    replayed = open_feed(FeedSettings(kind="file", path=tmp_path / "ticks", symbols=symbols), seed=0)
    assert replayed.rejected() == {}
    assert rows_of(replayed.batches()) == TradeBatch.concat(recorded)
