"""Every real adapter against everything the reference server can do to it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.live import serving
from tests.support.live_vendors import KEYS, PATIENT, VENDORS, Vendor, feed_of, prices, read
from trader.core.errors import ServiceUnavailableError
from trader.data.content import describe
from trader.data.live.reference.protocol import Keys
from trader.data.live.vendors import open_live
from trader.settings import FeedSettings, LiveSettings

N = 160
"""Ticks of a capture: .8 seconds of them."""
EXPECTED = [100.0 + place % 7 for place in range(N)]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


@pytest.fixture(params=sorted(VENDORS))
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


@pytest.fixture
def capture(vendor: Vendor, tmp_path: Path) -> Path:
    return vendor.write(tmp_path / "trades", "trades", N)


@pytest.mark.parametrize("kind", ["trades", "quotes"])
def test_ticks_come_as_they_were_captured(vendor: Vendor, kind: str, tmp_path: Path) -> None:
    """Every row of every symbol once, in order, at full speed."""
    symbols = (vendor.symbol, "ETHUSDT")
    with serving(vendor.write(tmp_path / "c", kind, 3000, 1, symbols), protocol=vendor.name, speed=0.0) as server:
        feed = feed_of(vendor, server, kind, symbols)
        rows = read(feed, 3000)
    assert np.bincount(rows.symbol_id).tolist() == [1500, 1500]
    for symbol_id in (0, 1):
        expected = [100.0 + place % 7 for place in range(symbol_id, 3000, 2)]
        of_symbol = rows.take(rows.symbol_id == symbol_id)  # type: ignore[arg-type]
        assert (of_symbol.bid if kind == "quotes" else of_symbol.price).tolist() == expected  # type: ignore[union-attr]
    assert (np.diff(rows.ts_recv_ns) > 0).all()
    assert (rows.ts_recv_ns >= rows.ts_event_ns).all()
    assert feed.rejected() == {}
    assert feed.troubles() == []


@pytest.mark.parametrize("kind", ["trades", "quotes"])
def test_bars_have_the_fields_of_a_recording(vendor: Vendor, kind: str, tmp_path: Path) -> None:
    """What the feed declares is what the same ticks declare when they are read from a file."""
    with serving(vendor.write(tmp_path / "c", kind, 20), protocol=vendor.name, speed=0.0) as server:
        feed = feed_of(vendor, server, kind)
        rows = read(feed, 20)
    assert feed.info.fields == describe(kind, rows, feed.info.universe).fields


@pytest.mark.parametrize("fault", ["close:1000", "close:1001", "close:1006", "close:1011", "mute"])
def test_what_passed_between_two_connections_is_fetched(vendor: Vendor, capture: Path, fault: str) -> None:
    """Whatever the code, and mute ones too: every row comes, once, and the trouble is told."""
    is_mute = fault == "mute"
    with serving(capture, f"{fault}@40", protocol=vendor.name, speed=1.0 if is_mute else 2.0) as server:
        feed = feed_of(vendor, server, stale_s=1.0 if is_mute else 60.0)
        rows = read(feed, N)
        assert server.connections >= 2
    assert prices(rows) == sorted(EXPECTED)
    assert "lost" not in feed.rejected()
    kinds = [trouble.kind for trouble in feed.troubles()]
    assert kinds[0] == ("stale" if is_mute else "disconnected")
    assert "filled" in kinds
    assert "gap" not in kinds


def test_a_gap_that_cannot_be_filled_is_told(vendor: Vendor, capture: Path) -> None:
    """Where REST refuses, the time or numbers that are missing are named with the reason."""
    with serving(capture, "close:1006@60", "nohistory:403x99", protocol=vendor.name, speed=2.0) as server:
        feed = feed_of(vendor, server)
        n_rows = 0
        with contextlib.closing(feed.batches()) as stream:
            for batch in stream:
                n_rows += len(batch.data)
                if n_rows >= 60 and feed.status().troubles.get("gap"):
                    break
    assert 60 <= n_rows < N
    gaps = [trouble.detail for trouble in feed.troubles() if trouble.kind == "gap"]
    assert gaps
    assert all("403" in detail for detail in gaps)


def test_garbage_repeats_and_late_ones_are_counted(
    vendor: Vendor, capture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not JSON is refused, repeats are left out, late ones taken."""
    monkeypatch.setattr("trader.data.live.backfill._PATIENCE_NS", 60 * 10**9)  # nobody fetches what is only late
    faults = ("garbage:3@40", "duplicate:5@60", "reorder:2@80")
    with serving(capture, *faults, protocol=vendor.name, speed=4.0) as server:
        feed = feed_of(vendor, server)
        rows = read(feed, N)
    assert prices(rows) == sorted(EXPECTED)
    # Alpaca gives neither numbers that follow on each other nor any that rise.
    late = {} if vendor.name == "alpaca" else {"came_late": 1}
    assert feed.rejected() == {"malformed": 3, "duplicate": 5} | late


