"""Plots of a model's report. Each function returns what draws on a given axes, or None if there is nothing to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trader.reporting.formats import title
from trader.reporting.panels import date_axis, legend
from trader.reporting.theme import Draw, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["coverage_panel", "curve_panel", "monthly_ic_panel", "reliability_panel"]

_FEWEST = 2


def curve_panel(curve: Sequence[Mapping[str, float | None]]) -> Draw | None:
    """Losses of a fit, by step; None where it had fewer than two."""
    steps = [float(step["step"] or 0) for step in curve]
    names = sorted({name for step in curve for name in step if name.endswith("loss")})
    if len(steps) < _FEWEST or not names:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        for place, name in enumerate(names):
            values = [np.nan if step.get(name) is None else float(step[name] or 0.0) for step in curve]
            axes.plot(steps, values, color=(theme.strategy, theme.hold)[place % 2], label=title(name), linewidth=1.4)
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        legend(axes, theme)

    return draw


def monthly_ic_panel(by_month: Mapping[str, float | None]) -> Draw | None:
    """Mean rank IC of each month and its running mean over a year."""
    known = [(month, value) for month, value in sorted(by_month.items()) if value is not None]
    if len(known) < _FEWEST:
        return None
    months = np.array([month for month, _ in known], dtype="datetime64[M]").astype("datetime64[D]")
    values = np.array([value for _, value in known])
    year = np.array([values[max(0, i - 11) : i + 1].mean() for i in range(values.size)])

    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot(months, values, "o", color=theme.index, markersize=2.6, label="Month")
        axes.plot(months, year, color=theme.strategy, linewidth=1.5, label="Mean of 12 months")
        axes.axhline(0.0, color=theme.muted, linewidth=0.7, zorder=1)
        axes.set_ylabel("rank IC")
        date_axis(axes)
        legend(axes, theme)

    return draw


def coverage_panel(report: Mapping[str, Sequence[float | None]]) -> Draw | None:
    """Share of targets below each forecast quantile, less the level, with intervals."""
    fields = [np.array(report[key], dtype=np.float64) for key in ("levels", "coverage", "low", "high")]
    known = np.isfinite(fields).all(axis=0)
    if not known.any():
        return None
    levels, coverage, low, high = (100.0 * field[known] for field in fields)

    def draw(axes: Axes, theme: Theme) -> None:
        axes.vlines(levels, low - levels, high - levels, color=theme.index, linewidth=1.0)
        axes.plot(levels, coverage - levels, "o", color=theme.strategy, markersize=4.0)
        axes.axhline(0.0, color=theme.muted, linewidth=0.8, linestyle=(0, (4, 2)))
        axes.set_xlabel("quantile, %")
        axes.set_ylabel("targets below it, less its level, points")

    return draw


def reliability_panel(curve: Mapping[str, Sequence[float | None]]) -> Draw | None:
    """Observed frequency against the forecast chance, with intervals; bins without rows or interval are left out."""
    fields = [np.array(curve[key], dtype=np.float64) for key in ("probability", "frequency", "low", "high")]
    known = np.isfinite(fields).all(axis=0)
    if known.sum() < _FEWEST:
        return None
    forecast, observed, low, high = (field[known] for field in fields)

    def draw(axes: Axes, theme: Theme) -> None:
        axes.vlines(forecast, low, high, color=theme.index, linewidth=1.0)
        axes.plot(forecast, observed, "o", color=theme.strategy, markersize=4.0)
        ends = np.array([min(forecast.min(), low.min()), max(forecast.max(), high.max())])
        axes.plot(ends, ends, color=theme.muted, linewidth=0.8, linestyle=(0, (4, 2)), label="Perfect")
        axes.set_xlabel("chance of a rise, as forecast")
        axes.set_ylabel("share that rose")
        legend(axes, theme)

    return draw
