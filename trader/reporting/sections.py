"""The tables of a report: labelled figures, already written as people read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from trader.portfolio.performance import Performance
from trader.reporting import formats as fmt
from trader.reporting.summary import Summary

__all__ = ["Grid", "benchmark_grid", "fact_grids", "quality_grids", "tiles", "training_grids"]


_SEVERITIES = ("critical", "warning", "info")
_MOST_FINDINGS = 40


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts. Without a header it is a list of labels and values; the first column is text."""

    title: str
    rows: tuple[tuple[str, ...], ...]
    header: tuple[str, ...] = ()


def tiles(summary: Summary) -> list[tuple[str, str, str]]:
    """Return the headline figures: label, value, and a line of context."""
    result = summary.performance
    if result is None:
        return []
    trough = result.drawdown.trough_ns
    level = f"{100 * result.interval_level:.0f} %"
    return [
        ("Annual return", fmt.percent(result.annual_return), f"{fmt.percent(result.total_return)} in all"),
        ("Sharpe ratio", fmt.number(result.sharpe), f"{level}: {fmt.interval(result.sharpe_interval)}"),
        ("Deflated Sharpe", fmt.number(result.deflated_sharpe), fmt.plural(result.n_trials, "trial")),
        ("Deepest drawdown", fmt.percent(result.drawdown.depth), f"trough {fmt.day(trough)}" if trough else "none"),
        ("Costs", fmt.number(result.costs.bps_of_traded, 1, " bps"), f"{fmt.money(result.costs.total)} in all"),
        ("Rank IC", fmt.number(summary.ic.mean, 3) if summary.ic else fmt.DASH, f"over {summary.ic_horizon} bars"),
    ]


def benchmark_grid(result: Performance) -> Grid:
    """Return the strategy beside its benchmarks, one column each."""
    marks = result.benchmarks
    own: list[tuple[str, ...]] = [
        ("Total return", fmt.percent(result.total_return), *(fmt.percent(b.total_return) for b in marks)),
        ("Annual return", fmt.percent(result.annual_return), *(fmt.percent(b.annual_return) for b in marks)),
        (
            "Annual volatility",
            fmt.percent(result.annual_volatility),
            *(fmt.percent(b.annual_volatility) for b in marks),
        ),
        ("Sharpe ratio", fmt.number(result.sharpe), *(fmt.number(b.sharpe) for b in marks)),
        ("Deepest drawdown", fmt.percent(result.drawdown.depth), *(fmt.percent(b.max_drawdown) for b in marks)),
    ]
    relative: list[tuple[str, ...]] = [
        ("Beta to it", "", *(fmt.number(b.beta) for b in marks)),
        ("Annual alpha", "", *(fmt.percent(b.alpha, signed=True) for b in marks)),
        ("Correlation", "", *(fmt.number(b.correlation) for b in marks)),
        ("Active return", "", *(fmt.percent(b.active_return, signed=True) for b in marks)),
        ("· interval", "", *(fmt.interval(b.active_return_interval, 1, as_percent=True) for b in marks)),
        ("Tracking error", "", *(fmt.percent(b.tracking_error) for b in marks)),
        ("Information ratio", "", *(fmt.number(b.information_ratio) for b in marks)),
        ("Sharpe difference", "", *(fmt.number(b.sharpe_difference, signed=True) for b in marks)),
        ("· interval", "", *(fmt.interval(b.sharpe_difference_interval) for b in marks)),
    ]
    header = ("", "Strategy", *(fmt.title(b.name) for b in marks))
    return Grid("Against the benchmarks", tuple(own + relative), header)


def fact_grids(summary: Summary) -> list[Grid]:
    """Return the figures of a run by subject."""
    result = summary.performance
    grids = [] if result is None else [_returns(result), _risk(result), _trading(result), _signals(summary, result)]
    return [*grids, _orders(summary), _machine(summary)]


