"""Ticks of a live feed through the actors, and what becomes of those of a broken pass."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import ray
from ray.exceptions import RayError

from tests.support.live import serving, write_capture
from tests.support.waiting import wait_until
from trader.data.feeds import open_feed
from trader.engine.shard import ShardOutput
from trader.runtime.actors import CONCURRENCY, CONTROL, FeedPump, RunContext, SymbolShard
from trader.settings import BarSettings, FeedSettings, LiveSettings, Settings
from trader.telemetry.log import LogConfig

pytestmark = pytest.mark.ray

N_TRADES = 6000  # twelve seconds: a slow machine, too, breaks the pass before all have come
STEP_MS = 2


class Sink:
    """Adds up what the shards make."""

    def __init__(self) -> None:
        self._found = {epoch: {"ticks": 0, "bars": 0} for epoch in (1, 2)}

    def push(self, epoch: int, shard: int, output: ShardOutput) -> None:
        self._found[epoch]["ticks"] += output.n_ticks
        self._found[epoch]["bars"] += output.n_bars

    def found(self) -> dict[int, dict[str, int]]:
        return self._found


@pytest.mark.usefixtures("ray_cluster")
def test_a_broken_pass_is_read_again(tmp_path: Path) -> None:
    """The next pass has every trade of the broken one and of its own, but for those counted as missed; none twice."""
    with serving(write_capture(tmp_path / "c", N_TRADES, step_ms=STEP_MS), "garbage:3@9", speed=1.0) as server:
        live = LiveSettings(url=server.url, duration_s=600.0, batch_ms=20.0, backfill=False)
        settings = Settings(
            feed=FeedSettings(kind="binance", symbols=("BTCUSDT",), live=live), bars=BarSettings(size=0.1)
        )
        info = open_feed(settings.feed, seed=0).info
        context = RunContext("r", "run", settings, info, 0, LogConfig(tmp_path / "log"), tmp_path / "checkpoints")
        remote = ray.remote(num_cpus=0.1, concurrency_groups=CONCURRENCY)
        sink = remote(Sink).remote()
        shard = remote(SymbolShard).remote(context, 0, np.zeros(1, np.int32))
        feed = remote(FeedPump).remote(context)
        try:
            ray.get(shard.reset.remote(1, -1, sink))
            first = feed.pump.remote(1, 0, -1, [shard])
            wait_until(lambda: ray.get(sink.found.remote())[1]["bars"] >= 5, 180)
            ray.get(shard.reset.remote(2, -1, sink))
            with pytest.raises(RayError):
                ray.get(first, timeout=120)
            second = feed.pump.remote(2, 0, -1, [shard])
            wait_until(lambda: server.finished.is_set() and ray.get(sink.found.remote())[2]["bars"] > 5, 180)
            then = -1
            while then != (then := ray.get(sink.found.remote())[2]["ticks"]):
                time.sleep(1.0)  # until nothing more is on its way
            ray.get(feed.stop.options(concurrency_group=CONTROL).remote())
            assert ray.get(second, timeout=120) is False
            found = ray.get(sink.found.remote())
            rejected = ray.get(feed.rejected.remote())
            troubles = ray.get(feed.troubles.options(concurrency_group=CONTROL).remote())
        finally:
            for actor in (feed, shard, sink):
                ray.kill(actor)
    assert rejected["malformed"] == 3
    missed = sum(trouble.count for trouble in troubles if trouble.kind == "rows_lost")
    assert missed > 0
    assert found[2]["ticks"] >= found[1]["ticks"]
    assert found[2]["ticks"] + missed + rejected.get("unread", 0) == N_TRADES