def test_skipped_ones_are_noticed_where_the_vendor_numbers(vendor: Vendor, capture: Path) -> None:
    """Binance's are fetched; the others' numbers do not follow on each other, and nobody can tell."""
    with serving(capture, "skip:4@50", protocol=vendor.name, speed=8.0) as server:
        feed = feed_of(vendor, server)
        rows = read(feed, N if vendor.name == "binance" else N - 4)
    skipped = () if vendor.name == "binance" else range(50, 54)
    assert prices(rows) == sorted(price for place, price in enumerate(EXPECTED) if place not in skipped)
    assert feed.rejected() == {}


def test_a_skewed_clock_is_set_back(vendor: Vendor, capture: Path) -> None:
    """Five seconds ahead lose no row, and are told."""
    with serving(capture, "skew:5@60", protocol=vendor.name, speed=0.0) as server:
        feed = feed_of(vendor, server)
        rows = read(feed, N)
    assert len(rows) == N
    assert (rows.ts_recv_ns >= rows.ts_event_ns).all()
    assert feed.status().clock_ahead_ms == pytest.approx(5000, abs=500)


def test_a_throttled_server_is_late_and_loses_nothing(vendor: Vendor, capture: Path) -> None:
    """Ticks that wait at the vendor's are old when they come."""
    with serving(capture, "throttle:50@60", protocol=vendor.name, speed=8.0) as server:
        feed = feed_of(vendor, server)
        rows = read(feed, N)
    assert prices(rows) == sorted(EXPECTED)
    delay_ms = (rows.ts_recv_ns - rows.ts_event_ns) / 1e6
    assert delay_ms[-5:].mean() > delay_ms[:5].mean() + 150


@pytest.mark.parametrize("code", [429, 406])
def test_a_refused_connection_is_tried_again(vendor: Vendor, capture: Path, code: int) -> None:
    """By HTTP, or in the vendor's own words where it has them."""
    with serving(capture, f"refuse:{code}x2", protocol=vendor.name, speed=4.0) as server:
        feed = feed_of(vendor, server)
        rows = read(feed, N)
    assert prices(rows) == sorted(EXPECTED)
    troubles = feed.troubles()
    in_words = code == 406 and vendor.name != "binance"
    assert [trouble.kind for trouble in troubles] == ["disconnected" if in_words else "connect_failed"] * 2
    assert all(
        ("another connection uses this key" if in_words else str(code)) in trouble.detail for trouble in troubles
    )


def test_a_second_connection_is_made_when_the_first_grows_old(vendor: Vendor, capture: Path) -> None:
    """Where one connection a key is allowed the old one ends first; what passes meanwhile is fetched."""
    with serving(capture, protocol=vendor.name, speed=1.0) as server:
        feed = feed_of(vendor, server, rollover_s=0.3)
        rows = read(feed, N, until=lambda: server.connections >= 3)
        assert server.connections >= 3
    assert prices(rows) == sorted(EXPECTED)
    assert {trouble.kind for trouble in feed.troubles()} <= {"filled"}


