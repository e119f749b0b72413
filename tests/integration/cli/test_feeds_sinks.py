"""`trader feeds record --sink` and `trader feeds tail` against a real Redis."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from tests.support.live import serving, write_capture
from trader.cli.feeds import record, tail
from trader.core.errors import OperationError, ServiceUnavailableError, SettingsError
from trader.data.sinks.open import kafka_place, open_sink, redis_place
from trader.data.sinks.redis_reader import RedisStreamReader
from trader.settings import SinkSettings


def test_ticks_are_recorded_in_two_places_and_shown(
    redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder and a stream hold every row; tail shows each batch to a group once."""
    stream = uuid.uuid4().hex
    address = f"{redis_url}#{stream}"
    with serving(write_capture(tmp_path / "capture", 300), speed=4.0) as server:
        record("binance", tmp_path / "ticks", [address], url=server.url, seconds=4.0, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["files"]) == (300, 1)
    assert [place["written"] for place in found["sinks"].values()] == [300, 300]
    tail(address, "desk", rows=1, idle=0.3)
    lines = capsys.readouterr().out.splitlines()
    heads, rows = lines[::2], lines[1::2]
    assert sum(int(line.split(": ")[1].split()[0]) for line in heads) == 300
    assert rows[0].split()[1:4] == ["BTCUSDT", "price=100", "size=0.5"]
    tail(address, "desk", rows=1, idle=0.1)
    assert capsys.readouterr().out == ""
    tail(address, "others", "me", count=1, rows=0)
    assert len(capsys.readouterr().out.splitlines()) == 1
    with RedisStreamReader(redis_url, stream, "third", "c") as reader:
        assert sum(len(entry.batch) for entry in reader.read(1000)) == 300


def test_what_cannot_be_recorded_is_said(redis_url: str, tmp_path: Path) -> None:
    """No place, places that are not there or of no known form: before anything is read."""
    with pytest.raises(SettingsError, match="neither --out nor --sink"):
        record("binance")
    with pytest.raises(ServiceUnavailableError, match="Redis does not answer"):
        record("binance", tmp_path / "t", [f"unix://{tmp_path}/none.sock#s"])
    with pytest.raises(SettingsError, match=r"redis://HOST:PORT/STREAM"):
        record("binance", None, ["redis://localhost"])
    (tmp_path / "file").touch()
    with pytest.raises(OperationError, match="cannot be made"):
        record("binance", tmp_path / "file" / "folder")
    with pytest.raises(SettingsError, match="kafka://HOST:PORT/TOPIC"):
        tail("kafka://localhost:9092", "g")


@pytest.mark.parametrize("address", ["redis://h:1/", "unix:///s.sock", "http://h/s", "rediss://h"])
def test_addresses_of_another_form_are_refused(address: str) -> None:
    """The message says which are allowed."""
    with pytest.raises(SettingsError, match="are allowed"):
        redis_place(address)


def test_addresses_lead_to_sinks(tmp_path: Path) -> None:
    """By their scheme; anything else is a folder."""
    from trader.core.market import Universe

    universe, settings = Universe(("A",)), SinkSettings(max_rows=5)
    names = []
    for address in ("redis://h/s", "kafka://h:1/t", str(tmp_path / "f")):
        sink = open_sink(address, universe, "w", settings)
        names.append(sink.status().name)
        sink.close(0.0)
    assert names == ["redis:s", "kafka:t", f"parquet:{tmp_path}/f"]
    assert kafka_place("kafka://a:1,b:2/t") == ("a:1,b:2", "t")
