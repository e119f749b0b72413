"""What people see in a terminal: the live view, its plain form, and the summary table."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from trader.core.orders import TradingState
from trader.reporting.live import LiveView
from trader.reporting.run_data import curves_of, read_run
from trader.reporting.session_panel import plain_line, render
from trader.reporting.signals import signal_quality
from trader.reporting.status import PositionLine, RunStatus
from trader.reporting.summary import summarise
from trader.reporting.table import summary_table
from trader.storage import Store

STATUS = RunStatus(
    run_id="20240506-070809-ab12",
    progress=0.43,
    ts_ns=1_500_000_000_000_000_000,
    equity=1_043_233.0,
    pnl=43_233.0,
    pnl_pct=0.043233,
    cash=123_456.0,
    gross=0.98,
    net=-0.42,
    positions=tuple(PositionLine(f"S{i}", 10.0 - i, 1000.0 * (10 - i), 0.01 * (10 - i)) for i in range(10)),
    ticks_total=3_400_000,
    ticks_per_s=12_345.0,
    bars_total=34_000,
    decisions=812,
    latency_p50_ms=7.31,
    latency_p99_ms=21.3,
    orders_accepted=4021,
    orders_denied={"gross_limit": 3, "position_limit": 12},
    fills=3999,
    trading_state=TradingState.REDUCING,
    unpredicted=20,
    alerts=("the store has been gone for 7 s: 34 decisions wait",),
    restarts=1,
    message="replaying 2017",
)


def text_of(renderable: Any, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [100, 60])
def test_panel_shows_everything(width: int) -> None:
    """Progress, clock, money, positions, rates, latencies, denials with reasons, state, restarts and message."""
    shown = text_of(render(STATUS, 12.0, width), width)
    expected = [
        "20240506-070809-ab12", "2017-07-14 02:40:00", "43 %", "15.9 s left", "1,043,233", "+43,233  (+4.32 %)",
        "123,456", "gross 98.0 %", "net -42.0 %", "S0", "and 2 more", "12.3k/s", "3.4M ticks", "34.0k bars", "812",
        "p50 7.3 ms", "p99 21.3 ms", "4,021 accepted", "3,999 fills", "15 orders denied", "position limit 12",
        "gross limit 3", "1 restart", "20 instants without a prediction", "gone for 7 s: 34 decisions", "reducing",
        "replaying 2017",
    ]  # fmt: skip
    assert [part for part in expected if part not in shown] == []
    assert max(len(line) for line in shown.splitlines()) <= width


def test_panel_of_a_run_that_has_not_begun_has_dashes() -> None:
    """What is not known yet is a dash, never nan."""
    shown = text_of(render(RunStatus(run_id="x", progress=math.nan)))
    assert "nan" not in shown.lower()
    assert "Equity     –" in shown


def test_plain_line_is_one_line() -> None:
    """The line for logs holds the same in brief."""
    line = plain_line(STATUS)
    assert line == (
        "43 %  2017-07-14 02:40:00  equity 1,043,233  P&L +4.32 %  812 decisions  3,999 fills  15 denied  "
        "12.3k ticks/s  p99 21.3 ms  reducing  1 restart  "
        "20 without a prediction  ALERT the store has been gone for 7 s: 34 decisions wait  replaying 2017"
    )


def test_without_a_terminal_lines_come_every_few_seconds() -> None:
    """One line at once, then one every three seconds, and the last status at the end."""
    now = [0.0]
    console = Console(file=io.StringIO(), width=300, force_terminal=False)
    with LiveView(console, clock=lambda: now[0]) as view:
        view.progress("loading data", 0.0)
        view.progress("loading data", 0.5)
        for second in range(8):
            now[0] = float(second)
            view.update(RunStatus(run_id="x", decisions=second))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "loading data …"
    assert [line.split("  ")[4] for line in lines[1:]] == ["0 decisions", "3 decisions", "6 decisions", "7 decisions"]


def test_in_a_terminal_the_panel_stays_after_the_end() -> None:
    """Stages leave a line with their time; the last panel remains on the screen."""
    now = [0.0]
    console = Console(file=io.StringIO(), width=100, height=40, force_terminal=True, color_system=None)
    with LiveView(console, clock=lambda: now[0]) as view:
        view.progress("loading data", 0.2)
        now[0] = 2.0
        view.progress("fitting models", 0.1)
        view.update(STATUS)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "✓ loading data  2.0 s" in shown
    assert "✓ fitting models" in shown
    assert "replaying 2017" in shown[shown.rindex("✓ fitting models") :]


def test_an_error_leaves_no_tick() -> None:
    """A stage that was broken off is not called done."""
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)

    def break_off() -> None:
        with LiveView(console) as view:
            view.progress("loading data", 0.2)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert "✓" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_status_is_plain_when_asked() -> None:
    """`to_dict` gives what JSON takes."""
    content = STATUS.to_dict()
    assert content["trading_state"] == "reducing"
    assert content["positions"][0] == {"symbol": "S0", "quantity": 10.0, "value": 10_000.0, "weight": 0.1}
    assert STATUS.denied_total == 15


@pytest.mark.parametrize("n_days", [0, 90])
def test_summary_table(store: Store, simulate: Callable[..., Any], n_days: int) -> None:
    """The table names the run and shows the strategy beside buy-and-hold; without decisions it says so."""
    data = read_run(store, simulate(n_days=n_days).run_id)
    curves = curves_of(data, None) if n_days else None
    summary = summarise(data, curves, signal_quality(data), Path("r"), status="complete", ended_ns=0)
    shown = text_of(summary_table(summary))
    assert "backtest sim, complete" in shown
    assert "nan" not in shown.lower()
    if n_days:
        assert "Equal-weight buy-and-hold" in shown
        assert "Books balance" in shown
    else:
        assert "Decisions" in shown
