"""`trader feeds` from outside."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import command, environment, run_trader
from tests.support.live import serving, write_capture
from tests.support.live_vendors import KEYS, VENDORS
from trader.cli.common import read_settings
from trader.cli.feeds import check, record
from trader.cli.run import feed_overrides
from trader.core.errors import ServiceUnavailableError, SettingsError
from trader.data.live.reference.server import ReplayServer
from trader.data.readers import read_market_file


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReplayServer]:
    with serving(write_capture(tmp_path / "capture", 400), "garbage:2@30", speed=4.0) as made:
        yield made


def test_check_shows_ticks_and_clocks(server: ReplayServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten ticks, their delay, the distance of the clocks, and where they came from."""
    check("binance", url=server.url, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert [tick["price"] for tick in found["ticks"]] == [str(100 + place % 7) for place in range(10)]
    assert found["url"] == f"{server.url}/stream?streams=btcusdt@trade"
    assert abs(found["clock_offset_ms"]) < 500
    assert -100 < found["median_delay_ms"] < 5000
    assert found["troubles"] == {}


def test_check_says_what_is_wrong(tmp_path: Path) -> None:
    """Refusals by the vendor, and settings that cannot be."""
    with (
        serving(write_capture(tmp_path / "c", 5), "refuse:451x99") as server,
        pytest.raises(ServiceUnavailableError, match=r"HTTP 451 \(not served where you are\)"),
    ):
        check("binance", url=server.url, assignments=["feed.live.start_deadline_s=2.0"])
    with pytest.raises(SettingsError, match="feed 'kraken' is not a live one"):
        check("kraken")
    with pytest.raises(SettingsError, match=r"feed\.data_kind='bars'"):
        check("binance", kind="bars")


@pytest.mark.parametrize(("vendor", "path"), [("alpaca", "/v2/sip"), ("massive", "/stocks")])
def test_check_shows_the_key_to_those_who_ask(
    vendor: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ticks, by the venue asked for; without a key in the environment, its name."""
    with serving(VENDORS[vendor].write(tmp_path / "c", "quotes", 400), protocol=vendor, speed=4.0) as made:
        with pytest.raises(SettingsError, match=f"{vendor.upper()}_API_KEY is not set"):
            check(vendor, url=made.url)
        for name, key in KEYS.items():
            monkeypatch.setenv(name, key)
        check(vendor, kind="quotes", venue="sip", url=made.url, as_json=True)
    printed = capsys.readouterr().out
    found = json.loads(printed)
    assert [tick["price"] for tick in found["ticks"]] == [
        f"{bid} / {bid + 1}" for bid in (*range(100, 107), 100, 101, 102)
    ]
    assert found["url"].endswith(path)
    assert not any(key in printed for key in KEYS.values())


def test_a_run_is_told_the_venue() -> None:
    """Beside other settings of the section; without the option the default stays."""
    overrides = feed_overrides(feed="alpaca", venue="sip", symbols="AAPL")
    assert read_settings(None, None, ["feed.live.stale_s=5"], overrides).feed.live.venue == "sip"
    assert read_settings(None, None, ["feed.live.stale_s=5"], feed_overrides(feed="alpaca")).feed.live.venue == "iex"


def test_record_writes_what_came(server: ReplayServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every row, and what was left out."""
    record("binance", tmp_path / "ticks", url=server.url, seconds=4.0, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found.pop("sinks") == {f"parquet:{tmp_path}/ticks": {"written": 400, "repeated": 0, "dropped": {}}}
    assert found == {"rows": 400, "files": 1, "dropped_rows": 0, "left_out": {"malformed": 2}, "troubles": {}}


def test_a_recording_tells_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Losses, and how far event times were moved, are beside the rows; with these the vendor's own stamps are known."""
    capture = write_capture(tmp_path / "capture", 400)
    with serving(capture, "skip:4@30", "skew:5", speed=4.0) as server:
        no_backfill = ["feed.live.backfill=false"]
        record("binance", tmp_path / "ticks", url=server.url, seconds=4.0, as_json=True, assignments=no_backfill)
    capsys.readouterr()
    told = [json.loads(line) for line in (tmp_path / "ticks" / "troubles.jsonl").read_text().splitlines()]
    lost = [(one["source"], one["symbol"], one["count"]) for one in told if one["kind"] == "rows_lost"]
    assert lost == [("binance", "BTCUSDT", 4)]
    moved = [int(one["detail"].split()[-5]) for one in told if one["kind"] == "clock_moved"]
    assert moved[-1] == pytest.approx(5e9, abs=0.5e9)
    rows, _, _ = read_market_file(tmp_path / "ticks", symbols=("BTCUSDT",))
    assert len(rows) == 396


def test_a_replay_is_served_until_it_is_stopped(tmp_path: Path) -> None:
    """It prints its address, serves, and ends with Ctrl-C; what it cannot serve is said in a line."""
    capture = write_capture(tmp_path / "capture", 50)
    args = ["feeds", "serve-replay", str(capture), "--speed", "0", "--misbehave", "skip:1@20"]
    process = subprocess.Popen(
        command(tmp_path, *args)[:-2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith("ws://127.0.0.1:")
        record("binance", tmp_path / "ticks", url=url, seconds=3.0)
    finally:
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert "50 messages to 1 connections" in stderr
    refused = run_trader(tmp_path, "feeds", "check", "binance", "--symbols", "BTC/USDT")
    assert refused.returncode == 2
    assert "symbols ['BTC/USDT'] are not Binance's" in refused.stderr
