"""Plots of risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from risk.history import RiskHistory
from risk.snapshot import RiskSnapshot
from trader.reporting.panels import date_axis, legend
from trader.reporting.panels_trading import draw_bars
from trader.reporting.theme import Draw, Theme, dates, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["contributions_panel", "stress_panel", "var_panel"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def var_panel(ts_ns: IntArray, history: RiskHistory) -> Draw | None:
    """Return of the holdings bar by bar, the value at risk below which it should seldom fall, and where it did."""
    if history.bar.size < 2:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        beyond = history.exceeded
        rows = np.union1d(np.arange(ts_ns.size)[thin(ts_ns.size)], np.flatnonzero(beyond))
        when, came = dates(ts_ns), 100.0 * history.returns
        axes.vlines(when[rows], 0.0, came[rows], color=theme.index, linewidth=0.6, alpha=0.7)
        axes.plot(when, -100.0 * history.var, color=theme.strategy, linewidth=1.2, label="− value at risk")
        shortfall = -100.0 * history.es
        axes.plot(when, shortfall, color=theme.strategy, linewidth=0.7, alpha=0.6, label="− expected shortfall")
        axes.plot(when[beyond], came[beyond], "o", color=theme.loss, markersize=3.0, label="beyond it")
        axes.axhline(0.0, color=theme.muted, linewidth=0.7, zorder=1)
        axes.set_ylabel("% of equity")
        date_axis(axes)
        legend(axes, theme)

    return draw


def contributions_panel(snapshot: RiskSnapshot, at_most: int) -> Draw | None:
    """Shares of the expected shortfall by name, the largest either way; a negative one hedges."""
    parts = snapshot.contributions
    if parts is None or not parts.estimate.es > 0.0:
        return None
    share = 100.0 * parts.component_es / parts.estimate.es
    largest = np.argsort(-np.abs(share), kind="stable")[:at_most]
    order = largest[np.argsort(share[largest], kind="stable")]

    names = [parts.names[i] for i in order.tolist()]
    return _bars(names, share[order], -share[order], "% of the expected shortfall")


def stress_panel(results: Sequence[tuple[str, float]]) -> Draw | None:
    """P&L of a portfolio in scenarios, in the order given from the top."""
    if not results:
        return None
    pnl = np.array([100.0 * value for _, value in reversed(results)])
    return _bars([name for name, _ in reversed(results)], pnl, pnl, "% of equity")


def _bars(names: list[str], values: FloatArray, good: FloatArray, unit: str) -> Draw:
    """Bars from the bottom up, in the colour of gains where `good` is positive."""

    def draw(axes: Axes, theme: Theme) -> None:
        colours = [theme.gain if value > 0.0 else theme.loss for value in good.tolist()]
        draw_bars(axes, theme, names, values, colours, unit)

    return draw
