"""How long a tick takes to be in the features, at 100,000 ticks a second, through actors and in process."""

from __future__ import annotations

import collections
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from benchmarks.cluster import Pipeline, local_cluster, processor_time
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, Role, Sample, alternate
from benchmarks.ticks import N_SYMBOLS, SEED, symbols, trades
from trader.core.market import TradeBatch
from trader.core.protocols import FeedBatch, FeedInfo
from trader.data.content import describe
from trader.engine.shard import ShardOutput, ShardProcessor, build_shard
from trader.runtime.actors import WINDOW, FeedPump, RunContext, SymbolShard
from trader.settings import BarSettings, FeatureSettings, FeedSettings, RaySettings, Settings, SimulationSettings

__all__ = ["run"]

_RATE = 100_000
_BATCH_ROWS = 100
_PASSES: tuple[tuple[str, Role, int, bool], ...] = (
    ("actors", "ours", _BATCH_ROWS, False),
    ("actors, batches of 0.5 ms", "variant", 50, False),
    ("actors, batches of 3 ms", "variant", 300, False),
    ("actor calls, batches of 3 ms", "variant", 300, True),
)
_SHARDS = 1
_SECONDS = 4


def run(options: Options) -> Result:
    """Measure the time from a tick's receipt to the end of the features it went into."""
    n_ticks = _RATE * (_SECONDS // 2 if options.quick else _SECONDS)
    info = describe("trades", trades(1, _RATE), symbols())
    with local_cluster(num_cpus=2, object_store_mb=256):
        options.say("starting actors")
        pipeline = Pipeline(info, _settings(), options.scratch, PacedPump, (n_ticks,), TimedShard)
        pipeline.reset()
        contenders = [
            Contender(
                name,
                role,
                n_ticks,
                functools.partial(_through_actors, pipeline, rows, by_calls),
                note=f"feed actor to shard actor, batches of {rows} ticks ({1000 * rows / _RATE:g} ms)"
                + (", each an actor call instead of a message of the channel" if by_calls else ""),
            )
            for name, role, rows, by_calls in _PASSES
        ]
        contenders.append(
            Contender(
                "in process",
                "variant",
                n_ticks,
                functools.partial(_in_process, info, n_ticks),
                note="the same feed and shard in one thread: what is left without Ray",
            )
        )
        outcomes = alternate(contenders, on_round=lambda number: options.say(f"round {number}"))
        pipeline.close()
    ours = outcomes[0]
    return Result(
        "tick_latency",
        f"Tick to features at {_RATE:,} ticks/s, 64 symbols, one-second bars",
        "ticks",
        {
            "ticks": n_ticks,
            "ticks_per_s": _RATE,
            "batch_rows": [rows for _, _, rows, _ in _PASSES],
            "shards": _SHARDS,
            "symbols": N_SYMBOLS,
            "seed": SEED,
        },
        outcomes,
        [
            Target("p99 from receipt to features", "ms", ours.detail("p99 ms"), "<=", 5.0),
            Target("aim: p99 from receipt to features", "ms", ours.detail("p99 ms"), "<=", 1.0),
        ],
        {
            f"{outcome.name}: {name}": outcome.detail(name)
            for outcome in outcomes
            for name in outcome.samples[0].details
        },
    )


class PacedFeed:
    """A feed whose ticks arrive one by one at a steady rate, in batches that leave when their last tick is there.

    Ticks are stamped with the time at which they were due. A feed that falls behind is late for its own
    schedule, so its delay counts as latency and is not hidden.
    """

    def __init__(self, ticks: TradeBatch, info: FeedInfo, batch_rows: int) -> None:
        self.info = info
        self.batch_rows = batch_rows
        self.late_ms: list[float] = []
        self._ticks = ticks

    def rejected(self) -> Mapping[str, int]:
        """Return how many rows were refused: none."""
        return {}

    def batches(self, from_seq: int = 0) -> Iterator[FeedBatch]:
        """Yield the batches as their time comes; how late each was is kept in `late_ms`."""
        self.late_ms.clear()
        begin = time.time_ns() + 10_000_000
        due = begin + np.arange(1, len(self._ticks) + 1) * (1_000_000_000 // _RATE)
        for seq in range(from_seq, len(self._ticks) // self.batch_rows):
            rows = slice(seq * self.batch_rows, (seq + 1) * self.batch_rows)
            last = int(due[rows][-1])
            wait_s = (last - time.time_ns()) * 1e-9
            if wait_s > 0:
                time.sleep(wait_s)
            self.late_ms.append((time.time_ns() - last) * 1e-6)
            yield FeedBatch(seq, last, _stamped(self._ticks.take(rows), due[rows]))


class PacedPump(FeedPump):
    """The feed actor with paced ticks."""

    def __init__(self, context: RunContext, n_ticks: int) -> None:
        super().__init__(context)
        self._paced = PacedFeed(trades(n_ticks, _RATE), context.info, _BATCH_ROWS)
        self._feed = self._paced
        self._by_calls = False

    def cut(self, batch_rows: int, by_calls: bool) -> None:
        """Set the size of the batches of the passes to come, and whether each is an actor call."""
        self._paced.batch_rows = batch_rows
        self._by_calls = by_calls

    def pump(self, epoch: int, from_seq: int, shards: Sequence[Any]) -> bool:
        """Send through the channel, or, for comparison, by bare actor calls."""
        if not self._by_calls:
            return super().pump(epoch, from_seq, shards)
        pending: collections.deque[Any] = collections.deque()
        for batch in self._paced.batches(from_seq):
            pending.extend(shard.push.remote(epoch, batch) for shard in shards)
            while len(pending) > WINDOW * len(shards):
                ray.get(pending.popleft())
        ray.get(list(pending))
        return True

    def late_ms(self) -> list[float]:
        """Return how late each batch of the last pass left."""
        return self._paced.late_ms


class TimedProcessor:
    """A shard's processor that notes when it was done."""

    def __init__(self, processor: ShardProcessor) -> None:
        self._processor = processor
        self.latency_ns: list[NDArray[np.int64]] = []
        self.with_bars: list[NDArray[np.int64]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)

    def process(self, batch: FeedBatch) -> ShardOutput:
        """Process one batch and note the latency of each of its ticks."""
        output = self._processor.process(batch)
        taken = time.time_ns() - batch.data.ts_recv_ns  # type: ignore[union-attr]
        self.latency_ns.append(taken)
        if output.n_bars:
            self.with_bars.append(taken[-1:])
        return output


class TimedShard(SymbolShard):
    """The shard actor with a processor that notes when it was done."""

    def reset(self, epoch: int, durable_batch: int, decision: Any) -> int:
        """Start over with an empty record."""
        following = super().reset(epoch, durable_batch, decision)
        self._processor = self._timed = TimedProcessor(self._processor)  # type: ignore[arg-type,assignment]
        return following

    def push(self, epoch: int, batch: FeedBatch) -> None:
        """Process one batch that came by an actor call."""
        self._take(epoch, batch)

    def latencies(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the latency in ns of every tick, and of those that completed bars."""
        return np.concatenate(self._timed.latency_ns), np.concatenate(self._timed.with_bars)


def _through_actors(pipeline: Pipeline, batch_rows: int, by_calls: bool) -> Sample:
    pipeline.reset()
    ray.get(pipeline.feed.cut.remote(batch_rows, by_calls))
    cpu, wall = processor_time(), time.perf_counter()
    pipeline.pump()
    wall_s, cpu_s = time.perf_counter() - wall, processor_time() - cpu
    found = ray.get([shard.latencies.remote() for shard in pipeline.shards])
    late_ms = ray.get(pipeline.feed.late_ms.remote())
    every, closing = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Sample(wall_s, cpu_s, _percentiles(every, closing, late_ms))


def _in_process(info: FeedInfo, n_ticks: int) -> Sample:
    shard = TimedProcessor(build_shard(info, np.arange(N_SYMBOLS, dtype=np.int32), _settings()))
    feed = PacedFeed(trades(n_ticks, _RATE), info, _BATCH_ROWS)
    cpu, wall = time.process_time(), time.perf_counter()
    for batch in feed.batches():
        shard.process(batch)
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    details = _percentiles(np.concatenate(shard.latency_ns), np.concatenate(shard.with_bars), feed.late_ms)
    return Sample(wall_s, cpu_s, details)


def _percentiles(every_ns: NDArray[np.int64], closing_ns: NDArray[np.int64], late_ms: list[float]) -> dict[str, float]:
    p50, p99, p999 = np.percentile(every_ns, (50, 99, 99.9)) / 1e6
    return {
        "p50 ms": float(p50),
        "p99 ms": float(p99),
        "p99.9 ms": float(p999),
        "max ms": float(every_ns.max() / 1e6),
        "p50 ms, ticks that completed bars": float(np.median(closing_ns) / 1e6),
        "max ms, ticks that completed bars": float(closing_ns.max() / 1e6),
        "p50 ms behind schedule": float(np.median(late_ms)),
        "p99 ms behind schedule": float(np.percentile(late_ms, 99)),
    }


def _stamped(ticks: TradeBatch, stamps: NDArray[np.int64]) -> TradeBatch:
    return TradeBatch(stamps, stamps, ticks.symbol_id, ticks.price, ticks.size, ticks.side)


def _settings() -> Settings:
    return Settings(
        feed=FeedSettings(kind="simulated", simulation=SimulationSettings(n_symbols=1, n_days=2)),
        bars=BarSettings(kind="time", size=1.0),
        features=FeatureSettings(),
        ray=RaySettings(shards=_SHARDS),
    )
