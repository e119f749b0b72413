"""Shards with a Redis stream beside them: one is killed in mid-pass, and the stream still holds each bar once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import ray
import redis
from ray.exceptions import RayActorError, RayError

from tests.support.redis_server import running_redis
from tests.support.waiting import wait_until
from trader.core.market import BarBatch
from trader.data.feeds import open_feed
from trader.data.sinks.redis_reader import RedisStreamReader
from trader.engine.join import split_symbols
from trader.engine.shard import ShardOutput
from trader.runtime.actors import CONCURRENCY, FeedPump, RunContext, SymbolShard
from trader.settings import FeedSettings, RaySettings, RunSettings, Settings, SimulationSettings, SinkSettings
from trader.telemetry.log import LogConfig

if TYPE_CHECKING:
    from tests.ray.conftest import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.slow]

N_SYMBOLS = 4
N_SHARDS = 2


class Decision:
    """Takes what the shards make."""

    def push(self, epoch: int, shard: int, output: ShardOutput) -> None:
        pass


def _wait_alive(actors: list[Any]) -> None:
    deadline = time.monotonic() + 180
    while True:
        try:
            ray.get([actor.pid.remote() for actor in actors], timeout=180)
        except RayActorError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


def test_a_killed_shard_doubles_and_loses_no_bar(ray_cluster: RayCluster, tmp_path: Path) -> None:
    """After the second pass, which begins anew, every bar of the feed is in the stream once, in order."""
    with running_redis() as server:
        settings = Settings(
            feed=FeedSettings(kind="simulated", simulation=SimulationSettings(n_symbols=N_SYMBOLS, n_days=300)),
            ray=RaySettings(shards=N_SHARDS),
            run=RunSettings(speed=60.0),
            sinks=SinkSettings.model_validate({"redis": {"url": server.url, "stream": "s"}}),
        )
        feed = open_feed(settings.feed, seed=settings.run.seed)
        context = RunContext("r", "run", settings, feed.info, 0, LogConfig(tmp_path / "log"), tmp_path / "checkpoints")
        remote: Any = ray.remote(num_cpus=0.1, concurrency_groups=CONCURRENCY, max_restarts=-1)
        decision = remote(Decision).remote()
        shards = [
            remote(SymbolShard).remote(context, n, ids) for n, ids in enumerate(split_symbols(N_SYMBOLS, N_SHARDS))
        ]
        pump = remote(FeedPump).remote(context)
        try:
            ray.get([shard.reset.remote(1, -1, decision) for shard in shards])
            broken = pump.pump.remote(1, 0, -1, shards)
            with redis.Redis.from_url(server.url) as client:
                wait_until(lambda: client.xlen("s:bars") > 10, 180)
            ray.kill(shards[0], no_restart=False)
            with pytest.raises(RayError):
                ray.get(broken, timeout=180)
            _wait_alive(shards)
            ray.get([shard.reset.remote(2, -1, decision) for shard in shards], timeout=180)
            assert ray.get(pump.pump.remote(2, 0, 10_000, shards), timeout=180)
            events = ray.get([shard.sink_events.remote(True) for shard in shards])
        finally:
            for actor in (pump, *shards, decision):
                ray.kill(actor)
        assert events == [[], []]
        found: dict[str, list[BarBatch]] = {}
        with RedisStreamReader(server.url, "s:bars", "g", "c") as reader:
            while entries := reader.read(100, block_s=0.05):
                for entry in entries:
                    ids = np.array([feed.info.universe.id_of(name) for name in entry.universe.symbols], np.int32)
                    columns = entry.batch.columns() | {"symbol_id": ids[entry.batch.symbol_id]}
                    found.setdefault(entry.source, []).append(BarBatch(**columns))
    assert sorted(found) == ["r/shard-0/bars", "r/shard-1/bars"]
    truth = BarBatch.concat(batch.data for batch in feed.batches())  # type: ignore[misc]  # this feed has bars
    for n, ids in enumerate(split_symbols(N_SYMBOLS, N_SHARDS)):
        assert BarBatch.concat(found[f"r/shard-{n}/bars"]) == truth.take(np.isin(truth.symbol_id, ids))
