"""The reference server as other people's clients see it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.live import BEGIN_MS, serving, trade, write_capture
from trader.core.errors import SettingsError
from trader.data.book import BookDiff, BookSync
from trader.data.live.reference.faults import parse_fault
from trader.data.live.reference.server import ReplayServer


def _book_capture(path: Path) -> Path:
    """A snapshot, ten diffs of one bid each and a trade between."""
    levels = {"bids": [["99.0", "1.0"], ["98.0", "2.0"]], "asks": [["101.0", "1.5"]]}
    lines = [b"1 " + msgspec.json.encode({"lastUpdateId": 10, **levels})]
    for number in range(10):
        diff = {"e": "depthUpdate", "E": BEGIN_MS + number, "T": BEGIN_MS + number, "s": "BTCUSDT", "a": []}
        diff |= {"U": 11 + number, "u": 11 + number, "pu": 10 + number, "b": [["99.5", f"{number}.0"]]}
        lines.append(b"%d " % (2 + number) + msgspec.json.encode({"stream": "btcusdt@depth@0ms", "data": diff}))
    lines.append(b"20 " + trade(1, BEGIN_MS + 10))
    path.write_bytes(b"\n".join(lines))
    return path


def test_commands_are_answered(tmp_path: Path) -> None:
    """Subscribe, list, unsubscribe and what is none of these; messages are bare on /ws."""
    with serving(write_capture(tmp_path / "c", 50), speed=10.0) as server, connect(server.url + "/ws") as client:

        def ask(text: str) -> object:
            client.send(text)
            while "id" not in (answer := msgspec.json.decode(client.recv(timeout=60))):
                assert answer["e"] == "trade"
            return answer

        assert ask('{"method":"LIST_SUBSCRIPTIONS","id":3}') == {"result": [], "id": 3}
        assert ask('{"method":"FLY","id":4}') == {
            "error": {"code": 2, "msg": "Invalid request: unknown method FLY"},
            "id": 4,
        }
        assert "Invalid JSON" in str(ask("hello"))
        assert ask('{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":5}') == {"result": None, "id": 5}
        first = msgspec.json.decode(client.recv(timeout=60))
        assert (first["e"], first["t"]) == ("trade", 1)
        assert ask('{"method":"LIST_SUBSCRIPTIONS","id":6}') == {"result": ["btcusdt@trade"], "id": 6}
        assert ask('{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":7}') == {"result": None, "id": 7}


def test_recorded_stamps_are_kept_on_request(tmp_path: Path) -> None:
    """The messages are those of the capture, byte by byte."""
    file = write_capture(tmp_path / "c", 20)
    expected = [line.partition(b" ")[2] for line in file.read_bytes().splitlines()]
    with (
        serving(file, speed=0.0, stamps="recorded") as server,
        connect(server.url + "/stream?streams=btcusdt@trade") as client,
    ):
        assert [client.recv(timeout=60, decode=False) for _ in range(20)] == expected


def test_a_book_is_built_from_snapshot_and_diffs(tmp_path: Path) -> None:
    """The vendor's own recipe: listen, ask for a snapshot, apply; the book is that of the capture's end."""
    with (
        serving(_book_capture(tmp_path / "c"), speed=0.0) as server,
        connect(server.url + "/stream?streams=btcusdt@depth/btcusdt@trade") as client,
    ):
        sync = BookSync()
        while (message := msgspec.json.decode(client.recv(timeout=60)))["stream"] != "btcusdt@trade":
            diff = message["data"]
            bids = np.array(diff["b"], np.float64)
            assert sync.on_diff(BookDiff(diff["U"], diff["u"], diff["pu"], bids, [])) == "held"
        rest = httpx.get(server.url.replace("ws", "http", 1) + "/fapi/v1/depth?symbol=BTCUSDT", timeout=60).json()
        assert rest["lastUpdateId"] == 20
        assert sync.on_snapshot(rest["lastUpdateId"], rest["bids"], rest["asks"])
        assert sync.book.depth(3).bid.tolist() == [99.5, 99.0, 98.0]
        assert sync.book.depth(1).bid_size.tolist() == [9.0]


def test_wrong_paths_and_early_snapshots_are_refused(tmp_path: Path) -> None:
    """404 for an unknown path, 503 for a book that is not there yet, the time always."""
    with serving(write_capture(tmp_path / "c", 5)) as server:
        base = server.url.replace("ws", "http", 1)
        assert httpx.get(base + "/api/v3/depth?symbol=X", timeout=60).status_code == 503
        assert httpx.get(base + "/api/v3/time", timeout=60).json()["serverTime"] > BEGIN_MS
        with pytest.raises(InvalidStatus, match="404"), connect(server.url + "/nowhere"):
            pass


def _history(url: str, **query: Any) -> list[dict[str, Any]]:
    base = url.replace("ws", "http", 1)
    answer = httpx.get(base + "/api/v3/historicalTrades", params={"symbol": "BTCUSDT"} | query, timeout=60)
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found


def test_trades_are_told_again(tmp_path: Path) -> None:
    """By their ids, skipped ones and those nobody was there for included, with the times they were sent with."""
    with serving(write_capture(tmp_path / "c", 60), "skip:5@10", speed=0.0) as server:
        assert _history(server.url) == []
        with connect(server.url + "/stream?streams=btcusdt@trade") as client:
            came = [msgspec.json.decode(client.recv(timeout=60))["data"] for _ in range(55)]
        assert [trade["t"] for trade in came] == [*range(1, 11), *range(16, 61)]
        told = _history(server.url, fromId=5, limit=20)
        assert [trade["id"] for trade in told] == list(range(5, 25))
        assert told[0] | {"price": "104.00", "qty": "0.5", "isBuyerMaker": False, "time": came[4]["T"]} == told[0]
        assert [trade["id"] for trade in _history(server.url, limit=2)] == [59, 60]
        assert len(_history(server.url)) == 60
        base = server.url.replace("ws", "http", 1)
        assert httpx.get(base + "/api/v3/historicalTrades?symbol=BTCUSDT&fromId=x", timeout=60).status_code == 400


def test_rest_is_refused_on_request(tmp_path: Path) -> None:
    """As often as was asked for, and answered again afterwards."""
    with serving(write_capture(tmp_path / "c", 5), "nohistory:418x2", "nosnapshot") as server:
        base = server.url.replace("ws", "http", 1)

        def statuses(path: str) -> list[int]:
            return [httpx.get(base + path, timeout=60).status_code for _ in range(3)]

        assert statuses("/fapi/v1/historicalTrades?symbol=X") == [418, 418, 200]
        assert statuses("/api/v3/depth?symbol=X") == [503] * 3


def test_a_throttled_server_is_late(tmp_path: Path) -> None:
    """Everything comes, but no faster than was asked for."""
    with serving(write_capture(tmp_path / "c", 60), "throttle:100@20", speed=0.0) as server:
        began = time.monotonic()
        with connect(server.url + "/stream?streams=btcusdt@trade") as client:
            came = [msgspec.json.decode(client.recv(timeout=60))["data"]["t"] for _ in range(60)]
        assert time.monotonic() - began > 0.35
    assert came == list(range(1, 61))


def test_what_a_protocol_has_no_place_for_is_refused(tmp_path: Path) -> None:
    """Unknown vendors too, by name."""
    capture = write_capture(tmp_path / "c", 5)
    with pytest.raises(SettingsError, match="protocol='kraken'; alpaca, binance, massive are allowed"):
        ReplayServer(capture, protocol="kraken")
    with pytest.raises(SettingsError, match="misbehave='autherror'; binance has no place for it"):
        ReplayServer(capture, faults=[parse_fault("autherror")])
