"""`trader models paths`: how much a model's result depends on which past it saw."""

from __future__ import annotations

from typing import Annotated

import typer

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, out, print_json, read_settings
from trader.cli.run import DataOption, SymbolsOption, feed_overrides

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("paths", help=paths.__doc__)(paths)


def paths(
    kind: Annotated[str, typer.Argument(help="transformer, boosting, linear, …")],
    preset: Annotated[str, typer.Option("--preset", help="Size of the model: ci, demo or full.")] = "demo",
    groups: Annotated[int, typer.Option("--groups", min=2, help="Parts that the history is cut into.")] = 6,
    tested: Annotated[int, typer.Option("--tested", min=1, help="Parts that are tested at once.")] = 2,
    data: DataOption = None,
    symbols: SymbolsOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cross-validate in purged combinations, and trade every path through the history, after costs.

    Example: trader models paths boosting --groups 6 --tested 2
    """
    settings = read_settings(
        None if data is not None or config is not None else "ci" if preset == "ci" else "demo",
        config,
        assignments,
        feed_overrides(data=data, symbols=symbols),
    )
    from rich.table import Table

    from trader.engine.paths import run_paths
    from trader.engine.training_set import load_past
    from trader.models.kinds import preset as preset_of
    from trader.reporting.live import LiveView

    params = preset_of(kind, preset)
    with LiveView(err) as view:
        past = load_past(settings, view.progress)
        found = run_paths(past, kind, params, n_groups=groups, n_test=tested, on_progress=view.progress)
    if as_json:
        print_json(found.to_dict())
        return
    table = Table("path", "rank IC", "Sharpe after costs")
    for number, path in enumerate(found.paths, 1):
        table.add_row(str(number), f"{path.ic:.4f}", f"{path.sharpe:.2f}")
    ic, sharpe = found.spread("ic"), found.spread("sharpe")
    table.add_row("median", f"{ic[1]:.4f}", f"{sharpe[1]:.2f}")
    table.add_row("range", f"{ic[0]:.4f} to {ic[2]:.4f}", f"{sharpe[0]:.2f} to {sharpe[2]:.2f}")
    out.print(table)
    err.print(
        f"{found.n_splits} fits. Paths have seen the future of part of what they score: this is how stable the "
        "method is, not what it would have earned.",
        highlight=False,
    )
