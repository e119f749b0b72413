"""One-second bars in process: `BarBuilder` in batches of 1,000 ticks, beside pandas, polars and nautilus_trader."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence

import pandas as pd

from benchmarks.environments import Peer
from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, ContenderError, Outcome, absent, alternate, in_process
from benchmarks.ticks import N_SYMBOLS, SEED, trades, write_trades
from trader.bars import BarBuilder
from trader.core.market import TradeBatch

__all__ = ["run"]

_BATCH_ROWS = 1_000
_SECOND_NS = 1_000_000_000
_BUSY = 100_000.0
_QUIET = 640.0


def run(options: Options) -> Result:
    """Measure ticks per second on one core."""
    n_trades, n_objects = options.scaled(8_000_000), options.scaled(500_000)
    busy, quiet = trades(n_trades, _BUSY), trades(n_trades, _QUIET)
    path = str(write_trades(busy, options.scratch / "trades.parquet"))
    contenders = [
        Contender(
            "BarBuilder",
            "ours",
            n_trades,
            in_process(_build(busy)),
            versions_of(["numba", "numpy"]),
            "batches of 1,000; also volume-weighted price, buy volume and trade count",
        ),
        Contender(
            "BarBuilder, quiet market",
            "variant",
            n_trades,
            in_process(_build(quiet)),
            note=f"the same at {_QUIET:.0f} ticks/s of market time: 10 ticks a bar",
        ),
        Contender(
            "pandas groupby",
            "peer",
            n_trades,
            in_process(_pandas(busy)),
            versions_of(["pandas"]),
            "the whole table at once, which a live feed does not offer",
        ),
    ]
    missing: list[Outcome] = []
    with contextlib.ExitStack() as stack:
        for name, environment, script, work in (
            ("polars group_by", "polars", "polars_bars.py", n_trades),
            ("nautilus_trader TimeBarAggregator", "nautilus", "nautilus_aggregator.py", n_objects),
        ):
            options.say(f"preparing {name}")
            try:
                peer = stack.enter_context(Peer(environment, script, [path, str(work), "1"]))
                contenders.append(peer.contender(name))
            except ContenderError as error:
                missing.append(absent(name, "peer", str(error)))
        outcomes = alternate(contenders, on_round=lambda number: options.say(f"round {number}"))
    return _result([*outcomes, *missing], n_trades)


def _result(outcomes: Sequence[Outcome], n_trades: int) -> Result:
    ours = outcomes[0]
    return Result(
        "bars_kernel",
        "One-second OHLCV bars in process, 64 symbols, batches of 1,000",
        "ticks",
        {
            "ticks": n_trades,
            "symbols": N_SYMBOLS,
            "batch_rows": _BATCH_ROWS,
            "market_ticks_per_s": _BUSY,
            "ticks_per_bar": _BUSY / N_SYMBOLS,
            "seed": SEED,
        },
        outcomes,
        [Target("ticks/s on one core", "ticks/s", ours.rate, ">=", 50e6)],
    )


def _build(ticks: TradeBatch) -> Callable[[], None]:
    """Return a function that sends all ticks through a new builder, batch by batch."""
    batches = [ticks.take(slice(first, first + _BATCH_ROWS)) for first in range(0, len(ticks), _BATCH_ROWS)]

    def build() -> None:
        update = BarBuilder(N_SYMBOLS, "time", 1.0).update
        for batch in batches:
            update(batch)

    return build


def _pandas(ticks: TradeBatch) -> Callable[[], pd.DataFrame]:
    frame = pd.DataFrame({"price": ticks.price, "size": ticks.size})
    return functools.partial(_group, frame, ticks)


def _group(frame: pd.DataFrame, ticks: TradeBatch) -> pd.DataFrame:
    groups = frame.groupby([ticks.symbol_id, ticks.ts_event_ns // _SECOND_NS])
    bars: pd.DataFrame = groups["price"].agg(["first", "max", "min", "last"])
    bars["volume"] = groups["size"].sum()
    return bars
