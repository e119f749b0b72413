"""`trader risk stress`: what a portfolio loses in scenarios, and the most likely way to lose an amount."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, print_json, read_settings
from trader.cli.risk.common import PricesOption, ReturnsOption, demo_panel
from trader.cli.risk.portfolio import portfolio_weights
from trader.cli.risk.ray import RayOption, may_use_ray, ray_cluster
from trader.core.errors import UserError

if TYPE_CHECKING:
    from risk.stress import Scenario, StressResult, StressTester
    from trader.settings import Settings

__all__ = ["register"]

_LARGE = 100_000
"""Assets times scenarios from which on `--ray auto` starts a cluster: some tens of seconds of one core."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("stress", help=stress.__doc__)(stress)


def stress(
    portfolio: Annotated[
        str | None, typer.Option("--portfolio", metavar="RUN_ID|FILE", help="Of weights; default: equal weights.")
    ] = None,
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    factors: Annotated[
        Path | None,
        typer.Option("--factors", help="CSV or Parquet of factor returns, named as in the scenarios; default: equity."),
    ] = None,
    scenarios: Annotated[
        str, typer.Option("--scenarios", metavar="all|NAME,KIND,…", help="Names or kinds, with commas between.")
    ] = "all",
    file: Annotated[
        list[Path] | None, typer.Option("--file", help="YAML of own scenarios; may be given again.")
    ] = None,
    volumes: Annotated[
        Path | None, typer.Option("--volumes", help="CSV with columns asset and volume: value traded a day.")
    ] = None,
    value: Annotated[float | None, typer.Option("--value", help="Of the portfolio, for --volumes.")] = None,
    reverse: Annotated[
        float | None,
        typer.Option("--reverse", metavar="LOSS", help="Most likely factor moves that lose this, e.g. .1."),
    ] = None,
    horizon: Annotated[int, typer.Option("--horizon", min=1, help="Periods in which --reverse loses it.")] = 10,
    ladder: Annotated[
        str | None, typer.Option("--ladder", metavar="FACTOR=SIZES", help="P&L of moves: equity=-.2,-.1,.1")
    ] = None,
    grid: Annotated[
        str | None, typer.Option("--grid", metavar="A=SIZES;B=SIZES", help="P&L of pairs of moves of two factors.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Name the scenarios, and where they come from.")] = False,
    top: Annotated[int, typer.Option("--top", min=1, help="Rows to show; --json has all.")] = 30,
    ray: RayOption = "auto",
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a portfolio through scenarios, worst first: replays where its history covers them, else stated regressions.

    Example: trader risk stress --portfolio weights.csv --prices prices.csv --factors factors.csv --scenarios historical
    """
    from risk.stress import choose, read_scenarios
    from trader.cli.risk import stress_tables as tables

    settings = read_settings(None, config, assignments)
    own = [scenario for path in file or () for scenario in read_scenarios(path)]
    chosen = choose([name.strip() for name in scenarios.split(",") if name.strip()], own)
    if listing:
        if as_json:
            print_json([scenario.to_dict() for scenario in chosen])
        else:
            tables.show_list(chosen)
        return
    tester = _tester(portfolio, returns, prices, factors, volumes, value, settings)
    if reverse is not None or ladder is not None or grid is not None:
        found = _sensitivities(tester, reverse, horizon, ladder, grid)
        if as_json:
            print_json(found)
        else:
            tables.show_sensitivities(found)
        return
    results = _run(tester, chosen, settings, ray)
    if as_json:
        print_json({"results": [result.to_dict() for result in results]})
    else:
        tables.show_results(results, top)


def _tester(
    portfolio: str | None,
    returns: Path | None,
    prices: Path | None,
    factors: Path | None,
    volumes: Path | None,
    value: float | None,
    settings: Settings,
) -> StressTester:
    from risk.files import read_weights
    from risk.stress import ReturnHistory, StressTester, read_history

    if returns is not None and prices is not None:
        raise UserError("--returns and --prices are both given; one is allowed")
    weights = None if portfolio is None else portfolio_weights(portfolio, settings)
    given = returns or prices
    history = ReturnHistory.of_panel(demo_panel()) if given is None else read_history(given, prices=prices is not None)
    return StressTester(
        history,
        weights or dict.fromkeys(history.names, 1.0 / len(history.names)),
        None if factors is None else read_history(factors),
        None if volumes is None else read_weights(volumes, "volume"),
        value,
    )


def _run(tester: StressTester, chosen: Sequence[Scenario], settings: Settings, ray: str) -> list[StressResult]:
    from risk.stress import worst_first

    work = len(chosen) * len(tester.weights)
    with Progress(console=err, transient=True, disable=work < _LARGE // 20) as progress:
        task = progress.add_task("scenarios", total=len(chosen))

        def on_scenario(done: int) -> None:
            progress.update(task, completed=done)

        if not may_use_ray(ray, large=work >= _LARGE):
            return worst_first(tester.run_all(chosen, on_scenario))
        with ray_cluster(settings, ray):
            from trader.runtime.stress import stress_on_ray

            return worst_first(stress_on_ray(tester, chosen, on_scenario))


def _sensitivities(
    tester: StressTester, reverse: float | None, horizon: int, ladder: str | None, grid: str | None
) -> dict[str, object]:
    """Return what was asked of the linear portfolio, ready for JSON."""
    import numpy as np

    from risk.stress import LinearBook, reverse_linear
    from risk.stress import grid as grid_of
    from risk.stress import ladder as ladder_of

    book = LinearBook.of(tester.history, tester.weights, tester.factors)
    found: dict[str, object] = {
        "exposures": dict(zip(book.factors, book.exposures, strict=True)),
        "proxies": [proxy.to_dict() for proxy in book.proxies],
    }
    if reverse is not None:
        complete = tester.factors.complete(book.factors)
        if len(complete) < 2:
            raise UserError(f"--factors has {len(complete)} complete periods; a covariance needs 2 or more")
        covariance = horizon * np.atleast_2d(np.cov(complete, rowvar=False))
        found["reverse"] = reverse_linear(book, covariance, reverse).to_dict() | {"horizon": horizon}
    if ladder is not None:
        factor, sizes = _moves(ladder, "--ladder")
        found["ladder"] = {
            "factor": factor,
            "sizes": sizes,
            "pnl": ladder_of(book, book.factors, factor, sizes).tolist(),
        }
    if grid is not None:
        down, semicolon, across = grid.partition(";")
        if not semicolon:
            raise UserError(f"--grid {grid!r} is not of the form A=SIZES;B=SIZES")
        rows, columns = _moves(down, "--grid"), _moves(across, "--grid")
        pnl = grid_of(book, book.factors, rows, columns)
        found["grid"] = {"rows": list(rows), "columns": list(columns), "pnl": pnl.tolist()}
    return found


def _moves(text: str, option: str) -> tuple[str, list[float]]:
    factor, equals, sizes = text.partition("=")
    try:
        found = [float(size) for size in sizes.split(",")]
    except ValueError:
        equals = ""
        found = []
    if not equals:
        raise UserError(f"{option} {text!r} is not of the form FACTOR=SIZE,SIZE,…, e.g. equity=-.2,-.1,.1")
    return factor.strip(), found
