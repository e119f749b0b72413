"""Resident memory of a shard over 50 million ticks, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import psutil

from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.ticks import N_SYMBOLS, SEED, symbols
from trader.core.protocols import FeedBatch, FeedInfo
from trader.data.content import fields_of
from trader.data.simulation.ticks import simulate_trades, trade_chunks
from trader.engine.shard import ShardProcessor
from trader.settings import BarSettings, FeatureSettings

__all__ = ["run"]

_MARKET_RATE = 640.0
_BATCH_ROWS = 10_000
_STEPS = 10


def run(options: Options) -> Result:
    """Measure memory at every tenth of the way; the first fifth is warm-up."""
    n_trades = options.scaled(50_000_000)
    options.say(f"{n_trades:,} ticks through a shard")
    command = [sys.executable, "-m", "benchmarks.memory", str(n_trades)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the measured process failed: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    ticks, resident = np.array(found["ticks"]), np.array(found["resident_mb"])
    settled = ticks >= n_trades // 5
    growth = float(resident[-1] / resident[settled][0] - 1)
    slope = float(np.polyfit(ticks[settled] / 1e6, resident[settled], 1)[0])
    return Result(
        "memory",
        "Resident memory of bars and features, 64 symbols",
        "ticks",
        {"ticks": n_trades, "symbols": N_SYMBOLS, "batch_rows": _BATCH_ROWS, "seed": SEED},
        (),
        [Target("growth after the first fifth", "%", 100 * growth, "<=", 5.0)],
        {
            "resident MB by million ticks": {
                f"{n / 1e6:g}": mb for n, mb in zip(found["ticks"], found["resident_mb"], strict=True)
            },
            "resident MB at the end": float(resident[-1]),
            "slope MB per million ticks": slope,
            "ticks/s with their simulation": n_trades / found["wall_s"],
            "bars": found["bars"],
        },
    )


def measure(n_trades: int) -> dict[str, object]:
    """Send trades through a shard; return its resident memory along the way."""
    sample = simulate_trades(1, N_SYMBOLS, SEED)
    info = FeedInfo("trades", symbols(), "trades", fields_of(sample), "simulated")
    shard = ShardProcessor(
        info,
        np.arange(N_SYMBOLS, dtype=np.int32),
        bars=BarSettings(kind="time", size=60.0),
        features=FeatureSettings(),
    )
    me, began = psutil.Process(), time.perf_counter()
    ticks: list[int] = []
    resident: list[float] = []
    done, bars = 0, 0
    chunks = trade_chunks(n_trades, N_SYMBOLS, SEED, chunk_rows=_BATCH_ROWS, trades_per_second=_MARKET_RATE)
    for seq, chunk in enumerate(chunks):
        bars += shard.process(FeedBatch(seq, int(chunk.ts_event_ns[-1]) - 1, chunk)).n_bars
        done += len(chunk)
        if done * _STEPS >= n_trades * (len(ticks) + 1):
            ticks.append(done)
            resident.append(me.memory_info().rss / 1e6)
    return {"ticks": ticks, "resident_mb": resident, "bars": bars, "wall_s": time.perf_counter() - began}


if __name__ == "__main__":
    json.dump(measure(int(sys.argv[1])), sys.stdout)
