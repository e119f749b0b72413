"""`trader data vpin`: how toxic order flow was."""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer

from trader.cli.common import ConfigOption, SetOption, err
from trader.cli.data import (
    BarsOption,
    FileArgument,
    KindOption,
    MapOption,
    OutOption,
    ZoneOption,
    open_data,
    write_columns,
)

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("vpin", help=vpin.__doc__)(vpin)


def vpin(
    target: OutOption,
    bucket: Annotated[float, typer.Option("--bucket", help="Volume of a bucket: a fiftieth of a day's, say.")],
    file: FileArgument = None,
    window: Annotated[int, typer.Option("--window", min=1, help="Buckets of a VPIN.")] = 50,
    classifier: Annotated[
        str, typer.Option("--by", help="What tells bought from sold: normal or t, by moves; side, of the trades.")
    ] = "normal",
    size: BarsOption = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Fill buckets of equal volume, and say how one-sided the last of them were (VPIN).

    Example: trader data vpin trades.parquet --bars time:60 --bucket 100000 --out vpin.parquet
    """
    import numpy as np

    from trader.data.toxicity import Vpin
    from trader.engine.history import read_bars

    settings, feed = open_data(file, kind, mapping, zone, size, config, assignments)
    symbols = feed.info.universe.symbols
    meter = Vpin(len(symbols), bucket, window, cast("Any", classifier))
    found = meter.update(read_bars(feed, settings))
    columns: dict[str, Any] = {"symbol": [symbols[i] for i in found.symbol_id]}
    columns |= {name: column for name, column in found.columns().items() if name != "symbol_id"}
    write_columns(columns, target)
    err.print(
        f"{len(found)} buckets of {len(symbols)} symbols in {target}; {meter.skipped} bars skipped",
        highlight=False,
        markup=False,
    )
    for symbol_id, symbol in enumerate(symbols):
        known = found.vpin[(found.symbol_id == symbol_id) & np.isfinite(found.vpin)]
        if known.size:
            err.print(
                f"{symbol}: VPIN {known[-1]:.3f} last, {np.median(known):.3f} median, {known.max():.3f} highest",
                highlight=False,
                markup=False,
            )
