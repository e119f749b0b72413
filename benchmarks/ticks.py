"""The ticks that the benchmarks run on: simulated trades, in memory and as a file that peers can read."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trader.core.market import TradeBatch, Universe
from trader.data.simulation.ticks import simulate_trades

__all__ = ["N_SYMBOLS", "SEED", "symbols", "trades", "write_trades"]

N_SYMBOLS = 64
SEED = 7


def symbols(n_symbols: int = N_SYMBOLS) -> Universe:
    """Return the names of the simulated symbols."""
    return Universe(tuple(f"S{n:03d}" for n in range(n_symbols)))


def trades(n_trades: int, trades_per_second: float) -> TradeBatch:
    """Return trades of `N_SYMBOLS` symbols; `trades_per_second` is the rate of market time, of all together."""
    return simulate_trades(n_trades, N_SYMBOLS, SEED, trades_per_second=trades_per_second)


def write_trades(batch: TradeBatch, path: Path) -> Path:
    """Write trades to a Parquet file, one column each, and return it."""
    pq.write_table(pa.table({name: pa.array(column) for name, column in batch.columns().items()}), path)
    return path
