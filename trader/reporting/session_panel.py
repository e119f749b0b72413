"""How a running session looks: as a panel for terminals, as a line elsewhere."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trader.core.orders import TradingState
from trader.reporting import formats as fmt
from trader.reporting.status import RunStatus

__all__ = ["plain_line", "render", "stage_bar"]

_TOP = 8
_TWO_COLUMNS_FROM = 90
_STATE_STYLE = {TradingState.ACTIVE: "green", TradingState.REDUCING: "yellow", TradingState.HALTED: "bold red"}


def stage_bar(stage: str, share: float, elapsed_s: float, note: str = "") -> RenderableType:
    """Return a bar of the work that precedes or follows the session, and a note on how it goes."""
    row = Table.grid(padding=(0, 2))
    row.add_column(min_width=22, no_wrap=True)
    row.add_column(width=40)
    row.add_column(no_wrap=True, style="dim")
    row.add_row(f"  {stage}", ProgressBar(total=1.0, completed=share), f"{fmt.duration(elapsed_s)}  {note}".rstrip())
    return row


def plain_line(status: RunStatus) -> str:
    """Return a status as one line.

    >>> plain_line(RunStatus(run_id="demo", progress=0.25, ts_ns=1_500_000_000_000_000_000, equity=101.0, pnl_pct=0.01))
    '25 %  2017-07-14 02:40:00  equity 101  P&L +1.00 %  0 decisions  0 fills  0 denied  0 ticks/s  p99 – ms  active'
    """
    parts = [
        fmt.percent(status.progress, 0) if status.progress == status.progress else "live",
        fmt.instant(status.ts_ns),
        f"equity {fmt.money(status.equity)}",
        f"P&L {fmt.percent(status.pnl_pct, 2, signed=True)}",
        fmt.plural(status.decisions, "decision"),
        fmt.plural(status.fills, "fill"),
        f"{status.denied_total:,} denied",
        f"{fmt.count(status.ticks_per_s)} ticks/s",
        f"p99 {fmt.number(status.latency_p99_ms, 1)} ms",
        str(status.trading_state),
    ]
    if status.restarts:
        parts.append(fmt.plural(status.restarts, "restart"))
    if status.unpredicted:
        parts.append(f"{status.unpredicted:,} without a prediction")
    parts += [f"ALERT {alert}" for alert in status.alerts]
    if status.message:
        parts.append(status.message)
    return "  ".join(parts)


def render(status: RunStatus, elapsed_s: float = 0.0, width: int = 100) -> RenderableType:
    """Return the panel of a status, `elapsed_s` seconds after the first, for a terminal of `width` columns."""
    body: RenderableType
    if width < _TWO_COLUMNS_FROM:
        body = Group(_facts(status), Text(), _positions(status))
    else:
        body = Table.grid(expand=True, padding=(0, 2))
        body.add_column(ratio=5)
        body.add_column(ratio=4)
        body.add_row(_facts(status), _positions(status))
    title = Text.assemble((f"trader {status.mode} ", "bold"), (status.run_id, "cyan"))
    state = Text(str(status.trading_state), style=_STATE_STYLE[status.trading_state])
    return Panel(
        Group(_progress(status, elapsed_s), Text(), body, *_footer(status)),
        title=title,
        title_align="left",
        subtitle=state,
        subtitle_align="right",
        border_style="dim",
        padding=(0, 1),
    )


def _progress(status: RunStatus, elapsed_s: float) -> RenderableType:
    clock = Text(fmt.instant(status.ts_ns), style="bold")
    row = Table.grid(expand=True, padding=(0, 2))
    row.add_column(no_wrap=True)
    if status.progress != status.progress:  # a live feed has no end
        row.add_column(ratio=1, justify="right")
        row.add_row(clock, Text(f"running {fmt.duration(elapsed_s)}", style="dim"))
        return row
    left = elapsed_s * (1.0 / status.progress - 1.0) if status.progress > 0.01 else float("nan")
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    row.add_row(
        clock,
        ProgressBar(total=1.0, completed=status.progress),
        Text.assemble((fmt.percent(status.progress, 0), "bold"), (f"  {fmt.duration(left)} left", "dim")),
    )
    return row


def _facts(status: RunStatus) -> RenderableType:
    colour = "green" if status.pnl > 0 else "red" if status.pnl < 0 else ""
    pnl = f"{fmt.money(status.pnl, signed=True)}  ({fmt.percent(status.pnl_pct, 2, signed=True)})"
    latency = f"p50 {fmt.number(status.latency_p50_ms, 1)} ms   p99 {fmt.number(status.latency_p99_ms, 1)} ms"
    flow = "   ".join(
        (
            f"{fmt.count(status.ticks_per_s)}/s",
            f"{fmt.count(status.ticks_total)} ticks",
            f"{fmt.count(status.bars_total)} bars",
        )
    )
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_row("Equity", Text(fmt.money(status.equity), style="bold"))
    grid.add_row("P&L", Text(pnl, style=colour))
    grid.add_row("Cash", fmt.money(status.cash))
    grid.add_row("Exposure", f"gross {fmt.percent(status.gross)}   net {fmt.percent(status.net, signed=True)}")
    grid.add_row("Data", flow)
    grid.add_row("Decisions", f"{status.decisions:,}")
    grid.add_row("Latency", latency)
    grid.add_row("Orders", f"{status.orders_accepted:,} accepted   {fmt.plural(status.fills, 'fill')}")
    return grid


def _positions(status: RunStatus) -> RenderableType:
    table = Table(box=None, padding=(0, 1), expand=True, header_style="dim")
    table.add_column("Position")
    for heading in ("Units", "Value", "Weight"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in status.positions[:_TOP]:
        style = "" if line.quantity >= 0 else "magenta"
        weight = fmt.percent(line.weight, signed=True)
        table.add_row(line.symbol, fmt.number(line.quantity, 1), fmt.money(line.value), weight, style=style)
    if not status.positions:
        table.add_row(Text("none", style="dim"))
    elif len(status.positions) > _TOP:
        table.add_row(Text(f"and {len(status.positions) - _TOP} more", style="dim"))
    return table


def _footer(status: RunStatus) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if status.denied_total:
        most = sorted(status.orders_denied.items(), key=lambda item: (-item[1], item[0]))
        why = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in most)
        lines.append(Text(f"{fmt.plural(status.denied_total, 'order')} denied: {why}", style="yellow"))
    lines += [Text(alert, style="bold red") for alert in status.alerts]
    if status.unpredicted:
        lines.append(Text(f"{fmt.plural(status.unpredicted, 'instant')} without a prediction", style="yellow"))
    if status.restarts:
        lines.append(Text(f"{fmt.plural(status.restarts, 'restart')} after a part died", style="yellow"))
    if status.message:
        lines.append(Text(status.message, style="dim"))
    return [Text(), *lines] if lines else []