@pytest.mark.parametrize("name", ["alpaca", "massive"])
@pytest.mark.parametrize("fault", ["autherror", "another key"])
def test_a_wrong_key_ends_the_feed(name: str, fault: str, tmp_path: Path) -> None:
    """At once, with one line that says where to look, and without the key."""
    vendor = VENDORS[name]
    faults, keys = (("autherror",), None) if fault == "autherror" else ((), Keys("k", "s"))
    with serving(vendor.write(tmp_path / "c", "trades", N), *faults, protocol=name, keys=keys) as server:
        feed = feed_of(vendor, server)
        began = time.monotonic()
        with pytest.raises(
            ServiceUnavailableError, match=f"the vendor says: .*look at {name.upper()}_API_KEY"
        ) as caught:
            list(feed.batches())
    assert time.monotonic() - began < 30  # and not the minute of the start deadline
    assert "\n" not in str(caught.value)
    told = str(caught.value) + repr(feed.sources) + repr(feed.status()) + repr(feed.troubles())
    assert not any(key in told for key in KEYS.values())


@pytest.mark.parametrize(
    ("name", "fault", "n_symbols", "message"),
    [
        ("alpaca", "refuse:409", 1, r"insufficient subscription \(error 409\); .*feed\.live\.venue=iex is free"),
        ("massive", "refuse:409", 1, r"not authorized \(error\); the plan has no such data"),
        ("alpaca", "", 31, r"symbol limit exceeded \(error 405\); .*shorten feed\.symbols"),
    ],
)
def test_a_plan_that_does_not_suffice_ends_the_feed(
    name: str, fault: str, n_symbols: int, message: str, tmp_path: Path
) -> None:
    """At once, with one line that says what to do."""
    vendor = VENDORS[name]
    symbols = tuple(f"S{n}" for n in range(n_symbols))
    with serving(vendor.write(tmp_path / "c", "trades", 5), *filter(None, [fault]), protocol=name) as server:
        feed = feed_of(vendor, server, symbols=symbols)
        with pytest.raises(ServiceUnavailableError, match=message):
            list(feed.batches())


def test_others_go_on_where_one_refuses(tmp_path: Path) -> None:
    """A wrong key for Alpaca ends that source, and not the run."""
    first, second = VENDORS["alpaca"], VENDORS["massive"]
    with (
        serving(first.write(tmp_path / "a", "trades", N), "autherror", protocol="alpaca") as refusing,
        serving(second.write(tmp_path / "m", "trades", N), protocol="massive", speed=4.0) as healthy,
    ):
        urls = {"alpaca": refusing.url, "massive": healthy.url}
        live = LiveSettings.model_validate({"urls": urls, "batch_ms": 10.0} | PATIENT)
        feed = open_live(FeedSettings(kind="alpaca,massive", symbols=("AAPL",), live=live))
        n_rows = 0
        with contextlib.closing(feed.batches()) as stream:
            for batch in stream:
                n_rows += len(batch.data)
                if n_rows == N and feed.status().troubles.get("source_failed"):
                    break
        troubles = feed.troubles()
    assert n_rows == N
    failed = [trouble for trouble in troubles if trouble.kind == "source_failed"]
    assert [trouble.source for trouble in failed] == ["alpaca"]
    assert "look at ALPACA_API_KEY" in failed[0].detail


def test_an_unknown_symbol_ends_the_feed(vendor: Vendor, capture: Path) -> None:
    """When nothing has come by the deadline, it says where to look."""
    with serving(capture, protocol=vendor.name) as server:
        feed = feed_of(vendor, server, symbols=("DOGE",), start_deadline_s=3.0)
        with pytest.raises(ServiceUnavailableError, match=r"no symbol trades; look at feed\.symbols"):
            list(feed.batches())
