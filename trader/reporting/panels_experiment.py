"""Plots of an experiment: the challenger's share, and what was known of the difference at each look."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trader.reporting.panels import date_axis, legend
from trader.reporting.theme import Draw, Theme, dates, thin
from trader.validation.experiments import ExperimentPlan, SequentialComparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["evidence_panel", "traffic_panel"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LOOKS = 100


def traffic_panel(ts_ns: IntArray, share: FloatArray) -> Draw | None:
    """Share of the symbols that were the challenger's at each decision, (n_decisions,); NaN where it is not known."""
    known = np.isfinite(share)
    if known.sum() < 2 or not share[known].any():
        return None
    stamps, percent = ts_ns[known], 100.0 * share[known]
    # A step is drawn by its corners, so none is lost where rows are left out.
    rows = np.union1d(thin(percent.size), np.flatnonzero(np.diff(percent)) + 1)

    def draw(axes: Axes, theme: Theme) -> None:
        axes.step(dates(stamps[rows]), percent[rows], where="post", color=theme.strategy, linewidth=1.4)
        axes.set_ylim(-3.0, 103.0)
        axes.set_ylabel("% of the symbols")
        date_axis(axes)

    return draw


def evidence_panel(plan: ExperimentPlan, ts_ns: IntArray, differences: FloatArray) -> Draw | None:
    """Mean difference of returns and its always-valid interval, in bp a decision, at up to a hundred looks.

    Parameters
    ----------
    plan : ExperimentPlan
    ts_ns : ndarray of shape (n_decisions,)
    differences : ndarray of shape (n_decisions,)
        Challenger minus champion, as fractions.
    """
    comparison, looks = SequentialComparison(plan), []
    ends = np.unique(np.linspace(0, differences.size, _LOOKS + 1).round().astype(np.int64))
    for first, end in itertools.pairwise(ends):
        comparison.add(differences[first:end])
        found = comparison.result()
        if np.isfinite(found.low):
            looks.append((end - 1, found.estimate, found.low, found.high))
    if len(looks) < 2:
        return None
    rows, estimate, low, high = np.array(looks).T
    stamps = dates(ts_ns[rows.astype(np.int64)])

    def draw(axes: Axes, theme: Theme) -> None:
        axes.fill_between(stamps, 1e4 * low, 1e4 * high, color=theme.strategy, alpha=0.18, linewidth=0)
        axes.plot(stamps, 1e4 * estimate, color=theme.strategy, linewidth=1.4, label="Challenger less champion")
        axes.axhline(0.0, color=theme.muted, linewidth=0.8, zorder=1)
        axes.set_ylabel("bp a decision")
        date_axis(axes)
        legend(axes, theme)

    return draw
