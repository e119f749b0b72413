"""Trades of US stocks that may not set a price are left out alike, from whatever stream or history they come."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.live import serving
from tests.support.live_vendors import KEYS, VENDORS, Vendor, feed_of, prices, read
from trader.core.market import TradeBatch
from trader.data.live.feed import LiveFeed
from trader.data.live.vendors import open_live
from trader.settings import FeedSettings, LiveSettings

N = 200
CONDITIONS: dict[str, list[Any]] = {
    "alpaca": [["@"], ["@", "I"], ["@", "F"], ["@", "T", "I"], ["@", "?"]],
    "massive": [[], [37], [14], [12, 37], [999]],
}
"""Regular, odd lot, sweep, extended hours, and one that is not known; of each every fifth trade."""
LEFT_OUT = {"consolidated": (1, 3), "ordinary": (1, 2, 3)}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)


@pytest.fixture(params=sorted(CONDITIONS))
def vendor(request: pytest.FixtureRequest) -> Vendor:
    return VENDORS[request.param]


def write(vendor: Vendor, path: Path, n: int = N) -> Path:
    told = CONDITIONS[vendor.name]
    return vendor.write(path, "trades", n, fields=lambda place: {"c": told[place % 5]})


def kept(rule: str, n: int = N) -> list[float]:
    return sorted(100.0 + place % 7 for place in range(n) if place % 5 not in LEFT_OUT[rule])


@pytest.mark.parametrize("rule", ["consolidated", "ordinary"])
@pytest.mark.parametrize("speed", [0.0, 4.0])
def test_those_that_may_set_a_price_come(vendor: Vendor, rule: str, speed: float, tmp_path: Path) -> None:
    """The others are counted, by symbol too, and one of an unknown condition is taken and counted."""
    with serving(write(vendor, tmp_path / "c"), "duplicate:5@100", protocol=vendor.name, speed=speed) as server:
        feed = feed_of(vendor, server, rule=rule)
        rows = read(feed, len(kept(rule)))
    assert prices(rows) == kept(rule)
    n_barred = N - len(kept(rule))
    assert feed.rejected() == {"sale_condition": n_barred, "unknown_condition": N // 5, "duplicate": 5}
    (counters,) = feed.counters()
    assert counters.counts["sale_condition"].tolist() == [n_barred]


@pytest.mark.parametrize("fault", ["close:1000@60", "mute@60"])
def test_what_is_fetched_is_judged_as_what_comes(vendor: Vendor, fault: str, tmp_path: Path) -> None:
    """A gap holds trades of all conditions: those that may set a price are filled in, each once."""
    with serving(write(vendor, tmp_path / "c"), fault, protocol=vendor.name, speed=1.0) as server:
        feed = feed_of(vendor, server, rule="consolidated", stale_s=0.2)
        rows = read(feed, len(kept("consolidated")))
        assert server.connections >= 2
    assert prices(rows) == kept("consolidated")
    troubles = feed.troubles()
    assert "filled" in {trouble.kind for trouble in troubles}
    assert "gap" not in {trouble.kind for trouble in troubles}
    assert feed.rejected()["unknown_condition"] == N // 5


def test_a_symbol_whose_trades_are_all_left_out_is_not_silent(vendor: Vendor, tmp_path: Path) -> None:
    """Nothing but odd lots comes: the symbol has been heard, and the feed does not end at its deadline."""
    odd = CONDITIONS[vendor.name][1]
    capture = vendor.write(tmp_path / "c", "trades", 400, fields=lambda place: {"c": odd})
    with serving(capture, protocol=vendor.name, speed=1.0) as server:
        feed = feed_of(vendor, server, rule="consolidated", start_deadline_s=0.5, symbol_stale_s=0.5, duration_s=1.8)
        assert sum(len(batch.data) for batch in feed.batches()) == 0
    assert feed.troubles() == []
    assert feed.rejected()["sale_condition"] > 200


@pytest.mark.parametrize("fault", ["mute@200", "close:1011@200"])
def test_around_a_switch_the_same_trades_are_left_out(fault: str, tmp_path: Path) -> None:
    """Alpaca's letters and Massive's ids leave out the same: nothing that may set a price is missing or comes twice."""
    n, begin = 600, time.time() + 3.0
    told = {name: write(VENDORS[name], tmp_path / name, n) for name in CONDITIONS}
    with (
        serving(told["alpaca"], fault, protocol="alpaca", start_at=begin) as first,
        serving(told["massive"], protocol="massive", start_at=begin) as second,
    ):
        live = LiveSettings.model_validate(
            {"urls": {"alpaca": first.url, "massive": second.url}, "duration_s": 15.0, "batch_ms": 5.0}
            | {"switch_after_s": 0.3, "return_after_s": 0.8, "stale_s": 60.0, "backfill": False}
            | {"backoff_first_s": 20.0, "backoff_cap_s": 20.0}
        )
        feed = open_live(FeedSettings(kind="alpaca,massive", symbols=("AAPL",), sale_rule="ordinary", live=live))
        assert isinstance(feed, LiveFeed)
        rows = read(feed, len(kept("ordinary", n)))
        assert feed.status().active == {"AAPL": "massive"}
    assert isinstance(rows, TradeBatch)
    assert prices(rows) == kept("ordinary", n)
    switches = [trouble.source for trouble in feed.troubles() if trouble.kind == "source_switched"]
    assert switches in (["massive"], ["alpaca", "massive"])
