"""What `trader risk stress` shows to people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from trader.cli.common import err, out

if TYPE_CHECKING:
    from risk.stress import Scenario, StressResult

__all__ = ["show_list", "show_results", "show_sensitivities"]


def show_list(scenarios: Sequence[Scenario]) -> None:
    """Show scenarios, their main shocks, and what their sources stand for."""
    from risk.stress import sources

    table = Table()
    table.add_column("name", no_wrap=True)
    for name in ("title", "kind", "days", "equity", "source"):
        table.add_column(name)
    for scenario in scenarios:
        days = f"{scenario.first} {scenario.last}" if scenario.first is not None else ""
        equity = f"{scenario.shocks['equity']:+.1%}" if "equity" in scenario.shocks else ""
        table.add_row(scenario.name, scenario.title, scenario.kind, days, equity, ", ".join(scenario.source))
    out.print(table)
    known = sources()
    for name in sorted({name for scenario in scenarios for name in scenario.source}):
        if name in known:
            out.print(f"{name}: {known[name]}", highlight=False, markup=False, style="dim")


def show_results(results: Sequence[StressResult], top: int) -> None:
    """Show the worst scenarios, what moved the assets in them, and what was left out."""
    table = Table()
    table.add_column("scenario", no_wrap=True)
    for name in ("P&L", "drawdown"):
        table.add_column(name, justify="right")
    table.add_column("worst assets")
    table.add_column("by")
    there = [result for result in results if result.applies]
    for result in there[:top]:
        worst = ", ".join(
            f"{impact.asset} {impact.contribution:+.1%}" for impact in result.impacts[:3] if impact.how != "unshocked"
        )
        hows: dict[str, int] = {}
        for impact in result.impacts:
            hows[impact.how] = hows.get(impact.how, 0) + 1
        table.add_row(
            result.scenario.name,
            f"{result.pnl:+.2%}{'*' if result.unused or result.unshocked else ''}",
            "" if math.isnan(result.drawdown) else f"{result.drawdown:.2%}",
            worst,
            ", ".join(f"{n} {how}" if len(hows) > 1 else how for how, n in hows.items()),
        )
    out.print(table)
    if len(there) > top:
        out.print(f"{len(there) - top} more with smaller losses or gains; --top shows them", style="dim")
    _say_what_is_missing(results)


def _say_what_is_missing(results: Sequence[StressResult]) -> None:
    idle = [result for result in results if not result.applies]
    if idle:
        factors = sorted({name for result in idle for name in result.unused})
        err.print(
            f"warning: {len(idle)} scenarios move only what has no data here ({', '.join(factors)}), and are not "
            "counted; give their returns by --factors",
            style="yellow",
            markup=False,
            highlight=False,
        )
    partly = sorted({name for result in results if result.applies for name in result.unused})
    if partly:
        err.print(
            f"warning: * is a part: for lack of data, these shocks moved nothing: {', '.join(partly)}",
            style="yellow",
            markup=False,
            highlight=False,
        )
    proxies = [proxy for result in results for proxy in result.proxies]
    if proxies:
        worst, n_assets = min(proxies, key=lambda proxy: proxy.r2), len({proxy.asset for proxy in proxies})
        err.print(
            f"Regressions stood for {n_assets} assets; the weakest explains {worst.r2:.0%} "
            f"of {worst.asset} by {', '.join(worst.factors)} ({worst.n:,} periods); --json has all",
            markup=False,
            highlight=False,
        )
    for warning in sorted({text for result in results if result.applies for text in result.warnings}):
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)


def show_sensitivities(found: dict[str, Any]) -> None:
    """Show exposures, and the reverse stress test, ladder and grid that were asked for."""
    exposures = ", ".join(f"{name} {size:.3g}" for name, size in found["exposures"].items())
    out.print(f"P&L per unit of factor: {exposures}", highlight=False, markup=False)
    if "reverse" in found:
        reverse = found["reverse"]
        table = Table("factor", "move", title=f"Most likely way to lose {reverse['loss']:.1%}")
        for name, size in reverse["shocks"].items():
            table.add_row(name, f"{size:+.2%}")
        out.print(table)
        out.print(
            f"{reverse['distance']:.2f} standard deviations of {reverse['horizon']} periods; "
            f"normal factors lose as much with a chance of {reverse['probability']:.2g}",
            highlight=False,
        )
        for warning in reverse["warnings"]:
            err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
    if "ladder" in found:
        ladder = found["ladder"]
        table = Table(ladder["factor"], "P&L")
        for size, pnl in zip(ladder["sizes"], ladder["pnl"], strict=True):
            table.add_row(f"{size:+.2%}", f"{pnl:+.2%}")
        out.print(table)
    if "grid" in found:
        grid = found["grid"]
        (down, sizes), (across, columns) = grid["rows"], grid["columns"]
        table = Table(f"{down} \\ {across}", *(f"{size:+.2%}" for size in columns), title="P&L")
        for size, row in zip(sizes, grid["pnl"], strict=True):
            table.add_row(f"{size:+.2%}", *(f"{pnl:+.2%}" for pnl in row))
        out.print(table)