def training_grids(report: Mapping[str, Any]) -> list[Grid]:
    """Return how the models were trained, and the walk-forward result of each, out of sample."""
    facts = Grid(
        "Training",
        (
            ("Data from", fmt.day(report["train_start_ns"])),
            ("Data to", fmt.day(report["train_end_ns"])),
            ("Horizon", fmt.plural(report["horizon"], "bar")),
            ("Rows", f"{report['n_rows']:,}"),
            ("Features", str(report["n_features"])),
            ("Walk-forward folds", str(len(report["folds"]))),
            *((f"Weight of {name}", fmt.percent(weight)) for name, weight in report["weights"].items()),
        ),
    )
    rows = tuple(
        (
            name,
            fmt.number(score["ic"]["mean"], 4),
            fmt.interval((score["ic"]["low"], score["ic"]["high"]), 4),
            fmt.number(score["ic"]["t_stat"], 1),
            fmt.percent(score["hit_rate"]),
            "  ".join(fmt.number(fold, 3) for fold in score["fold_ic"]),
        )
        for name, score in report["scores"].items()
    )
    header = ("Model", "Rank IC", "Interval", "t", "Signs right", "Rank IC by fold")
    return [facts, Grid("Walk-forward validation", rows, header)]


def quality_grids(report: Mapping[str, Any]) -> list[Grid]:
    """Return what the data-quality checks looked at and found, the gravest findings first."""
    actions = report["actions"]
    facts = Grid(
        "Checked",
        (
            ("Bars", f"{report['n_bars']:,}"),
            ("Names", str(report["n_symbols"])),
            *((fmt.title(check), f"{n:,}") for check, n in report["counts"].items()),
            *((f"· {action}", f"{n:,}") for action, n in actions.items() if n),
        ),
    )
    gravest = sorted(report["findings"], key=lambda finding: _SEVERITIES.index(finding["severity"]))
    rows = tuple(
        (f["ts"][:10], f["symbol"], fmt.title(f["check"]), f["severity"], f["action"], f["detail"])
        for f in gravest[:_MOST_FINDINGS]
    )
    if not rows:
        return [facts]
    title = "Findings" if len(rows) == len(gravest) else f"The {len(rows)} gravest of {len(gravest)} findings"
    return [facts, Grid(title, rows, ("Day", "Name", "Check", "Severity", "Action", "Detail"))]


def _returns(result: Performance) -> Grid:
    level = f"{100 * result.interval_level:.0f} %"
    return Grid(
        "Return",
        (
            ("Initial equity", fmt.money(result.initial_equity)),
            ("Final equity", fmt.money(result.final_equity)),
            ("P&L after costs", fmt.money(result.pnl, signed=True)),
            ("Total return", fmt.percent(result.total_return, 2)),
            ("Annual return", fmt.percent(result.annual_return, 2)),
            ("Sharpe ratio", fmt.number(result.sharpe)),
            (f"· {level} interval", fmt.interval(result.sharpe_interval)),
            ("Sortino ratio", fmt.number(result.sortino)),
            ("Calmar ratio", fmt.number(result.calmar)),
            ("Probabilistic Sharpe (above 0)", fmt.number(result.probabilistic_sharpe, 3)),
            (f"Deflated Sharpe ({fmt.plural(result.n_trials, 'trial')})", fmt.number(result.deflated_sharpe, 3)),
        ),
    )


def _risk(result: Performance) -> Grid:
    fall = result.drawdown
    return Grid(
        "Risk",
        (
            ("Annual volatility", fmt.percent(result.annual_volatility, 2)),
            ("Deepest drawdown", fmt.percent(fall.depth, 2)),
            ("· from", fmt.day(fall.peak_ns)),
            ("· trough", fmt.day(fall.trough_ns)),
            ("· recovered", fmt.day(fall.recovery_ns) if fall.recovery_ns else "not yet" if fall.depth else fmt.DASH),
            ("Longest under water", f"{fall.longest_days:,.0f} days"),
            ("Best day", fmt.percent(result.best_day, 2, signed=True)),
            ("Worst day", fmt.percent(result.worst_day, 2, signed=True)),
            ("Days that gained", fmt.percent(result.hit_rate_days)),
            ("Skewness", fmt.number(result.skew)),
            ("Excess kurtosis", fmt.number(result.excess_kurtosis)),
        ),
    )


