"""Bars and features through the real Ray actors: feed → shards, beside nautilus_trader's BacktestEngine."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil
import ray

from benchmarks.cluster import Pipeline, local_cluster, processor_time
from benchmarks.environments import Peer
from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target, ratio
from benchmarks.sampling import Contender, ContenderError, Outcome, Sample, absent, alternate
from benchmarks.ticks import N_SYMBOLS, SEED, symbols, trades, write_trades
from trader.data.content import describe
from trader.data.replay import ReplayFeed
from trader.runtime.actors import FeedPump, RunContext
from trader.settings import BarSettings, FeatureSettings, FeedSettings, RaySettings, Settings, SimulationSettings

__all__ = ["run"]

_MARKET_RATE = 640.0
_BATCH_ROWS = 100_000
_SHARDS = 2
_CHECKPOINT_EVERY = 20
_LEAST_OBJECTS = 100_000
"""Ticks of the peer, at the least: fewer would not fill a minute."""
_PEER = "nautilus_trader BacktestEngine"


def run(options: Options) -> Result:
    """Measure ticks per second from the feed actor to the features, with two cores for everything."""
    n_trades, n_objects = options.scaled(6_000_000), max(options.scaled(300_000), _LEAST_OBJECTS)
    path = str(write_trades(trades(n_objects, _MARKET_RATE), options.scratch / "trades.parquet"))
    with contextlib.ExitStack() as stack:
        stack.enter_context(local_cluster(num_cpus=2, object_store_mb=512))
        options.say("starting actors")
        info = describe("trades", trades(1, _MARKET_RATE), symbols())
        pipeline = Pipeline(info, _settings(), options.scratch, TickPump, (n_trades,))
        stack.callback(pipeline.close)
        pipeline.reset()
        contenders = [
            Contender(
                "feed and shard actors",
                "ours",
                n_trades,
                _through(pipeline, n_trades),
                versions_of(["ray", "numba"]),
                f"bars and features; CPU time of all of Ray's processes; batches of {_BATCH_ROWS:,}, {_SHARDS} shards",
            )
        ]
        missing: list[Outcome] = []
        options.say(f"preparing {_PEER}")
        try:
            peer = stack.enter_context(Peer("nautilus", "nautilus_engine.py", [path, str(n_objects)]))
            contenders.append(peer.contender(_PEER))
        except ContenderError as error:
            missing.append(absent(_PEER, "peer", str(error)))
        outcomes = [*alternate(contenders, on_round=lambda number: options.say(f"round {number}")), *missing]
        memory = {
            f"{part}: private MB": psutil.Process(pid).memory_full_info().uss / 1e6
            for part, pid in pipeline.pids().items()
        }
    ours, engine = outcomes
    return Result(
        "actors_throughput",
        "One-minute bars and features through Ray actors, 64 symbols, 2 cores",
        "ticks",
        {
            "ticks": n_trades,
            "symbols": N_SYMBOLS,
            "batch_rows": _BATCH_ROWS,
            "shards": _SHARDS,
            "batches_per_checkpoint": _CHECKPOINT_EVERY,
            "market_ticks_per_s": _MARKET_RATE,
            "ticks_per_bar": 60 * _MARKET_RATE / N_SYMBOLS,
            "bars": ours.detail("bars"),
            "feature_rows": ours.detail("feature_rows"),
            "seed": SEED,
        },
        outcomes,
        [
            Target("ticks/s through actors", "ticks/s", ours.rate, ">=", 2e6),
            Target(f"times {_PEER}", "x", ratio(ours, engine), ">=", 5.0),
        ],
        memory,
    )


class TickPump(FeedPump):
    """The feed actor with simulated trades in memory."""

    def __init__(self, context: RunContext, n_trades: int) -> None:
        super().__init__(context)
        ticks = trades(n_trades, _MARKET_RATE)
        self._feed = ReplayFeed(
            ticks, describe("trades", ticks, symbols()), batch_rows=context.settings.feed.batch_rows
        )


def _settings() -> Settings:
    return Settings(
        feed=FeedSettings(
            kind="simulated", batch_rows=_BATCH_ROWS, simulation=SimulationSettings(n_symbols=1, n_days=2)
        ),
        bars=BarSettings(kind="time", size=60.0),
        features=FeatureSettings(),
        ray=RaySettings(shards=_SHARDS, checkpoint_every=_CHECKPOINT_EVERY),
    )


def _through(pipeline: Pipeline, n_trades: int) -> Callable[[], Sample]:
    def repeat() -> Sample:
        pipeline.reset()
        cpu, wall = processor_time(), time.perf_counter()
        pipeline.pump()
        wall_s, cpu_s = time.perf_counter() - wall, processor_time() - cpu
        counts = ray.get(pipeline.sink.take.remote())
        if counts["ticks"] != n_trades:
            raise RuntimeError(f"{counts['ticks']} of {n_trades} ticks arrived")
        return Sample(wall_s, cpu_s, counts)

    return repeat
