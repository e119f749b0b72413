"""`trader runs`, `trader report`, `trader trace`, `trader watch`: what was done, and what is being done."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json, read_settings
from trader.core.errors import UserError

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("runs", help=runs.__doc__)(runs)
    app.command("report", help=report.__doc__)(report)
    app.command("trace", help=trace.__doc__)(trace)
    app.command("watch", help=watch.__doc__)(watch)


def runs(
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the runs in the store.

    Example: trader runs
    """
    settings = read_settings(preset, config, assignments)
    from trader.storage import Store

    with Store.open(settings.store_url) as store:
        records = store.runs()
    if as_json:
        print_json([{"run_id": r.run_id, "mode": r.mode, "status": r.status, "seed": r.seed} for r in records])
        return
    table = Table("run", "mode", "status", "begun", "symbols")
    for record in records:
        begun = dt.datetime.fromtimestamp(record.created_ns / 1e9, dt.UTC)
        table.add_row(record.run_id, record.mode, record.status, f"{begun:%Y-%m-%d %H:%M}", str(len(record.symbols)))
    out.print(table)


def report(
    run_id: Annotated[str, typer.Argument(help="Run id.")],
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's files again from the store, and print its summary.

    Example: trader report 20240506-070809-1a2b
    """
    settings = read_settings(preset, config, assignments)
    from trader.bootstrap import report as write_report
    from trader.reporting.table import summary_table

    summary = write_report(settings, run_id)
    if as_json:
        print_json(summary.to_dict())
    else:
        err.print(summary_table(summary))


def trace(
    run_id: Annotated[str, typer.Argument(help="Run id.")],
    order_id: Annotated[str, typer.Argument(help="Order id, as in orders.parquet: O-00000003-0001.")],
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Trace an order back to its features, model versions and risk verdict, and on to its fills.

    Example: trader trace 20240506-070809-1a2b O-00000003-0001
    """
    settings = read_settings(preset, config, assignments)
    from trader.storage import Store

    with Store.open(settings.store_url) as store:
        found = store.trace_order(run_id, order_id).to_dict()
    if as_json:
        print_json(found)
        return
    table = Table(show_header=False)
    for key, value in found.items():
        table.add_row(key, _cell(value))
    out.print(table)


def watch(
    run_id: Annotated[str, typer.Argument(help="Run id.")],
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
) -> None:
    """Follow a running session through Redis (telemetry.redis_url), one JSON document a line, until it ends.

    Example: TRADER_TELEMETRY__REDIS_URL=redis://127.0.0.1 trader watch 20240506-070809-1a2b
    """
    settings = read_settings(preset, config, assignments)
    if settings.telemetry.redis_url is None:
        raise UserError("telemetry.redis_url is not set; a session publishes to Redis only where it is")
    import orjson

    from trader.telemetry.stream import follow

    for message in follow(settings.telemetry.redis_url, run_id):
        typer.echo(orjson.dumps(message).decode())


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(
            f"{key} = {item:.6g}" if isinstance(item, float) else f"{key} = {item}" for key, item in value.items()
        )
    if isinstance(value, list):
        return "\n".join(str(item) for item in value)
    return str(value)
