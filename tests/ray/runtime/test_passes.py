"""Feed and shard actors around a sink: a whole pass, one that a reset breaks off, and one nobody is ready for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import ray
from ray.exceptions import RayError

from tests.support.waiting import wait_until
from trader.core.errors import OperationError
from trader.data.feeds import open_feed
from trader.engine.join import split_symbols
from trader.engine.shard import ShardOutput
from trader.runtime.actors import CONCURRENCY, CONTROL, FeedPump, RunContext, SymbolShard
from trader.runtime.channel import ChannelError
from trader.runtime.session import root_cause
from trader.settings import FeedSettings, RaySettings, RunSettings, Settings, SimulationSettings
from trader.telemetry.log import LogConfig

if TYPE_CHECKING:
    from tests.ray.conftest import RayCluster

pytestmark = pytest.mark.ray

N_DAYS = 600
A_SECOND = 50.0
N_SYMBOLS = 4
N_SHARDS = 2


class Sink:
    """Takes what the shards make."""

    def __init__(self) -> None:
        self._bars: dict[tuple[int, int], int] = {}

    def push(self, epoch: int, shard: int, output: ShardOutput) -> None:
        self._bars[epoch, shard] = self._bars.get((epoch, shard), 0) + output.n_bars

    def bars(self) -> dict[tuple[int, int], int]:
        return self._bars


class Actors:
    """Feed, shards and sink of a run that takes twelve seconds."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(
            feed=FeedSettings(kind="simulated", simulation=SimulationSettings(n_symbols=N_SYMBOLS, n_days=N_DAYS)),
            ray=RaySettings(shards=N_SHARDS),
            run=RunSettings(speed=A_SECOND),
        )
        info = open_feed(settings.feed, seed=settings.run.seed).info
        context = RunContext("r", "run", settings, info, 0, LogConfig(folder / "log.jsonl"), folder / "checkpoints")
        remote = ray.remote(num_cpus=0.1, concurrency_groups=CONCURRENCY)
        self.sink = remote(Sink).remote()
        self.shards = [
            remote(SymbolShard).remote(context, n, ids) for n, ids in enumerate(split_symbols(N_SYMBOLS, N_SHARDS))
        ]
        self.feed = remote(FeedPump).remote(context)

    def reset(self, epoch: int) -> None:
        ray.get([shard.reset.remote(epoch, -1, self.sink) for shard in self.shards])

    def bars(self, epoch: int) -> list[int]:
        found: dict[tuple[int, int], int] = ray.get(self.sink.bars.remote())
        return [found.get((epoch, shard), 0) for shard in range(N_SHARDS)]


@pytest.fixture(scope="module")
def actors(ray_cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Actors]:
    """One set for all tests: each has epochs of its own."""
    made = Actors(tmp_path_factory.mktemp("passes"))
    yield made
    for actor in (made.feed, *made.shards, made.sink):
        ray.kill(actor)


def _failure(call: Any) -> BaseException:
    with pytest.raises(RayError) as caught:
        ray.get(call, timeout=120)
    return root_cause(caught.value)


def test_a_reset_ends_the_pass_before(actors: Actors) -> None:
    """A shard told of a newer epoch hangs up: the old pump fails, and nothing of the old pass reaches the new one."""
    expected = [N_DAYS * N_SYMBOLS // N_SHARDS] * N_SHARDS
    actors.reset(1)
    old = actors.feed.pump.remote(1, 0, -1, actors.shards)
    wait_until(lambda: all(actors.bars(1)), 180)
    actors.reset(2)
    assert isinstance(_failure(old), ChannelError)
    broken = actors.bars(1)
    assert all(n < whole for n, whole in zip(broken, expected, strict=True))
    assert ray.get(actors.feed.pump.remote(2, 0, N_DAYS, actors.shards)) is True
    assert actors.bars(2) == expected
    assert actors.bars(1) == broken


def test_a_shard_of_another_epoch_takes_nothing(actors: Actors) -> None:
    """A pump whose shards were not reset to its epoch fails at once and names both."""
    actors.reset(5)
    cause = _failure(actors.feed.pump.remote(4, 0, -1, actors.shards))
    assert isinstance(cause, OperationError)
    assert "epoch 4; this actor is in 5" in str(cause)
    assert actors.bars(4) == [0, 0]


def test_a_stopped_pump_leaves_nothing_undecided(actors: Actors) -> None:
    """`stop` ends the feed between two batches; all that was sent has arrived at the end when the pump returns."""
    actors.reset(7)
    pumping = actors.feed.pump.remote(7, 0, -1, actors.shards)
    wait_until(lambda: all(actors.bars(7)), 180)
    ray.get(actors.feed.stop.options(concurrency_group=CONTROL).remote())
    assert ray.get(pumping) is False
    first, second = actors.bars(7)
    assert first == second
    assert 0 < first < N_DAYS * N_SYMBOLS // N_SHARDS


def test_what_is_decided_is_not_slowed_down(actors: Actors) -> None:
    """A pass that goes on after batch 550 of 600 sends those before it at once: at 50 a second all take twelve."""
    actors.reset(9)
    began = time.monotonic()
    assert ray.get(actors.feed.pump.remote(9, 0, N_DAYS - 50, actors.shards)) is True
    assert 1.0 < time.monotonic() - began < N_DAYS / A_SECOND
    assert actors.bars(9) == [N_DAYS * N_SYMBOLS // N_SHARDS] * N_SHARDS
