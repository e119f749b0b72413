"""polars building one-second bars by group-by over the whole table. Arguments: file, ticks, seconds."""

import sys

import polars as pl
from turns import take_turns

path, n_trades, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
trades = pl.read_parquet(path).head(n_trades)


def repeat(_):
    """Group by symbol and second."""
    price, size = pl.col("price"), pl.col("size")
    second = (pl.col("ts_event_ns") // (seconds * 1_000_000_000)).alias("second")
    bars = trades.group_by("symbol_id", second).agg(
        price.first().alias("open"),
        price.max().alias("high"),
        price.min().alias("low"),
        price.last().alias("close"),
        size.sum().alias("volume"),
    )
    if bars.height == 0:
        raise RuntimeError("polars built no bar")


take_turns(
    repeat,
    work=n_trades,
    libraries=["polars"],
    note="the whole table at once, on all cores; bars come unordered",
)
