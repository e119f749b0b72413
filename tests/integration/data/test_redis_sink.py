"""The Redis sink and its reader through crashes of a real server and of the reader."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
import redis

from tests.support.processes import ROOT
from tests.support.redis_server import RedisServer
from tests.support.sinks import SYMBOLS, trades, whole
from tests.support.waiting import wait_until
from trader.core.errors import ServiceUnavailableError, SettingsError
from trader.data.sinks import Packed
from trader.data.sinks.redis_reader import RedisStreamReader
from trader.data.sinks.redis_stream import RedisStreamSink, mark_key

WAIT_S = 120.0
ROWS = 50


def _put(sink: RedisStreamSink, first: int, last: int) -> None:
    for number in range(first, last):
        sink.put(trades(ROWS, ROWS * number), number)


def _read_all(url: str, stream: str, group: str = "check") -> list[Packed]:
    entries: list[Packed] = []
    with RedisStreamReader(url, stream, group, "one") as reader:
        while found := reader.read(500, block_s=0.01):
            entries += found
            reader.ack(found)
    return entries


@pytest.fixture
def stream() -> str:
    return uuid.uuid4().hex


def test_a_killed_server_loses_and_doubles_nothing(redis_server: RedisServer, stream: str) -> None:
    """Killed three times while rows are written: afterwards the stream holds every row, once, in order."""
    sink = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w")
    n_batches = 1200
    writer = threading.Thread(target=lambda: [(_put(sink, n, n + 1), time.sleep(0.001)) for n in range(n_batches)])
    writer.start()
    for kill in range(1, 4):
        wait_until(lambda kill=kill: sink.status().written >= kill * 250 * ROWS, WAIT_S)
        redis_server.kill()
        acknowledged = sink.status().written
        time.sleep(0.1)
        assert sink.status().written <= acknowledged + ROWS * 64  # one answer may still have been on its way
        redis_server.start()
        with redis.Redis.from_url(redis_server.url) as client:
            assert client.xlen(stream) * ROWS >= acknowledged
    writer.join()
    assert sink.flush(WAIT_S)
    status = sink.status()
    sink.close()
    assert (status.written, status.repeated, dict(status.dropped)) == (n_batches * ROWS, 0, {})
    entries = _read_all(redis_server.url, stream)
    assert [entry.number for entry in entries] == list(range(n_batches))
    assert whole(entries) == trades(n_batches * ROWS)


def test_an_answer_that_was_lost_is_not_written_twice(redis_server: RedisServer, stream: str) -> None:
    """A server that stalls gets the batch again on another connection, carries out both commands, and adds one."""
    sink = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w")
    _put(sink, 0, 1)
    assert sink.flush(WAIT_S)
    redis_server.signal(signal.SIGSTOP)
    _put(sink, 1, 2)
    wait_until(lambda: sink.status().trouble, WAIT_S)  # given up after the time limit, and sent again
    time.sleep(0.2)
    redis_server.signal(signal.SIGCONT)
    assert sink.flush(WAIT_S)
    assert (sink.status().written, sink.status().repeated, sink.status().trouble) == (2 * ROWS, 0, "")
    sink.close()
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.info("commandstats")["cmdstat_evalsha"]["calls"] >= 3
        assert client.xlen(stream) == 2


def test_memory_is_bounded_while_the_server_is_away(redis_server: RedisServer, stream: str) -> None:
    """The oldest rows go and are counted; when the server is back the newest are written."""
    sink = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w", max_rows=100 * ROWS)
    _put(sink, 0, 10)
    assert sink.flush(WAIT_S)
    redis_server.kill()
    _put(sink, 10, 500)
    assert sink.status().waiting <= 100 * ROWS
    redis_server.start()
    assert sink.flush(WAIT_S)
    status = sink.status()
    sink.close()
    assert status.written + status.dropped_rows == 500 * ROWS
    assert set(status.dropped) == {"overflow"}
    numbers = [entry.number for entry in _read_all(redis_server.url, stream)]
    assert numbers == sorted(set(numbers))
    assert numbers[:10] == list(range(10))
    assert numbers[-1] == 499
    assert len(numbers) * ROWS == status.written


def test_another_process_goes_on_under_the_same_name(redis_server: RedisServer, stream: str) -> None:
    """A writer that begins again from an old place adds only what is new, after a crash of the server too."""
    first = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w")
    _put(first, 0, 20)
    first.close(WAIT_S)
    redis_server.kill()
    redis_server.start()
    again = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w")
    other = RedisStreamSink(redis_server.url, stream, SYMBOLS, "other")
    _put(again, 10, 30)
    _put(other, 0, 5)
    for sink in (again, other):
        sink.close(WAIT_S)
    assert (again.status().written, again.status().repeated) == (10 * ROWS, 10 * ROWS)
    entries = _read_all(redis_server.url, stream)
    assert [entry.number for entry in entries if entry.source == "w"] == list(range(30))
    assert [entry.number for entry in entries if entry.source == "other"] == list(range(5))
    with redis.Redis.from_url(redis_server.url) as client:
        assert client.ttl(mark_key(stream, "w")) > 6 * 24 * 3600


def test_a_stream_is_capped(redis_server: RedisServer, stream: str) -> None:
    """Redis keeps about `maxlen` entries, the newest."""
    sink = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w", maxlen=200)
    _put(sink, 0, 1000)
    sink.close(WAIT_S)
    numbers = [entry.number for entry in _read_all(redis_server.url, stream)]
    assert 200 <= len(numbers) <= 400
    assert numbers == list(range(1000 - len(numbers), 1000))


READ = """
import os, signal, sys
from trader.data.sinks.redis_reader import RedisStreamReader
url, stream, consumer, path, die_at = sys.argv[1:]
done = 0
with RedisStreamReader(url, stream, "workers", consumer) as reader, open(path, "a") as out:
    while found := reader.read(8, block_s=0.2):
        for entry in found:
            print("did", entry.number, file=out, flush=True)
            done += 1
            if done == int(die_at):
                os.kill(os.getpid(), signal.SIGKILL)
        reader.ack(found)
        for entry in found:
            print("acked", entry.number, file=out, flush=True)
