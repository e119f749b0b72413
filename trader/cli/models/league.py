"""`trader models league`: all kinds of model on the same data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, out, print_json, read_settings
from trader.cli.run import DataOption, SymbolsOption, comma_list, feed_overrides

if TYPE_CHECKING:
    from trader.engine.league import League

__all__ = ["register"]

_HEADER = ("model", "rank IC", "AUC", "Sharpe", "deflated", "a year", "drawdown", "turnover", "fitted in")
_WIDTH = 150


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("league", help=league.__doc__)(league)


def league(
    kinds: Annotated[
        str | None,
        typer.Option("--kinds", metavar="A,B", help="Models to compare; all that can run here, if left out."),
    ] = None,
    preset: Annotated[str, typer.Option("--preset", help="Size of the models: ci, demo or full.")] = "demo",
    validate_from: Annotated[str | None, typer.Option("--from", help="First day that is tested.")] = None,
    train_end: Annotated[str | None, typer.Option("--to", help="Last day that is tested.")] = None,
    folds: Annotated[int | None, typer.Option("--folds", help="Refits, at even distances.")] = None,
    data: DataOption = None,
    symbols: SymbolsOption = None,
    target: Annotated[Path | None, typer.Option("--out", help="Write the table as Markdown, too.")] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models walk-forward, after costs, beside buy-and-hold; nothing is registered.

    Example: trader models league --kinds momentum,linear,boosting --from 2005-01-01 --to 2022-12-31 --folds 6
    """
    settings = read_settings(
        None if data is not None or config is not None else "ci" if preset == "ci" else "demo",
        config,
        assignments,
        feed_overrides(data=data, symbols=symbols)
        | {"models": {"validate_from": validate_from, "train_end": train_end, "n_splits": folds}},
    )
    from trader.engine.league import run_league
    from trader.engine.training_set import load_past
    from trader.models.kinds import available
    from trader.reporting.live import LiveView

    with LiveView(err) as view:
        past = load_past(settings, view.progress)
        found = run_league(past, comma_list(kinds) or available(), preset, view.progress)
    rows = _rows(found)
    if target is not None:
        lines = [_HEADER, ("---",) * len(_HEADER), *rows]
        target.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines), encoding="utf-8")
    if as_json:
        print_json(found.to_dict())
        return
    from rich.table import Table

    table = Table(*_HEADER)
    for row in rows:
        table.add_row(*row)
    out.print(table, width=max(out.width, _WIDTH))
    if found.overfitting == found.overfitting:
        err.print(f"Chance that the best of them by rank IC is not: {found.overfitting:.0%} (PBO)", highlight=False)


def _rows(found: League) -> list[tuple[str, ...]]:
    from trader.reporting import formats as fmt

    def triple(values: tuple[float, float, float], digits: int) -> str:
        return f"{fmt.number(values[0], digits)} ({fmt.interval(values[1:], digits)})"

    rows = [
        (
            row.name,
            triple(row.ic, 3),
            triple(row.auc, 3),
            triple(row.sharpe, 2),
            fmt.number(row.deflated_sharpe),
            fmt.percent(row.annual_return),
            fmt.percent(row.drawdown),
            fmt.number(row.turnover, 0, " ×"),
            fmt.duration(row.seconds),
        )
        for row in found.rows
    ]
    held = ("buy and hold", fmt.DASH, fmt.DASH, fmt.number(found.hold_sharpe), fmt.DASH, fmt.percent(found.hold_return))
    return [*rows, (*held, fmt.DASH, fmt.DASH, fmt.DASH)]
