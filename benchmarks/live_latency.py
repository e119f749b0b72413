"""A live feed at 100,000 ticks a second in a running Ray system: from the socket to the features, without a loss."""

from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
import psutil
import ray
from numpy.typing import NDArray

from benchmarks.cluster import Sink, local_cluster, processor_time, run_context
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, ContenderError, Sample, alternate
from benchmarks.wire import symbols_of, wire
from trader.core.market import BarBatch
from trader.core.protocols import FeedBatch
from trader.data.feeds import open_feed
from trader.engine.shard import ShardOutput, ShardProcessor
from trader.runtime.actors import CONCURRENCY, FeedPump, SymbolShard
from trader.runtime.feed_shard import FeedShard
from trader.settings import BarSettings, FeedSettings, LiveSettings, RaySettings, Settings

__all__ = ["run"]

_RATE = 100_000
_SYMBOLS = 64
_SECONDS = 60
_BATCH_MS = 0.25
"""What arrives within it is passed on together; timers of asyncio add up to a millisecond where it has not passed."""
_WARM_NS = 2_000_000_000
"""Latency counts from then on: the first batches load what was compiled, and all later ones wait for it."""
_STEP_US = 10
"""Resolution of the latencies that are kept, so that a minute of them takes no memory to speak of."""


def run(options: Options) -> Result:
    """Measure latency, losses and memory over a minute of a steady stream."""
    n_ticks = options.scaled(_RATE * _SECONDS)
    with wire(n_ticks, _SYMBOLS, _RATE) as url, local_cluster(num_cpus=2, object_store_mb=256):
        contenders = [
            Contender(
                "one process",
                "ours",
                n_ticks,
                functools.partial(_measure, url, n_ticks, options, True),
                note="socket, bars and features in one actor, as a live run with ray.shards=1 has it",
            ),
            Contender(
                "two actors",
                "variant",
                n_ticks,
                functools.partial(_measure, url, n_ticks, options, False),
                note="a feed actor and a shard actor, the channel between them",
            ),
        ]
        # A repeat lasts a minute: what varies is within it.
        outcomes = alternate(contenders, repeats=1, on_round=lambda number: options.say(f"round {number}"))
    ours = outcomes[0]
    names = ours.samples[0].details if ours.samples else {}
    return Result(
        "live_latency",
        f"Live ticks to features at {_RATE:,} a second for {n_ticks // _RATE} s, {_SYMBOLS} symbols, one-second bars",
        "ticks",
        {"ticks": n_ticks, "ticks_per_s": _RATE, "symbols": _SYMBOLS, "batch_ms": _BATCH_MS},
        outcomes,
        [
            Target("p99 from receipt to features", "ms", ours.detail("p99 ms"), "<=", 2.0),
            Target("ticks lost", "", ours.detail("lost"), "<=", 0.0),
            Target("growth of memory after the first third", "MiB", ours.detail("memory growth MiB"), "<=", 8.0),
        ],
        {f"{each.name}: {name}": each.detail(name) for each in outcomes for name in names},
    )


class _Timed:
    """A shard's processor that keeps a histogram of when it was done, and what memory it took."""

    def __init__(self, processor: ShardProcessor) -> None:
        self._processor = processor
        self.counts = np.zeros(1_000_000, np.int64)
        self.memory: list[int] = []
        self.ticks = 0
        self._seen_s = 0.0
        self._began_ns = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)

    def process(self, batch: FeedBatch) -> ShardOutput:
        """Process one batch and note the latency of each of its ticks."""
        output = self._processor.process(batch)
        self.ticks += len(batch.data)
        if len(batch.data) and not self._began_ns:
            self._began_ns = time.time_ns()
        if not isinstance(batch.data, BarBatch) and self._began_ns and time.time_ns() > self._began_ns + _WARM_NS:
            taken = (time.time_ns() - batch.data.ts_recv_ns) // (1000 * _STEP_US)
            np.add.at(self.counts, np.minimum(taken, self.counts.size - 1), 1)
        if time.monotonic() - self._seen_s > 0.5:
            self._seen_s = time.monotonic()
            self.memory.append(psutil.Process().memory_info().rss)
        return output


class TimedShard(SymbolShard):
    """The shard with a processor that notes when it was done."""

    def reset(self, epoch: int, durable_batch: int, decision: Any, feed_life: int = 0) -> int:
        """Start over with an empty record."""
        following = super().reset(epoch, durable_batch, decision, feed_life)
        self._processor = self._timed = _Timed(self._processor)  # type: ignore[arg-type,assignment]
        return following

    def record(self) -> tuple[NDArray[np.int64], list[int], int]:
        """Return the histogram, the memory over time, and how many ticks there were."""
        return self._timed.counts, self._timed.memory, self._timed.ticks


class TimedFeedShard(FeedShard):
    """Both in one, with that shard."""

    shard_kind = TimedShard

    def record(self) -> tuple[NDArray[np.int64], list[int], int]:
        """Return the histogram, the memory over time, and how many ticks there were."""
        assert isinstance(self._shard, TimedShard)  # noqa: S101 - as said above
        return self._shard.record()


def _measure(url: str, n_ticks: int, options: Options, is_one: bool) -> Sample:
    live = LiveSettings(url=url, backfill=False, batch_ms=_BATCH_MS, duration_s=n_ticks / _RATE + 3)
    feed = FeedSettings(kind="binance", symbols=symbols_of(_SYMBOLS), live=live, buffer_batches=10_000)
    settings = Settings(feed=feed, bars=BarSettings(kind="time", size=1.0), ray=RaySettings(shards=1))
    info = open_feed(feed, seed=0).info
    folder = options.scratch / f"{'one' if is_one else 'two'}-{time.time_ns()}"
    context = run_context(settings, info, folder)
    remote = ray.remote(num_cpus=0.1, concurrency_groups=CONCURRENCY)
    ids = np.arange(_SYMBOLS, dtype=np.int32)
    sink = remote(Sink).remote()
    if is_one:
        pump = shard = remote(TimedFeedShard).remote(context, ids)
    else:
        pump, shard = remote(FeedPump).remote(context), remote(TimedShard).remote(context, 0, ids)
    ray.get([shard.reset.remote(1, -1, sink), pump.pid.remote(), sink.take.remote()])
    cpu, wall = processor_time(), time.perf_counter()
    ray.get(pump.pump.remote(1, 0, -1, [shard]))
    wall_s, cpu_s = time.perf_counter() - wall, processor_time() - cpu
    counts, memory, ticks = ray.get(shard.record.remote())
    rejected, dropped = ray.get([pump.rejected.remote(), pump.dropped_rows.remote()])
    for actor in {pump, shard, sink}:
        ray.kill(actor, no_restart=True)
    if rejected:
        raise ContenderError(f"rows were left out: {rejected}")
    below = np.cumsum(counts)
    p50, p99, p999 = (np.searchsorted(below, share * below[-1]) * _STEP_US / 1e3 for share in (0.5, 0.99, 0.999))
    third = memory[len(memory) // 3]
    details = {
        "p50 ms": float(p50),
        "p99 ms": float(p99),
        "p99.9 ms": float(p999),
        "max ms": float(np.flatnonzero(counts).max() * _STEP_US / 1e3),
        "lost": float(n_ticks - ticks),
        "dropped": float(dropped),
        "memory MiB": memory[-1] / 2**20,
        "memory growth MiB": (max(memory[-10:]) - third) / 2**20,
    }
    return Sample(wall_s, cpu_s, details)
