"""`trader data`: look at data files, and turn ticks into bars and bars into features."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, out, print_json, read_settings
from trader.core.errors import UserError

if TYPE_CHECKING:
    from trader.core.protocols import Feed
    from trader.settings import Settings

__all__ = [
    "FileArgument",
    "KindOption",
    "MapOption",
    "OutOption",
    "ZoneOption",
    "app",
    "open_data",
    "write_columns",
]

app = typer.Typer(no_args_is_help=True, help="Check data files; build bars and features from them.")

FileArgument = Annotated[Path | None, typer.Argument(help="CSV or Parquet; the default is the demo's 20 stocks.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="trades, quotes, bars or auto.")]
MapOption = Annotated[list[str] | None, typer.Option("--map", metavar="OURS=THEIRS", help="Column mapping.")]
ZoneOption = Annotated[str | None, typer.Option("--tz", help="Time zone of stamps that carry none.")]
BarsOption = Annotated[str | None, typer.Option("--bars", metavar="KIND:SIZE", help="e.g. time:60, dollar:1e6.")]
OutOption = Annotated[Path, typer.Option("--out", help="Parquet file to write.")]


@app.command()
def check(
    file: FileArgument = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report duplicates, gaps, outliers, stale prices, splits, reused tickers and refused rows.

    Example: trader data check prices.csv.gz --tz America/New_York
    """
    from trader.engine.history import feed_quality

    settings, feed = open_data(file, kind, mapping, zone, None, config, assignments)
    report = feed_quality(feed, settings)
    if as_json:
        print_json({"feed": feed.info.name, "rejected": dict(feed.rejected()), "quality": report.to_dict()})
        return
    table = Table("check", "symbol", "when", "detail", "action")
    for finding in report.findings:
        when = "" if finding.ts_ns is None else _day(finding.ts_ns)
        table.add_row(finding.check, finding.symbol, when, finding.detail, finding.action)
    out.print(table)
    rejected = ", ".join(f"{reason} {count}" for reason, count in feed.rejected().items()) or "none"
    out.print(f"{feed.info.name}: {len(report.findings)} findings; rows refused: {rejected}", highlight=False)


@app.command()
def bars(
    target: OutOption,
    file: FileArgument = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    size: BarsOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Turn trades or quotes into time, tick, volume or dollar bars.

    Example: trader data bars ticks.parquet --kind trades --bars dollar:1e6 --out bars.parquet
    """
    from trader.engine.history import read_bars

    settings, feed = open_data(file, kind, mapping, zone, size, config, assignments)
    made = read_bars(feed, settings)
    symbols = feed.info.universe.symbols
    columns: dict[str, Any] = {"symbol": [symbols[i] for i in made.symbol_id]}
    columns |= {name: column for name, column in made.columns().items() if name != "symbol_id"}
    write_columns(columns, target)
    err.print(f"{len(made)} bars of {len(symbols)} symbols in {target}", highlight=False, markup=False)


@app.command()
def features(
    target: OutOption,
    file: FileArgument = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    size: BarsOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Compute every feature that the data allow, as the decision loop sees them.

    Example: trader data features bars.parquet --out features.parquet
    """
    import numpy as np

    from trader.engine.history import read_history

    settings, feed = open_data(file, kind, mapping, zone, size, config, assignments)
    history = read_history(feed, settings, np.iinfo(np.int64).max)
    symbols = feed.info.universe.symbols
    n_slices, n_symbols, n_features = history.features.shape
    columns: dict[str, Any] = {
        "ts_ns": np.repeat(history.panel.ts_ns, n_symbols),
        "symbol": list(symbols) * n_slices,
    }
    flat = history.features.reshape(-1, n_features)
    columns |= {name: flat[:, i] for i, name in enumerate(history.schema.names)}
    write_columns(columns, target)
    err.print(f"{n_features} features of {n_slices} instants in {target}", highlight=False, markup=False)
    for name, why in history.schema.left_out.items():
        err.print(f"left out: {name} ({why})", highlight=False, markup=False)


def open_data(
    file: Path | None,
    kind: str | None,
    mapping: list[str] | None,
    zone: str | None,
    size: str | None,
    config: Path | None,
    assignments: list[str] | None,
) -> tuple[Settings, Feed]:
    """Return the settings and the feed that the options of a command mean."""
    from trader.cli.run import feed_overrides
    from trader.data.feeds import open_feed

    settings = read_settings(
        None, config, assignments, feed_overrides(data=file, kind=kind, mapping=mapping, zone=zone, bars=size)
    )
    return settings, open_feed(settings.feed, seed=settings.run.seed)


def write_columns(columns: dict[str, Any], target: Path) -> None:
    """Write columns as Parquet; the file is complete or absent."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    partial = target.with_name(f"{target.name}.partial")
    try:
        pq.write_table(pa.table(columns), partial)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(f"--out {target} cannot be written: {error.strerror or error}") from error


def _day(ts_ns: int) -> str:
    import numpy as np

    return str(np.datetime64(ts_ns, "ns").astype("datetime64[D]"))
