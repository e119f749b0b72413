"""The real actors of `trader.runtime` around a feed of the benchmark's own, with a sink in place of the decision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import ray

from trader.core.protocols import FeedInfo
from trader.engine.join import split_symbols
from trader.engine.shard import ShardOutput
from trader.runtime.actors import CONCURRENCY, FeedPump, RunContext, SymbolShard
from trader.runtime.cluster import cluster
from trader.settings import RaySettings, Settings
from trader.telemetry.log import LogConfig

__all__ = ["Pipeline", "Sink", "local_cluster", "processor_time", "run_context"]


class Sink:
    """Takes the place of the decision actor: counts what the shards deliver."""

    def __init__(self) -> None:
        self._counts = {"ticks": 0, "bars": 0, "feature_rows": 0}

    def push(self, _epoch: int, _shard: int, output: ShardOutput) -> None:
        """Count one shard's output."""
        self._counts["ticks"] += output.n_ticks
        self._counts["bars"] += output.n_bars
        self._counts["feature_rows"] += output.features.shape[0] * output.features.shape[1]

    def take(self) -> dict[str, int]:
        """Return the counts and start over."""
        counts, self._counts = self._counts, dict.fromkeys(self._counts, 0)
        return counts


def run_context(settings: Settings, info: FeedInfo, folder: Path) -> RunContext:
    """Return what the actors of a run are told; logs and checkpoints go to `folder`."""
    return RunContext(
        run_id="bench",
        mode="run",
        settings=settings,
        info=info,
        start_ns=0,
        log=LogConfig(folder / "log.jsonl"),
        checkpoint_dir=folder / "checkpoints",
    )


class Pipeline:
    """Feed and shard actors as a session creates them, ending in a sink.

    Parameters
    ----------
    info : FeedInfo
        Of the feed that `pump_kind` opens.
    settings : Settings
    folder : Path
        For checkpoints and logs.
    pump_kind : type
        A FeedPump with a feed of its own.
    arguments : tuple
        What `pump_kind` takes after the context.
    shard_kind : type
        SymbolShard, or one that measures.
    """

    def __init__(
        self,
        info: FeedInfo,
        settings: Settings,
        folder: Path,
        pump_kind: type[FeedPump],
        arguments: tuple[Any, ...],
        shard_kind: type[SymbolShard] = SymbolShard,
    ) -> None:
        context = run_context(settings, info, folder)
        remote = ray.remote(num_cpus=0.1, concurrency_groups=CONCURRENCY)
        self.sink = remote(Sink).remote()
        self.shards = [
            remote(shard_kind).remote(context, number, ids)
            for number, ids in enumerate(split_symbols(len(info.universe), settings.ray.shards))
        ]
        self.feed = remote(pump_kind).remote(context, *arguments)
        self._epoch = 0

    def reset(self) -> None:
        """Make the shards forget everything, and wait until all actors are up."""
        self._epoch += 1
        ray.get([shard.reset.remote(self._epoch, -1, self.sink) for shard in self.shards])
        ray.get([self.feed.pid.remote(), self.sink.take.remote()])

    def pump(self) -> None:
        """Send the whole feed through, until the sink has it all."""
        ray.get(self.feed.pump.remote(self._epoch, 0, self.shards))

    def pids(self) -> dict[str, int]:
        """Return the process of each actor."""
        actors = {"feed": self.feed} | {f"shard-{number}": shard for number, shard in enumerate(self.shards)}
        return dict(zip(actors, ray.get([actor.pid.remote() for actor in actors.values()]), strict=True))

    def close(self) -> None:
        """End the actors."""
        for actor in (self.feed, *self.shards, self.sink):
            ray.kill(actor, no_restart=True)


@contextlib.contextmanager
def local_cluster(num_cpus: int, object_store_mb: int) -> Iterator[None]:
    """Start a local cluster without dashboard, and end it."""
    with cluster(RaySettings(num_cpus=num_cpus, object_store_mb=object_store_mb, dashboard=False, dashboard_port=0)):
        yield


def processor_time() -> float:
    """Return the processor time, in seconds, of this process and all that Ray started from it."""
    total = 0.0
    me = psutil.Process()
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total
