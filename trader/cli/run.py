"""`trader run` and `trader backtest`."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trader.cli.common import (
    ConfigOption,
    JsonOption,
    PresetOption,
    SetOption,
    err,
    print_json,
    read_settings,
    stdout_for_results,
)
from trader.core.errors import Interrupted, UserError
from trader.settings import Settings

if TYPE_CHECKING:
    from trader.bootstrap import Endpoints
    from trader.engine.prepare import Prepared
    from trader.reporting.summary import Summary

__all__ = ["column_mapping", "comma_list", "feed_overrides", "register"]

DataOption = Annotated[
    Path | None, typer.Option("--data", help="Trade a CSV or Parquet file of your own (gz allowed), or recorded ticks.")
]
KindOption = Annotated[str | None, typer.Option("--kind", help="What the file holds: trades, quotes, bars or auto.")]
MapOption = Annotated[
    list[str] | None, typer.Option("--map", metavar="OURS=THEIRS", help="Column mapping, e.g. --map price=last.")
]
ZoneOption = Annotated[str | None, typer.Option("--tz", help="Time zone of stamps that carry none.")]
FeedOption = Annotated[
    str | None,
    typer.Option("--feed", help="sp500, file, simulated, planted; or live: binance, alpaca, massive, alpaca,massive."),
]
VenueOption = Annotated[str | None, typer.Option("--venue", help="Alpaca's: iex (the default), sip or test.")]
SymbolsOption = Annotated[str | None, typer.Option("--symbols", help="Comma-separated; the default is all.")]
StartOption = Annotated[str | None, typer.Option("--start", help="First day of trading, e.g. 2016-01-01.")]
EndOption = Annotated[str | None, typer.Option("--end", help="Last day.")]
TrainEndOption = Annotated[str | None, typer.Option("--train-end", help="Last day that training may see.")]
BarsOption = Annotated[
    str | None, typer.Option("--bars", metavar="KIND:SIZE", help="How ticks become bars, e.g. time:60 or dollar:1e6.")
]
ModelsOption = Annotated[Path | None, typer.Option("--models", help="Serve the models of this folder; train none.")]
MembersOption = Annotated[
    str | None,
    typer.Option("--members", metavar="A,B", help="Models of the ensemble: kinds to train, or registered versions."),
]
ExperimentOption = Annotated[
    str | None, typer.Option("--experiment", metavar="NAME", help="Run this registered experiment inside.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Every random number follows from it.")]
RunsDirOption = Annotated[Path | None, typer.Option("--runs-dir", help="Where runs are kept.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run", help=run.__doc__)(run)
    app.command("backtest", help=backtest.__doc__)(backtest)


def run(
    preset: PresetOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    feed: FeedOption = None,
    venue: VenueOption = None,
    symbols: SymbolsOption = None,
    start: StartOption = None,
    end: EndOption = None,
    train_end: TrainEndOption = None,
    bars: BarsOption = None,
    members: MembersOption = None,
    models: ModelsOption = None,
    experiment: ExperimentOption = None,
    seed: SeedOption = None,
    runs_dir: RunsDirOption = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN_ID", help="Go on with a stopped run.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="HTTP port; 0 takes a free one.")] = None,
    speed: Annotated[float | None, typer.Option("--speed", help="Instants a second; 0 is full speed.")] = None,
    keep_up: Annotated[bool, typer.Option("--keep-up", help="Leave HTTP and dashboard up until Ctrl-C.")] = False,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trade on paper on a Ray cluster: feed, shards, Serve ensemble, risk gate, broker, ledger, report.

    Example: trader run --preset demo
    """
    settings = read_settings(
        preset,
        config,
        assignments,
        feed_overrides(
            data=data,
            kind=kind,
            mapping=mapping,
            zone=zone,
            feed=feed,
            venue=venue,
            symbols=symbols,
            start=start,
            end=end,
            bars=bars,
        )
        | {
            "run": {"seed": seed, "runs_dir": runs_dir, "speed": speed},
            "models": {"train_end": train_end, "load_from": models, "members": comma_list(members)},
            "experiment": {"name": experiment},
            "serve": {"port": port, "keep_up": keep_up or None},
        },
    )
    from trader.bootstrap import trade

    _go(settings, as_json, lambda hooks: trade(settings, resume=resume, hooks=hooks))


