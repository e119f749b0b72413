"""`trader guards`: a test of the platform's own honesty."""

from __future__ import annotations

import dataclasses

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, PresetOption, SetOption, err, out, print_json, read_settings

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("guards", help=guards.__doc__)(guards)


def guards(
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Backtest three times: honestly, with tomorrow's return leaked, and with shuffled labels.

    The leak must show an absurd Sharpe ratio and the shuffle none, or the honest figure means nothing; exit 1
    if they do not.

    Example: trader guards --preset demo
    """
    settings = read_settings(preset, config, assignments)
    from trader.engine.guards import run_guards

    with err.status("training and trading three times") as status:
        report = run_guards(settings, lambda stage, share: status.update(f"{stage} {share:.0%}"))
    if as_json:
        print_json(dataclasses.asdict(report) | {"passed": report.passed})
    else:
        table = Table("variant", "Sharpe ratio", "95 % interval")
        for result in (report.honest, report.leaked, report.shuffled):
            table.add_row(result.variant, f"{result.sharpe:.2f}", f"{result.low:.2f} to {result.high:.2f}")
        out.print(table)
        out.print("passed" if report.passed else "failed: the honest figure cannot be trusted")
    if not report.passed:
        raise typer.Exit(1)
