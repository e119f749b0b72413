"""The summary as a table for the terminal."""

from __future__ import annotations

from rich.table import Table

from trader.portfolio.performance import Performance
from trader.reporting import formats as fmt
from trader.reporting.summary import Summary

__all__ = ["summary_table"]


def summary_table(summary: Summary) -> Table:
    """Return the strategy beside its benchmarks, and below them what trading took."""
    result = summary.performance
    table = Table(title=_title(summary), title_justify="left", title_style="bold", pad_edge=False, min_width=72)
    table.add_column("")
    table.add_column("Strategy", justify="right", no_wrap=True)
    if result is None:
        table.add_row("Decisions", "0")
        return table
    for benchmark in result.benchmarks:
        table.add_column(fmt.title(benchmark.name), justify="right", style="dim")
    for row in _compared(result):
        table.add_row(*row)
    table.add_section()
    for label, value in _alone(summary, result):
        table.add_row(label, value)
    return table


def _title(summary: Summary) -> str:
    result = summary.performance
    period = "" if result is None else f", {fmt.day(result.start_ns)} to {fmt.day(result.end_ns)}"
    return f"{summary.mode} {summary.run_id}, {summary.status}{period}"


def _compared(result: Performance) -> list[tuple[str, ...]]:
    marks = result.benchmarks
    return [
        ("Total return", fmt.percent(result.total_return), *(fmt.percent(b.total_return) for b in marks)),
        ("Annual return", fmt.percent(result.annual_return), *(fmt.percent(b.annual_return) for b in marks)),
        ("Volatility", fmt.percent(result.annual_volatility), *(fmt.percent(b.annual_volatility) for b in marks)),
        ("Sharpe ratio", fmt.number(result.sharpe), *(fmt.number(b.sharpe) for b in marks)),
        ("Deepest drawdown", fmt.percent(result.drawdown.depth), *(fmt.percent(b.max_drawdown) for b in marks)),
    ]


def _alone(summary: Summary, result: Performance) -> list[tuple[str, str]]:
    ic, orders, latency = summary.ic, summary.orders, summary.latency
    level = f"{100 * result.interval_level:.0f} %"
    held = [("Instants without a prediction", f"{summary.n_unpredicted:,}")] if summary.n_unpredicted else []
    return [
        (f"Sharpe, {level} interval", fmt.interval(result.sharpe_interval)),
        ("Deflated Sharpe", f"{fmt.number(result.deflated_sharpe)} ({fmt.plural(result.n_trials, 'trial')})"),
        ("Rank IC", fmt.number(ic.mean, 3) if ic else fmt.DASH),
        ("Turnover a year", fmt.number(result.turnover, 1, " × equity")),
        ("Costs", fmt.money(result.costs.total)),
        ("Costs per traded value", fmt.number(result.costs.bps_of_traded, 1, " bps")),
        ("Orders accepted / denied", f"{orders.accepted:,} / {orders.denied:,}"),
        ("Fills", f"{orders.fills:,}"),
        *held,
        ("Latency p50 / p99", " / ".join(fmt.number(q, 1, " ms") for q in (latency.p50_ms, latency.p99_ms))),
        ("Books balance", "yes" if summary.accounting.holds else "NO"),
    ]
