"""`trader risk validate`: which method's figures can be believed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress
from rich.table import Table

from trader.cli.common import JsonOption, err, out, print_json
from trader.cli.risk.common import LevelOption, PricesOption, ReturnsOption, WeightsOption, open_portfolio
from trader.cli.risk.var import split_names

if TYPE_CHECKING:
    from risk.validation.report import Validation

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate", help=validate.__doc__)(validate)


def validate(
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    weights: WeightsOption = None,
    level: LevelOption = 0.99,
    methods: Annotated[
        list[str] | None,
        typer.Option("--methods", help="Names as in trader risk var, with commas or given again; default: all."),
    ] = None,
    window: Annotated[int, typer.Option("--window", help="Periods each forecast is made from.")] = 1000,
    refit: Annotated[int, typer.Option("--refit", help="Periods between fits by maximum likelihood.")] = 20,
    significance: Annotated[float, typer.Option("--significance", help="p-values up to it reject.")] = 0.05,
    seed: Annotated[int, typer.Option("--seed", help="Of draws and simulated p-values.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Forecast every past day from the days before it, and test what was said against what came.

    Example: trader risk validate --returns returns.csv --weights w.csv --methods historical,fhs_evt --window 1000
    """
    from risk.validation.report import judge
    from risk.validation.rolling import rolling_forecasts

    panel, chosen = open_portfolio(returns, prices, weights)
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("forecasting", total=None)

        def on_progress(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        forecasts = rolling_forecasts(
            panel.portfolio(chosen),
            split_names(methods),
            level,
            window=window,
            refit=refit,
            seed=seed,
            on_progress=on_progress,
        )
    found = [judge(forecast, significance=significance, seed=seed) for forecast in forecasts]
    if as_json:
        print_json([verdict.to_dict() for verdict in found])
        return
    _show(found)
    for verdict in found:
        for warning in verdict.warnings:
            err.print(f"warning: {verdict.method}: {warning}", style="yellow", markup=False, highlight=False)
    if panel.dropped:
        err.print(f"{panel.dropped} incomplete periods were left out", highlight=False)


def _show(found: list[Validation]) -> None:
    first = found[0]
    table = Table(
        "method",
        title=f"{first.n_periods:,} forecasts at {first.level:.4g}, {first.expected:.1f} hits expected",
    )
    for name in ("hits", "Kupiec p", "ind. p", "cond. p", "Z2", "ES p", "loss", "FZ0", "light", "red"):
        table.add_column(name, justify="left" if name == "light" else "right")
    table.add_column("verdict", min_width=14)
    for row in found:
        table.add_row(
            row.method,
            str(row.exceedances),
            *(_chance(p_value) for p_value in (row.kupiec_p, row.independence_p, row.conditional_p)),
            "–" if math.isnan(row.z2) else f"{row.z2:.2f}",
            _chance(row.shortfall_p),
            f"{row.quantile_loss:.4f}",
            "–" if math.isnan(row.joint_loss) else f"{row.joint_loss:.3f}",
            row.zone,
            "–" if math.isnan(row.red_share) else f"{row.red_share:.1%}",
            row.verdict,
            style="bold" if row.passed else None,
        )
    out.print(table)
    best = min(found, key=lambda row: row.quantile_loss)
    passed = [row.method for row in found if row.passed]
    out.print(
        f"Passed: {', '.join(passed) or 'none'}; smallest quantile loss: {best.method}.\n"
        "Hits: losses beyond VaR; Z2 below 0: losses beyond what "
        "ES says; light: Basel, the last 250 periods; red: share of all stretches of 250.",
        highlight=False,
    )


def _chance(p_value: float) -> str:
    if math.isnan(p_value):
        return "–"
    return f"{p_value:.3f}" if p_value >= 0.001 else f"{p_value:.0e}"