def _trading(result: Performance) -> Grid:
    costs, held = result.costs, result.exposure
    return Grid(
        "Trading and costs",
        (
            ("Mean gross exposure", fmt.percent(held.gross_mean)),
            ("Largest gross exposure", fmt.percent(held.gross_max)),
            ("Mean net exposure", fmt.percent(held.net_mean, signed=True)),
            ("Time invested", fmt.percent(held.invested)),
            ("Turnover a year (both sides)", fmt.number(result.turnover, 1, " × equity")),
            ("Traded value", fmt.money(costs.traded_value)),
            ("Costs", fmt.money(costs.total)),
            ("· commission", fmt.money(costs.commission)),
            ("· spread", fmt.money(costs.spread)),
            ("· market impact", fmt.money(costs.impact)),
            ("Costs per traded value", fmt.number(costs.bps_of_traded, 2, " bps")),
            ("Costs in P&L before costs", fmt.percent(costs.share_of_gross)),
        ),
    )


def _signals(summary: Summary, result: Performance) -> Grid:
    ic = summary.ic
    rows = [
        ("Horizon", fmt.plural(summary.ic_horizon, "bar")),
        ("Signs that were right", fmt.percent(result.hit_rate_signals)),
        ("Mean rank IC", fmt.number(ic.mean, 4) if ic else fmt.DASH),
        ("· interval", fmt.interval((ic.low, ic.high), 4) if ic else fmt.DASH),
        ("· t statistic", fmt.number(ic.t_stat, 1) if ic else fmt.DASH),
        *((f"· {name}", fmt.number(value, 4)) for name, value in summary.members.items()),
    ]
    return Grid("Signals", tuple(rows))


def _orders(summary: Summary) -> Grid:
    orders = summary.orders
    return Grid(
        "Orders",
        (
            ("Wanted", f"{orders.wanted:,}"),
            ("Accepted by the gate", f"{orders.accepted:,}"),
            ("Denied by the gate", f"{orders.denied:,}"),
            *_reasons(orders.denied_by_reason),
            ("Filled, at least in part", f"{orders.filled:,}"),
            ("Fills", f"{orders.fills:,}"),
            ("Cancelled", f"{orders.cancelled:,}"),
            ("Rejected by the broker", f"{orders.rejected:,}"),
            *_reasons(orders.withdrawn_by_reason),
        ),
    )


def _machine(summary: Summary) -> Grid:
    latency, books = summary.latency, summary.accounting
    worst = max(books.equity_error, books.replay_error)
    return Grid(
        "The run",
        (
            ("Decisions", f"{summary.n_decisions:,}"),
            ("· without a prediction", f"{summary.n_unpredicted:,}"),
            ("Wall time", fmt.duration(summary.elapsed_s)),
            ("Decision latency p50", fmt.number(latency.p50_ms, 2, " ms")),
            ("Decision latency p99", fmt.number(latency.p99_ms, 2, " ms")),
            ("Restarts", str(sum(event["kind"] == "part_restarted" for event in summary.events))),
            ("Books balance", "yes" if books.holds else "NO"),
            ("· largest relative error", f"{worst:.0e}"),
            ("Seed", str(summary.seed)),
            ("Data fingerprint", summary.data_fingerprint[:16] or fmt.DASH),
            ("Code version", summary.code_version or fmt.DASH),
        ),
    )


def _reasons(counts: Mapping[str, int]) -> Iterable[tuple[str, str]]:
    return ((f"· {fmt.title(reason).lower()}", f"{n:,}") for reason, n in counts.items())