def backtest(
    preset: PresetOption = None,
    config: ConfigOption = None,
    data: DataOption = None,
    kind: KindOption = None,
    mapping: MapOption = None,
    zone: ZoneOption = None,
    feed: FeedOption = None,
    symbols: SymbolsOption = None,
    start: StartOption = None,
    end: EndOption = None,
    train_end: TrainEndOption = None,
    bars: BarsOption = None,
    members: MembersOption = None,
    models: ModelsOption = None,
    experiment: ExperimentOption = None,
    seed: SeedOption = None,
    runs_dir: RunsDirOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the same decision code in one process, without Ray; same data and seed give the same fills as `run`.

    Example: trader backtest --preset demo --set execution.commission_bps=1
    """
    settings = read_settings(
        preset,
        config,
        assignments,
        feed_overrides(
            data=data,
            kind=kind,
            mapping=mapping,
            zone=zone,
            feed=feed,
            symbols=symbols,
            start=start,
            end=end,
            bars=bars,
        )
        | {
            "run": {"seed": seed, "runs_dir": runs_dir},
            "models": {"train_end": train_end, "load_from": models, "members": comma_list(members)},
            "experiment": {"name": experiment},
        },
    )
    from trader.bootstrap import backtest as run_backtest

    _go(settings, as_json, lambda hooks: run_backtest(settings, hooks))


def feed_overrides(
    *,
    data: Path | None = None,
    kind: str | None = None,
    mapping: list[str] | None = None,
    zone: str | None = None,
    feed: str | None = None,
    venue: str | None = None,
    symbols: str | None = None,
    start: str | None = None,
    end: str | None = None,
    bars: str | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the settings that the options about data stand for; what was not given is None and ignored."""
    if data is not None and feed not in (None, "file"):
        raise UserError(f"--data {data} needs --feed file, not {feed!r}")
    columns = column_mapping(mapping)
    bar_kind, _, bar_size = bars.partition(":") if bars else (None, "", "")
    return {
        "feed": {
            "kind": "file" if data is not None else feed,
            "path": data,
            "data_kind": kind,
            "columns": columns or None,
            "timezone": zone,
            "symbols": comma_list(symbols),
            "start": start,
            "end": end,
        }
        | ({"live": {"venue": venue}} if venue else {}),
        "bars": {"kind": bar_kind, "size": bar_size or None},
    }


def column_mapping(pairs: list[str] | None) -> dict[str, str]:
    """Return what `--map` says, our column names to the file's."""
    columns = {}
    for pair in pairs or ():
        ours, equals, theirs = pair.partition("=")
        if not equals:
            raise UserError(f"--map {pair!r} is not of the form ours=theirs")
        columns[ours] = theirs
    return columns


def comma_list(text: str | None) -> tuple[str, ...] | None:
    """Return the parts of a comma-separated option; None where it was not given."""
    return tuple(part.strip() for part in text.split(",")) if text else None


def _go(settings: Settings, as_json: bool, work: Any) -> None:
    """Run the work under a live view, print its summary, and exit with what it came to."""
    from trader.bootstrap import Hooks
    from trader.reporting.live import LiveView
    from trader.reporting.table import summary_table

    stopping = threading.Event()
    previous = signal.signal(signal.SIGINT, lambda *_: stopping.set())
    previous_term = signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    view = LiveView(err)
    hooks = Hooks(
        on_progress=view.progress,
        on_prepared=_show_prepared,
        on_endpoints=_show_endpoints,
        on_status=view.update,
        should_stop=stopping.is_set,
        wait_after=(lambda: _wait(stopping)) if settings.serve.keep_up else None,
    )
    try:
        with stdout_for_results(), view:
            summary: Summary = work(hooks)
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.signal(signal.SIGTERM, previous_term)
    if as_json:
        print_json(summary.to_dict())
    else:
        err.print(summary_table(summary))
        for sentence in summary.verdict:
            err.print(f"• {sentence}", markup=False, highlight=False)
        err.print(f"Report: {summary.run_dir / 'report.html'}", markup=False, highlight=False, soft_wrap=True)
    if summary.status != "complete" and stopping.is_set():
        raise Interrupted(f"stopped by request; go on with: trader run --resume {summary.run_id}")


def _show_prepared(prepared: Prepared) -> None:
    info = prepared.plan.info
    err.print(f"Data: {info.name}, {len(info.universe)} symbols, {info.kind}", markup=False, highlight=False)
    if prepared.quality is not None:
        counts = prepared.quality.counts()
        found = ", ".join(f"{check} {count}" for check, count in sorted(counts.items()) if count)
        err.print(f"Data quality: {found or 'nothing found'}", markup=False, highlight=False)
    left_out = prepared.schema.left_out
    if left_out:
        err.print(f"Features: {len(prepared.schema.names)} computed, left out: {', '.join(left_out)}", highlight=False)


def _show_endpoints(endpoints: Endpoints) -> None:
    err.print(f"Run {endpoints.run_id} in {endpoints.run_dir}", markup=False, highlight=False)
    err.print(f"HTTP docs: {endpoints.http_url}/docs", markup=False, highlight=False)
    err.print(f"Ray dashboard: {endpoints.dashboard_url or 'off'}", markup=False, highlight=False)


def _wait(stopping: threading.Event) -> None:
    err.print("The run is over; HTTP and dashboard stay up until Ctrl-C.")
    while not stopping.is_set():
        time.sleep(0.2)
