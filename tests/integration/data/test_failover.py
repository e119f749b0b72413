"""Several sources of one market, against two reference servers."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.live import serving
from tests.support.live_vendors import KEYS, PATIENT, VENDORS, read
from trader.core.errors import ServiceUnavailableError, SettingsError
from trader.core.market import TradeBatch
from trader.data.feeds import open_feed
from trader.data.live.feed import LiveFeed
from trader.settings import FeedSettings, LiveSettings

N = 600
STEP_MS = 5
HEAD_START_S = 3.0
"""Time for a slow machine to connect before the servers begin."""


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same trades as each vendor tells them."""
    folder = tmp_path_factory.mktemp("captures")
    return {name: VENDORS[name].write(folder / name, "trades", N, STEP_MS) for name in ("alpaca", "massive")}


def feed_of(urls: dict[str, str], **live: object) -> LiveFeed:
    fast = {"backoff_first_s": 0.05, "batch_ms": 5.0, "switch_after_s": 0.5, "return_after_s": 0.8}
    settings = LiveSettings.model_validate({"urls": urls} | PATIENT | fast | live)
    feed = open_feed(FeedSettings(kind=",".join(urls), symbols=("AAPL",), live=settings), seed=0)
    assert isinstance(feed, LiveFeed)
    return feed


def check(rows: object, n: int = N) -> None:
    """Every trade, once, received one after the other."""
    assert isinstance(rows, TradeBatch)
    order = np.argsort(rows.ts_event_ns, kind="stable")
    assert rows.price[order].tolist() == [100.0 + place % 7 for place in range(n)]
    assert (np.diff(rows.ts_recv_ns) > 0).all()


@pytest.mark.parametrize("fault", ["mute@300", "close:1011@300", "throttle:5@300"])
def test_the_second_source_stands_in(captures: dict[str, Path], fault: str) -> None:
    """Where the first falls silent or behind the second takes over: nothing is missing and nothing comes twice."""
    begin = time.time() + HEAD_START_S
    with (
        serving(captures["alpaca"], fault, protocol="alpaca", start_at=begin) as first,
        serving(captures["massive"], protocol="massive", start_at=begin) as second,
    ):
        stays = {"stale_s": 60.0, "backoff_first_s": 20.0, "backoff_cap_s": 20.0, "backfill": False}
        feed = feed_of({"alpaca": first.url, "massive": second.url}, **stays)
        check(read(feed, N))
        status = feed.status()
    assert status.active == {"AAPL": "massive"}
    assert {source.name: source.health for source in status.sources}["massive"] == 1.0
    switches = [trouble.source for trouble in feed.troubles() if trouble.kind == "source_switched"]
    # Where the second came first, the first was taken when it had been well for a while.
    assert switches in (["massive"], ["alpaca", "massive"])


def test_the_first_is_taken_again(tmp_path: Path) -> None:
    """A source that comes back is taken again after a while; the same trades are not passed on again."""
    n = 1400
    told = {name: VENDORS[name].write(tmp_path / name, "trades", n, STEP_MS) for name in ("alpaca", "massive")}
    begin = time.time() + HEAD_START_S
    with (
        serving(told["alpaca"], "mute@300", protocol="alpaca", start_at=begin) as first,
        serving(told["massive"], protocol="massive", start_at=begin) as second,
    ):
        # Before the servers begin nothing comes either, and no connection may be given up for that.
        urls = {"alpaca": first.url, "massive": second.url}
        feed = feed_of(urls, stale_s=HEAD_START_S + 1.0)
        check(read(feed, n, until=lambda: feed.status().active == {"AAPL": "alpaca"}), n)
        assert feed.status().active == {"AAPL": "alpaca"}
    kinds = [(trouble.kind, trouble.source) for trouble in feed.troubles()]
    assert ("stale", "alpaca") in kinds
    switches = [source for kind, source in kinds if kind == "source_switched"]
    assert switches in (["massive", "alpaca"], ["alpaca", "massive", "alpaca"])
    assert feed.rejected()["other_source"] > 0


@pytest.mark.parametrize("fault", ["autherrorx9", "refuse:503x99", "nobody"])
def test_one_healthy_source_is_enough(captures: dict[str, Path], fault: str) -> None:
    """A wrong key, or a vendor that is down at start, is told, and the other source feeds the run."""
    with (
        serving(captures["alpaca"], *(() if fault == "nobody" else (fault,)), protocol="alpaca") as first,
        serving(captures["massive"], protocol="massive") as second,
    ):
        urls = {"alpaca": "ws://127.0.0.1:9" if fault == "nobody" else first.url, "massive": second.url}
        feed = feed_of(urls, start_deadline_s=3.0)
        check(read(feed, N, until=lambda: "source_failed" in feed.status().troubles))
    failed = [trouble for trouble in feed.troubles() if trouble.kind == "source_failed"]
    assert [trouble.source for trouble in failed] == ["alpaca"]
    told = {"autherrorx9": "ALPACA_API_KEY", "refuse:503x99": "HTTP 503", "nobody": "Connect"}
    assert told[fault] in failed[0].detail


def test_all_sources_down_is_one_line(captures: dict[str, Path]) -> None:
    """Each is named with its reason, before long."""
    with serving(captures["alpaca"], "autherrorx9", protocol="alpaca") as first:
        feed = feed_of({"alpaca": first.url, "massive": "ws://127.0.0.1:9"}, start_deadline_s=3.0)
        began = time.monotonic()
        with pytest.raises(
            ServiceUnavailableError, match=r"ALPACA_API_KEY.*; no tick came from ws://127.0.0.1:9"
        ) as caught:
            list(feed.batches())
    assert time.monotonic() - began < 30
    assert "\n" not in str(caught.value)
    assert not any(value in str(caught.value) for value in KEYS.values())


def test_kinds_are_checked() -> None:
    """Replays cannot be joined, nor a vendor with itself; one address is not for two."""
    for kind in ("alpaca,alpaca", "alpaca,sp500", "kraken", ""):
        with pytest.raises(ValueError, match="are allowed"):
            FeedSettings(kind=kind)
    with pytest.raises(SettingsError, match=r"feed\.live\.urls names one for each vendor"):
        open_feed(
            FeedSettings(kind="alpaca,massive", symbols=("AAPL",), live=LiveSettings(url="ws://127.0.0.1:9")), seed=0
        )
