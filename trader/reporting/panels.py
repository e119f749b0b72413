"""Plots of curves over time. Each function returns what draws on a given axes, or None if there is nothing to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trader.portfolio.drawdown import drawdown_series
from trader.portfolio.returns import rolling_sharpe
from trader.reporting.formats import title
from trader.reporting.run_data import Curves
from trader.reporting.theme import Draw, Theme, dates, thin

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "date_axis",
    "drawdown_panel",
    "equity_panel",
    "exposure_panel",
    "legend",
    "notice",
    "rolling_sharpe_panel",
    "variants_panel",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LOG_FROM = 3.0
_MINOR_WIDTH = 1.0


def equity_panel(curves: Curves, *, log_scale: bool | None = None) -> Draw | None:
    """Growth of 1 put into the strategy and each benchmark.

    `log_scale` of None takes a logarithmic axis where the largest value is at least three times the smallest.
    """
    if curves.equity.size < 2:
        return None
    capital = float(curves.equity[0])
    series = {"strategy": curves.equity / capital} | {n: e / capital for n, e in curves.benchmarks.items()}
    low = min(float(values.min()) for values in series.values())
    high = max(float(values.max()) for values in series.values())
    use_log = low > 0.0 and (high / low >= _LOG_FROM if log_scale is None else log_scale)

    def draw(axes: Axes, theme: Theme) -> None:
        for place, name in enumerate(curves.benchmarks):
            colour = theme.of_benchmark(place)
            _line(axes, curves.ts_ns, series[name], colour, title(name), width=_MINOR_WIDTH)
        _line(axes, curves.ts_ns, series["strategy"], theme.strategy, "Strategy, after costs", width=1.7)
        axes.axhline(1.0, color=theme.muted, linewidth=0.7, zorder=1)
        if use_log:
            _log_axis(axes, low, high)
        axes.set_ylabel("growth of 1" + (" (log scale)" if use_log else ""))
        date_axis(axes)
        legend(axes, theme, reverse=True)

    return draw


def drawdown_panel(curves: Curves) -> Draw | None:
    """Loss from the highest equity so far."""
    if curves.equity.size < 2:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        rows = thin(curves.ts_ns.size)
        under = -100.0 * curves.drawdown
        axes.fill_between(dates(curves.ts_ns[rows]), under[rows], 0.0, color=theme.strategy, alpha=0.18, linewidth=0)
        for place, (name, equity) in enumerate(curves.benchmarks.items()):
            if place == 0:
                lost = -100.0 * drawdown_series(equity)
                _line(axes, curves.ts_ns, lost, theme.hold, title(name), width=_MINOR_WIDTH)
        _line(axes, curves.ts_ns, under, theme.strategy, "Strategy")
        axes.set_ylabel("below the peak, %")
        axes.set_ylim(top=0.0)
        date_axis(axes)
        legend(axes, theme, reverse=True)

    return draw


def variants_panel(ts_ns: IntArray, champion: FloatArray, challenger: FloatArray) -> Draw | None:
    """Growth of 1 put into the virtual portfolio of each variant of an experiment."""
    if champion.size < 2:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        _line(axes, ts_ns, champion / champion[0], theme.hold, "Champion", width=_MINOR_WIDTH)
        _line(axes, ts_ns, challenger / challenger[0], theme.strategy, "Challenger")
        axes.axhline(1.0, color=theme.muted, linewidth=0.7, zorder=1)
        axes.set_ylabel("growth of 1")
        date_axis(axes)
        legend(axes, theme, reverse=True)

    return draw


def rolling_sharpe_panel(curves: Curves, window: int, periods_per_year: float) -> Draw | None:
    """Annual Sharpe ratio over the last `window` returns, of the strategy and the first benchmark."""
    own = rolling_sharpe(curves.returns, window, periods_per_year)
    if np.isfinite(own).sum() < 2:
        return None
    ts_ns = curves.ts_ns[1 : own.size + 1]

    def draw(axes: Axes, theme: Theme) -> None:
        for name, equity in list(curves.benchmarks.items())[:1]:
            returns = (equity[1:] / equity[:-1] - 1.0)[: own.size]
            held = rolling_sharpe(returns, window, periods_per_year)
            _line(axes, ts_ns, held, theme.hold, title(name), width=_MINOR_WIDTH)
        _line(axes, ts_ns, own, theme.strategy, "Strategy")
        axes.axhline(0.0, color=theme.muted, linewidth=0.7, zorder=1)
        axes.set_ylabel("annual Sharpe ratio")
        date_axis(axes)
        legend(axes, theme, reverse=True)

    return draw


def exposure_panel(curves: Curves) -> Draw | None:
    """Gross and net exposure."""
    if curves.equity.size < 2:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        _line(axes, curves.ts_ns, 100.0 * curves.gross, theme.strategy, "Gross")
        _line(axes, curves.ts_ns, 100.0 * curves.net, theme.hold, "Net")
        axes.axhline(0.0, color=theme.muted, linewidth=0.7, zorder=1)
        axes.set_ylabel("% of equity")
        date_axis(axes)
        legend(axes, theme)

    return draw


def notice(text: str) -> Draw:
    """Text in an empty frame."""

    def draw(axes: Axes, theme: Theme) -> None:
        axes.set_axis_off()
        axes.text(0.5, 0.5, text, ha="center", va="center", color=theme.muted, transform=axes.transAxes)

    return draw


def date_axis(axes: Axes) -> None:
    """Label the time axis as briefly as its span allows."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator: Any = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.margins(x=0.01)


def legend(axes: Axes, theme: Theme, *, reverse: bool = False) -> None:
    """Put the legend in one row above the axes; `reverse` lists what was drawn last first."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0.0, 1.015),
        ncols=4,
        borderaxespad=0.1,
        borderpad=0.2,
        columnspacing=1.4,
        labelcolor=theme.ink,
        reverse=reverse,
    )


def _line(axes: Axes, ts_ns: IntArray, values: FloatArray, colour: str, label: str, *, width: float = 1.3) -> None:
    rows = thin(values.size)
    axes.plot(dates(ts_ns[rows]), values[rows], color=colour, label=label, linewidth=width)


def _log_axis(axes: Axes, low: float, high: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axes.set_yscale("log")
    steps = np.array([m * 10.0**e for e in range(-4, 7) for m in (1, 1.5, 2, 3, 5, 7)])
    axes.yaxis.set_major_locator(FixedLocator(steps[(steps > low / 1.4) & (steps < high * 1.4)].tolist()))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(low / 1.05, high * 1.05)
