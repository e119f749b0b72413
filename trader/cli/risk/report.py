"""`trader risk report` and `trader risk show`: the risk of a run, as a page and in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from trader.cli.common import (
    ConfigOption,
    JsonOption,
    PresetOption,
    SetOption,
    err,
    out,
    print_json,
    read_settings,
)
from trader.cli.risk.common import PricesOption, ReturnsOption
from trader.core.errors import OperationError, UserError

if TYPE_CHECKING:
    from risk.stress import StressResult
    from trader.engine.holdings import RunRisk
    from trader.reporting.run_data import RunData

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("report", help=report.__doc__)(report)
    app.command("show", help=show.__doc__)(show)


def report(
    run_id: Annotated[str, typer.Argument(help="Run id.")],
    target: Annotated[Path | None, typer.Option("--out", help="HTML file; default: risk.html of the run.")] = None,
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    factors: Annotated[Path | None, typer.Option("--factors", help="Factor returns, as trader risk stress.")] = None,
    scenarios: Annotated[str, typer.Option("--scenarios", help="Names or kinds, with commas between.")] = "all",
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page of a run's risk: what it could lose, whether its figures were right, and stress tests.

    Scenarios replay the past that --returns or --prices hold; without them, that of the run's own decisions.

    Example: trader risk report 20240506-070809-1a2b --out report.html
    """
    settings = read_settings(preset, config, assignments)
    from risk.stress import read_history, worst_first
    from trader.reporting.risk_page import risk_page
    from trader.reporting.run_data import read_run
    from trader.storage import Store

    if returns is not None and prices is not None:
        raise UserError("--returns and --prices are both given; one is allowed")
    with Store.open(settings.store_url) as store:
        data = read_run(store, run_id)
    given = returns or prices
    past = None if given is None else read_history(given, prices=prices is not None)
    results = worst_first(_stress(data, past, None if factors is None else read_history(factors), scenarios))
    page, part = risk_page(data, results)
    file = target or settings.run.runs_dir / run_id / "risk.html"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OperationError(f"--out {file} cannot be written: {error.strerror or error}") from error
    if as_json:
        history = part.history
        print_json(
            {
                "run_id": run_id,
                "out": file,
                "snapshot": part.snapshot.to_dict(),
                "history": {"level": history.level, "n": len(history.bar), "beyond": int(history.exceeded.sum())},
                "scenarios": [{"name": r.scenario.name, "pnl": r.pnl, "drawdown": r.drawdown} for r in results],
            }
        )
        return
    err.print(f"Risk of run {run_id} in {file}", highlight=False, markup=False)


def _stress(data: RunData, past: Any, factors: Any, scenarios: str) -> list[StressResult]:
    import numpy as np

    from risk.stress import ReturnHistory, StressTester, choose
    from trader.reporting.risk import last_holdings

    table, symbols = data.decisions, data.record.symbols
    if len(table) < 2 or not table.equity[-1] > 0.0 or not table.positions[-1].any():
        return []
    if past is None:
        days, rows = np.unique(table.ts_ns.astype("datetime64[ns]").astype("datetime64[D]"), return_index=True)
        closes = table.prices[np.append(rows[1:], len(table)) - 1]
        past = ReturnHistory.of(symbols, closes[1:] / closes[:-1] - 1.0, days[1:])
    held = last_holdings(data, 1).weights
    weights = {name: weight for name, weight in zip(symbols, held.tolist(), strict=True) if weight}
    tester = StressTester(past, weights, factors)
    chosen = choose([name.strip() for name in scenarios.split(",") if name.strip()])
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("scenarios", total=len(chosen))
        return tester.run_all(chosen, lambda done: progress.update(task, completed=done))


def show(
    run_id: Annotated[str | None, typer.Argument(help="Run id; default: the youngest run.")] = None,
    level: Annotated[float | None, typer.Option("--level", help="Confidence; default: that of the run.")] = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the risk of a run after its last decision, also while it trades: what GET /v1/risk answers.

    Example: trader risk show
    """
    settings = read_settings(preset, config, assignments)
    from trader.engine.holdings import risk_of_run
    from trader.storage import Store

    with Store.open(settings.store_url) as store:
        found = risk_of_run(store, run_id, level=level)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)


def _print(found: RunRisk) -> None:
    from trader.reporting import formats as fmt

    snapshot = found.snapshot
    held = snapshot.exposure
    when = "no decision yet" if snapshot.ts_ns < 0 else fmt.instant(snapshot.ts_ns)
    out.print(
        f"Run {found.run_id} ({found.status}), {when}: equity {fmt.money(snapshot.equity)}, "
        f"drawdown {fmt.percent(snapshot.drawdown)}, gross {fmt.percent(held.gross)}, "
        f"net {fmt.percent(held.net, signed=True)}, {fmt.plural(held.n_assets, 'name')}",
        highlight=False,
    )
    if snapshot.estimates:
        table = Table("method", title=f"Next bar, {snapshot.estimates[0].level:.4g}")
        for name in ("VaR", "ES"):
            table.add_column(name, justify="right")
        for estimate in snapshot.estimates:
            table.add_row(estimate.method, f"{estimate.var:.2%}", f"{estimate.es:.2%}")
        out.print(table)
    if snapshot.concentration is not None:
        spread = snapshot.concentration
        out.print(
            f"effective names {spread.effective_names:.1f}, effective bets {spread.effective_bets:.1f}, "
            f"diversification ratio {spread.diversification_ratio:.2f}, market beta {snapshot.market_beta:.2f}",
            highlight=False,
        )
    if found.greeks is not None:
        out.print("options: " + ", ".join(f"{k} {v:,.0f}" for k, v in found.greeks.items()), highlight=False)
    for warning in snapshot.warnings:
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
