"""`trader risk correlation`: how assets move together, whether that changed, and which regime it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from trader.cli.common import JsonOption, err, out, print_json
from trader.cli.risk.common import PricesOption, ReturnsOption, open_portfolio

if TYPE_CHECKING:
    from risk.panel import ReturnPanel

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("correlation", help=correlation.__doc__)(correlation)


def correlation(
    returns: ReturnsOption = None,
    prices: PricesOption = None,
    window: Annotated[int, typer.Option("--window", min=20, help="Newest periods.")] = 60,
    reference: Annotated[int, typer.Option("--reference", min=100, help="Periods before them.")] = 500,
    decay: Annotated[
        float | None, typer.Option("--decay", help="Weigh periods by this to their age instead of --window.")
    ] = None,
    shrink: Annotated[
        str | None, typer.Option("--shrink", help="ledoit_wolf or denoised: less noise in the figures of now.")
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Pairs in each part of the table.")] = 5,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw mean correlation and regime into this file: .png, .svg, .pdf.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the bootstrap.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Show correlations now, what changed beyond chance, and whether the regime is one of high correlation.

    Example: trader risk correlation --prices closes.csv --window 60
    """
    from trader.core.errors import UserError

    if decay is not None and shrink is not None:
        raise UserError("--decay and --shrink are both given; one is allowed")
    panel, _ = open_portfolio(returns, prices, None)
    with err.status("following regimes, testing pairs"):
        content = _measure(panel, window, reference, decay, shrink, seed)
    path = content.pop("path")
    if plot is not None:
        _draw(panel, path, window, plot)
    if as_json:
        print_json(content)
        return
    _show(content, top)
    for warning in content["warnings"]:
        err.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)


def _measure(
    panel: ReturnPanel, window: int, reference: int, decay: float | None, shrink: str | None, seed: int
) -> dict[str, Any]:
    """Return the figures for JSON, and under `path` the regime of the periods that were followed."""
    from risk.correlation.breakdown import detect_breakdown
    from risk.correlation.monitor import CorrelationMonitor, read_matrix
    from risk.correlation.regimes import RegimeMonitor, RegimeReading
    from risk.correlation.shrinkage import shrunk_correlation

    monitor = CorrelationMonitor(panel.names, window, decay)
    monitor.extend(panel.returns if decay is not None else panel.last(window).returns)
    now = monitor.reading()
    if shrink is not None:
        now = read_matrix(shrunk_correlation(panel.last(window).returns, shrink), panel.names)
    breakdown = detect_breakdown(panel, window, reference, seed=seed)
    # Two thirds of a short history are there to learn from, and the rest is followed; of a long one, four years are.
    n_followed = min(1000, panel.n_periods // 3)
    begin = panel.returns[: panel.n_periods - n_followed]
    warnings = [*now.warnings, *breakdown.warnings]
    path: list[RegimeReading] = []
    if len(begin) >= 120:
        regimes = RegimeMonitor(begin[-1000:])
        path = [regimes.update(row) for row in panel.returns[-n_followed:]]
    else:
        warnings.append(f"{panel.n_periods} periods are too few to tell regimes apart; 180 are needed")
    return {
        "periods": panel.n_periods,
        "dropped": panel.dropped,
        "until": str(panel.stamps[-1].astype("datetime64[s]")),
        "now": now.to_dict(),
        "estimate": shrink or ("exponential" if decay is not None else "sample"),
        "breakdown": breakdown.to_dict(),
        "regime": path[-1].to_dict() if path else None,
        "warnings": warnings,
        "path": path,
    }


def _show(content: dict[str, Any], top: int) -> None:
    now, change, regime = content["now"], content["breakdown"], content["regime"]
    facts = Table("", "now", title=f"Correlation of {now['n_assets']} assets until {content['until'][:10]}")
    facts.add_row("mean", f"{now['mean']:.2f}")
    facts.add_row("lowest to highest", f"{now['lowest']:.2f} to {now['highest']:.2f}")
    facts.add_row("variance in one direction", f"{now['largest_share']:.0%}")
    facts.add_row("effective rank", f"{now['effective_rank']:.1f}")
    facts.add_row("diversification ratio", f"{now['diversification_ratio']:.2f}")
    facts.add_row("effective bets, its square", f"{now['diversification_ratio'] ** 2:.1f}")
    out.print(facts)
    out.print(
        f"Over their volatility, the mean of the last {change['n_recent']} periods is {change['mean_now']:.2f}, of the "
        f"{change['n_reference']} before {change['mean_before']:.2f} (p {change['mean_p']:.3f}); "
        f"the matrix differs with p {change['matrix_p']:.3f}; any change: p {change['p_value']:.3f}",
        highlight=False,
    )
    if regime is None:
        pass
    elif not regime["believed"]:
        out.print("Regime: the last years do not tell two apart", highlight=False)
    else:
        out.print(
            f"Regime: {'high' if regime['high'] else 'low'} for {regime['since']} periods "
            f"(levels {regime['low_level']:.2f} and {regime['high_level']:.2f}; "
            f"chance of the high one {regime['high_probability']:.1%})",
            highlight=False,
        )
    pairs = change["pairs"]
    ranked = sorted(pairs, key=lambda pair: -pair["now"])
    table = Table("pair", "", title="Pairs")
    for name in ("before", "now", "p", "adjusted"):
        table.add_column(name, justify="right")
    for title, chosen in (("highest", ranked[:top]), ("lowest", ranked[-top:][::-1]), ("changed", pairs[:top])):
        for place, pair in enumerate(chosen):
            table.add_row(
                f"{pair['first']} {pair['second']}",
                title if place == 0 else "",
                f"{pair['before']:.2f}",
                f"{pair['now']:.2f}",
                f"{pair['p_value']:.4f}",
                f"{pair['adjusted_p']:.3f}",
                style="bold" if pair["adjusted_p"] < 0.05 else None,
            )
        table.add_section()
    out.print(table)
    n_changed = sum(pair["adjusted_p"] < 0.05 for pair in pairs)
    out.print(f"{n_changed} of {len(pairs)} pairs changed at a false discovery rate of 5 %", highlight=False)


def _draw(panel: ReturnPanel, path: list[Any], window: int, target: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from risk.correlation.rolling import rolling_means
    from trader.core.errors import UserError

    if target.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UserError(f"--plot {target} does not end in .png, .svg or .pdf")
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    stamps = panel.stamps
    axes.plot(stamps[window - 1 :], rolling_means(panel.returns, window), lw=1, label=f"mean of {window} periods")
    if path:
        high = [reading.high for reading in path]
        axes.fill_between(
            stamps[-len(path) :], 0, 1, where=high, transform=axes.get_xaxis_transform(), alpha=0.2, label="high regime"
        )
    axes.set_ylabel("correlation")
    axes.legend(loc="upper left")
    figure.savefig(target)
    err.print(f"wrote {target}", highlight=False)
