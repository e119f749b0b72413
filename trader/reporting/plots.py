"""Which plots a report has, and `equity.png`."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.reporting.panels import drawdown_panel, equity_panel, exposure_panel, notice, rolling_sharpe_panel
from trader.reporting.panels_trading import (
    MOST_NAMES,
    bars_height,
    contribution_panel,
    denial_panel,
    ic_panel,
    latency_panel,
    turnover_panel,
)
from trader.reporting.run_data import Curves
from trader.reporting.summary import Summary
from trader.reporting.theme import Draw, render_png, render_svg

__all__ = ["Plot", "equity_png", "make_plot", "plots_of", "rolling_window"]

FloatArray = NDArray[np.float64]

_WIDE = (9.6, 3.6)
_NARROW = (6.0, 2.9)


@dataclasses.dataclass(frozen=True, slots=True)
class Plot:
    """One picture of a report.

    Parameters
    ----------
    name : str
        For ids and tests.
    title, caption : str
        `caption` says how to read it, or why there is nothing to see.
    svg : str
        An `<svg>` element; empty where there is nothing to see.
    wide_svg : str
        The same for the whole width of a page; empty where half of it is enough.
    """

    name: str
    title: str
    caption: str
    svg: str
    wide_svg: str = ""


def plots_of(summary: Summary, curves: Curves | None, daily_ic: FloatArray, latency_ns: FloatArray) -> list[Plot]:
    """Return the plots of a run in the order of the report; none for a run without decisions.

    Parameters
    ----------
    daily_ic : ndarray of shape (n_instants,)
        Rank IC at each instant; NaN where unknown.
    latency_ns : ndarray of shape (n_instants,)
    """
    result = summary.performance
    if curves is None or result is None:
        return []
    window = rolling_window(curves.returns.size)
    horizon = f"{summary.ic_horizon} bar{'' if summary.ic_horizon == 1 else 's'}"
    equity = make_plot(
        "equity", "Equity", "After costs, from the same start and capital.", equity_panel(curves), wide=True
    )
    return [
        equity,
        make_plot("drawdown", "Drawdown", "Loss from the highest equity so far.", drawdown_panel(curves)),
        make_plot(
            "rolling-sharpe",
            "Rolling Sharpe ratio",
            f"Over the last {window} returns, annualised.",
            rolling_sharpe_panel(curves, window, result.periods_per_year),
        ),
        make_plot("exposure", "Exposure", "Sum of absolute and of signed weights.", exposure_panel(curves)),
        make_plot("turnover", "Turnover", "Value traded, both sides, by month.", turnover_panel(curves)),
        make_plot(
            "ic",
            "Signal quality",
            f"Rank correlation of scores with returns over {horizon}: monthly means with 95 % intervals.",
            ic_panel(curves.ts_ns, daily_ic),
        ),
        make_plot(
            "latency",
            "Decision latency",
            "From the arrival of data to the end of the decision.",
            latency_panel(latency_ns),
        ),
        make_plot(
            "contribution",
            "Contribution by name",
            "P&L after costs.",
            contribution_panel(summary.pnl_by_symbol, result.initial_equity),
            height=bars_height(min(len(summary.pnl_by_symbol), MOST_NAMES)),
        ),
        make_plot(
            "denials",
            "Orders denied",
            "By the risk gate, by reason.",
            denial_panel(summary.orders.denied_by_reason),
            height=bars_height(len(summary.orders.denied_by_reason)),
        ),
    ]


def equity_png(curves: Curves | None) -> bytes:
    """Return the picture of the equity beside the benchmarks; with fewer than two instants it says so."""
    draw = None if curves is None else equity_panel(curves)
    return render_png(draw or notice("too few decisions to draw"), (9.6, 4.8))


def rolling_window(n_returns: int) -> int:
    """Return the length of the rolling window: a year of days, or a quarter of them for a run that is too short."""
    return 252 if n_returns >= 378 else 63


def make_plot(
    name: str, title: str, caption: str, draw: Draw | None, *, wide: bool = False, height: float | None = None
) -> Plot:
    """Return a picture of what `draw` draws; without anything to draw, one that says so."""
    if draw is None:
        return Plot(name, title, "There is nothing to show for this run.", "")
    size = (_NARROW[0], height or _NARROW[1])
    wide_svg = render_svg(f"{name}-wide", title, draw, _WIDE) if wide else ""
    return Plot(name, title, caption, render_svg(name, title, draw, size), wide_svg)