"""


def _run_reader(url: str, stream: str, consumer: str, path: Path, die_at: int) -> int:
    command = [sys.executable, "-c", READ, url, stream, consumer, str(path), str(die_at)]
    return subprocess.run(command, cwd=ROOT, timeout=WAIT_S, check=False).returncode


def test_a_killed_reader_goes_on(redis_server: RedisServer, stream: str, tmp_path: Path) -> None:
    """Killed in mid-batch: the next life gets what was not acknowledged, first, and nothing that was."""
    sink = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w")
    _put(sink, 0, 60)
    sink.close(WAIT_S)
    path = tmp_path / "did"
    assert _run_reader(redis_server.url, stream, "one", path, 21) == -signal.SIGKILL
    first = [line.split() for line in path.read_text().splitlines()]
    acked = {int(number) for what, number in first if what == "acked"}
    assert acked == set(range(16))
    path.unlink()
    redis_server.kill()  # what was acknowledged is so after a crash of the server too
    redis_server.start()
    assert _run_reader(redis_server.url, stream, "one", path, 0) == 0
    second = [int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith("did")]
    assert second == list(range(16, 60))


def test_another_consumer_takes_over(redis_server: RedisServer, stream: str) -> None:
    """What a dead consumer left is given to another one after `claim_s`, and not before."""
    sink = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w")
    _put(sink, 0, 6)
    sink.close(WAIT_S)
    with RedisStreamReader(redis_server.url, stream, "g", "dead") as dead:
        assert [entry.number for entry in dead.read(4)] == [0, 1, 2, 3]
    with RedisStreamReader(redis_server.url, stream, "g", "alive", claim_s=60.0) as alive:
        rest = alive.read(4, block_s=0.01)
        assert [entry.number for entry in rest] == [4, 5]
        alive.ack(rest)
        assert alive.read(4, block_s=0.01) == []
    time.sleep(0.35)
    with RedisStreamReader(redis_server.url, stream, "g", "alive", claim_s=0.3) as alive:
        assert [entry.number for entry in alive.read(4, block_s=0.01)] == [0, 1, 2, 3]


def test_a_reader_outlives_the_server(redis_server: RedisServer, stream: str) -> None:
    """While the server is away reading fails in so many words; when it is back it goes on with what was not acked."""
    sink = RedisStreamSink(redis_server.url, stream, SYMBOLS, "w")
    _put(sink, 0, 4)
    sink.close(WAIT_S)
    with RedisStreamReader(redis_server.url, stream, "g", "c") as reader:
        reader.ack(reader.read(2))
        assert len(reader.read(1)) == 1
        redis_server.kill()
        with pytest.raises(ServiceUnavailableError, match="Redis does not answer"):
            reader.read(1)
        redis_server.start()
        assert [entry.number for entry in (*reader.read(1), *reader.read(1), *reader.read(9, 0.01))] == [2, 3]


def test_strange_entries_are_counted(redis_url: str, stream: str) -> None:
    """Entries that hold no batch are acknowledged and left out; those trimmed before their acknowledgement are told."""
    sink = RedisStreamSink(redis_url, stream, SYMBOLS, "w")
    _put(sink, 0, 2)
    sink.close(WAIT_S)
    with redis.Redis.from_url(redis_url) as client, RedisStreamReader(redis_url, stream, "g", "c") as reader:
        client.xadd(stream, {"what": "ever"})
        client.xadd(stream, {"kind": "trades", "source": "w", "number": "7", "data": b"no arrow"})
        assert [entry.number for entry in reader.read(10)] == [0, 1]
        assert reader.unreadable == 2
        client.xtrim(stream, maxlen=0, approximate=False)
        with RedisStreamReader(redis_url, stream, "g", "c") as again:
            assert again.read(10, 0.01) == []
            assert again.gone == 2
        assert client.xpending(stream, "g")["pending"] == 0


def test_what_cannot_be_is_said(redis_url: str, stream: str, tmp_path: Path) -> None:
    """Another form of URL, nobody there, or a key that is no stream."""
    with pytest.raises(SettingsError, match="Redis URL 'http://x'"):
        RedisStreamSink("http://x", stream, SYMBOLS, "w")
    with pytest.raises(SettingsError, match="stream=''"):
        RedisStreamSink(redis_url, "", SYMBOLS, "w")
    nobody = RedisStreamSink(f"unix://{tmp_path}/no.sock", stream, SYMBOLS, "w")
    with pytest.raises(ServiceUnavailableError, match="Redis does not answer"):
        nobody.check()
    nobody.put(trades(3))
    nobody.close(0.2)
    assert nobody.status().dropped in ({"unknown": 3}, {"unsent": 3})
    with redis.Redis.from_url(redis_url) as client:
        client.set(stream, "text")
    sink = RedisStreamSink(redis_url, stream, SYMBOLS, "w")
    with pytest.raises(SettingsError, match="holds a string"):
        sink.check()
    sink.put(trades(3))
    wait_until(lambda: "WRONGTYPE" in sink.status().trouble, WAIT_S)
    sink.close(0.1)
    assert sink.status().dropped_rows == 3
