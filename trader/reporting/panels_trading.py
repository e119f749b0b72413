"""Plots of trading: turnover, signal quality, latency, contributions and denials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trader.reporting.formats import title
from trader.reporting.panels import date_axis
from trader.reporting.run_data import Curves
from trader.reporting.theme import Draw, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "bars_height",
    "contribution_panel",
    "denial_panel",
    "draw_bars",
    "ic_panel",
    "latency_panel",
    "monthly",
    "turnover_panel",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Dates = NDArray[np.datetime64]

MOST_NAMES = 30
"""Names that the plot of contributions shows at most."""

_Z95 = 1.959963984540054
_MIN_PER_MONTH = 5


def monthly(ts_ns: IntArray) -> tuple[Dates, IntArray]:
    """Return the calendar months (UTC) that stamps fall in, and the month of each stamp as its place in them."""
    months, place = np.unique(ts_ns.astype("datetime64[ns]").astype("datetime64[M]"), return_inverse=True)
    return months, place


def turnover_panel(curves: Curves) -> Draw | None:
    """Value traded in each month over that month's mean equity."""
    months, place = monthly(curves.ts_ns)
    if not curves.traded.any() or months.size < 2:
        return None
    traded = np.bincount(place, weights=curves.traded)
    equity = np.bincount(place, weights=curves.equity) / np.bincount(place)
    percent = np.divide(100.0 * traded, equity, out=np.full(months.size, np.nan), where=equity > 0.0)

    def draw(axes: Axes, theme: Theme) -> None:
        axes.bar(months.astype("datetime64[D]"), percent, width=24, align="edge", color=theme.strategy)
        axes.set_ylabel("% of equity a month")
        date_axis(axes)

    return draw


def ic_panel(ts_ns: IntArray, ic: FloatArray) -> Draw | None:
    """Mean rank IC of each month with its 95 % interval; `ic` has one value an instant, NaN where unknown.

    The interval takes the values of a month as independent, which overlapping horizons are not: it is the
    least that the uncertainty can be. Months of fewer than five values are left out.
    """
    known = np.isfinite(ic)
    if not known.any():
        return None
    months, place = monthly(ts_ns[known])
    count = np.bincount(place)
    mean = np.bincount(place, weights=ic[known]) / count
    spread = np.bincount(place, weights=(ic[known] - mean[place]) ** 2)
    enough = count >= _MIN_PER_MONTH
    if not enough.any():
        return None
    half = _Z95 * np.sqrt(spread[enough] / (count[enough] - 1) / count[enough])
    middle = months[enough].astype("datetime64[D]") + np.timedelta64(14, "D")

    def draw(axes: Axes, theme: Theme) -> None:
        axes.vlines(middle, mean[enough] - half, mean[enough] + half, color=theme.index, linewidth=0.9, alpha=0.75)
        axes.plot(middle, mean[enough], "o", color=theme.strategy, markersize=3.0)
        overall = float(ic[known].mean())
        axes.axhline(0.0, color=theme.muted, linewidth=0.7, zorder=1)
        axes.axhline(overall, color=theme.hold, linewidth=1.0, linestyle=(0, (4, 2)))
        axes.annotate(
            f"mean {overall:.3f} (dashed)",
            (1.0, 1.02),
            xycoords="axes fraction",
            ha="right",
            va="bottom",
            color=theme.hold,
            fontsize=8.5,
        )
        axes.set_ylabel("rank IC")
        date_axis(axes)

    return draw


def latency_panel(latency_ns: FloatArray) -> Draw | None:
    """Histogram of decision latencies on a logarithmic axis, with the median and the 99th percentile."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    known = latency_ns[np.isfinite(latency_ns) & (latency_ns > 0.0)] / 1e6
    if known.size < 2 or np.ptp(known) == 0.0:
        return None
    bins = np.geomspace(known.min(), known.max() * (1.0 + 1e-9), 41)
    quantiles = np.quantile(known, [0.5, 0.99])

    def draw(axes: Axes, theme: Theme) -> None:
        axes.hist(known, bins=bins.tolist(), color=theme.strategy, alpha=0.85)
        axes.set_xscale("log")
        top = axes.get_ylim()[1]
        axes.set_ylim(top=top * 1.12)
        for name, value in zip(("p50", "p99"), quantiles, strict=True):
            axes.axvline(float(value), color=theme.hold, linewidth=1.0, linestyle=(0, (4, 2)))
            axes.annotate(
                f"{name} {value:.3g} ms",
                (float(value), top * 1.10),
                xytext=(3, 0),
                textcoords="offset points",
                va="top",
                color=theme.hold,
                fontsize=8.5,
            )
        decades = float(np.log10(bins[-1] / bins[0]))
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("ms")
        axes.set_ylabel("decisions")

    return draw


def contribution_panel(pnl_by_symbol: Mapping[str, float], capital: float, at_most: int = MOST_NAMES) -> Draw | None:
    """P&L of each name after costs, in per cent of the initial capital; the `at_most` largest either way."""
    traded = {name: pnl for name, pnl in pnl_by_symbol.items() if np.isfinite(pnl) and pnl != 0.0}
    if not traded:
        return None
    largest = sorted(traded, key=lambda name: -abs(traded[name]))[:at_most]
    names = sorted(largest, key=lambda name: traded[name])
    values = np.array([100.0 * traded[name] / capital for name in names])

    def draw(axes: Axes, theme: Theme) -> None:
        colours = [theme.gain if value > 0.0 else theme.loss for value in values]
        draw_bars(axes, theme, names, values, colours, "% of initial capital")

    return draw


def denial_panel(denied_by_reason: Mapping[str, int]) -> Draw | None:
    """Orders that the risk gate refused, by reason."""
    if not denied_by_reason:
        return None
    names = sorted(denied_by_reason, key=lambda reason: denied_by_reason[reason])
    values = np.array([float(denied_by_reason[name]) for name in names])

    def draw(axes: Axes, theme: Theme) -> None:
        draw_bars(axes, theme, [title(name) for name in names], values, [theme.hold] * len(names), "orders")

    return draw


def bars_height(n_bars: int) -> float:
    """Return the height in inches of a figure of so many horizontal bars."""
    return 0.19 * n_bars + 0.75


def draw_bars(axes: Axes, theme: Theme, names: list[str], values: FloatArray, colours: list[str], unit: str) -> None:
    """Draw horizontal bars from the bottom up, each in its colour."""
    rows = np.arange(len(names))
    axes.barh(rows, values, color=colours, height=0.68)
    axes.set_yticks(rows, names)
    axes.tick_params(axis="y", labelcolor=theme.ink)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.axvline(0.0, color=theme.muted, linewidth=0.7)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlabel(unit)
