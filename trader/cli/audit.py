"""`trader audit list`: who asked over HTTP for which change, and what came of it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json, read_settings
from trader.cli.models.common import StoreOption, when

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Who asked over HTTP for which change.")


@app.callback()
def _root() -> None:
    """Keep `list` a command of its own; Typer would take the only one for the whole."""


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", help="Most entries shown, 1 to 1000.")] = 100,
    before: Annotated[int | None, typer.Option("--before", help="Only entries with lower numbers.")] = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest entries of the audit log, newest first; --json has request ids and the digests of bodies too.

    Example: trader audit list --limit 20 --json
    """
    settings = read_settings(preset, config, assignments, {"store": {"url": store}})
    from trader.storage import Store
    from trader.storage.audit import AuditLog

    with Store.open(settings.store_url, synchronous=settings.store.synchronous) as opened:
        entries = AuditLog(opened).page(limit, before)
    if as_json:
        print_json([entry.to_dict() for entry in entries])
        return
    table = Table("no.", "answered (UTC)", "who", "request", "outcome")
    table.columns[3].overflow = "fold"
    for entry in entries:
        who = entry.who if entry.role is None else f"{entry.who} ({entry.role})"
        answered, asked = when(entry.ts_ns), f"{entry.method} {entry.path}"
        table.add_row(str(entry.entry_no), answered, who or "-", asked, f"{entry.outcome} ({entry.status})")
    out.print(table)
    if len(entries) == limit:
        err.print(f"older entries: --before {entries[-1].entry_no}", markup=False, highlight=False)
