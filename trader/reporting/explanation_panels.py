"""Plots of explanations. Each function returns what draws on a given axes, or None if there is nothing to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trader.reporting.theme import Draw, Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["effect_panel", "heat_panel", "share_panel"]

FloatArray = NDArray[np.float64]

MOST_SHARES = 12


def share_panel(
    names: Sequence[str], values: FloatArray, errors: FloatArray | None, unit: str, at_most: int = MOST_SHARES
) -> Draw | None:
    """Bars of the largest values, the largest on top, with two standard errors; the others are summed in one.

    Parameters
    ----------
    names : sequence of str
    values : ndarray of shape (n_names,)
        None are drawn where one is not finite.
    errors : ndarray of shape (n_names,), optional
    unit : str
    at_most : int
        Bars.
    """
    if not values.size or not np.isfinite(values).all():
        return None
    order = np.argsort(-np.abs(values), kind="stable")
    shown, rest = order[:at_most], order[at_most:]
    labels = [names[at] for at in shown]
    lengths = values[shown]
    whiskers = np.zeros(shown.size) if errors is None else 2.0 * np.nan_to_num(errors[shown])
    if rest.size:
        labels.append(f"{rest.size} others")
        lengths = np.append(lengths, values[rest].sum())
        whiskers = np.append(whiskers, 0.0)

    def draw(axes: Axes, theme: Theme) -> None:
        places = np.arange(len(labels))[::-1]
        colours = [theme.gain if length >= 0 else theme.loss for length in lengths]
        axes.barh(places, lengths, height=0.7, color=colours)
        if whiskers.any():
            axes.hlines(places, lengths - whiskers, lengths + whiskers, color=theme.ink, linewidth=1.0)
        axes.axvline(0.0, color=theme.muted, linewidth=0.8)
        axes.set_yticks(places, labels)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(unit)

    return draw


def effect_panel(grid: FloatArray, values: FloatArray, feature: str) -> Draw | None:
    """Curve over a feature; the points are where the feature's quantiles are."""
    if grid.size < 2 or not np.isfinite(values).all():
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        axes.plot(grid, values, "o-", color=theme.strategy, markersize=2.6, linewidth=1.3)
        axes.axhline(0.0, color=theme.muted, linewidth=0.7, zorder=1)
        axes.set_xlabel(feature)
        axes.set_ylabel("effect on the score")

    return draw


def heat_panel(values: FloatArray, rows: Sequence[str], columns: Sequence[str], unit: str) -> Draw | None:
    """Table of values as colours: white is none, and for values of both signs one colour a sign.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_columns)
    rows, columns : sequence of str
        Labels; of many columns some are left out.
    unit : str
    """
    if not values.size or not np.isfinite(values).all() or not np.abs(values).max() > 0.0:
        return None
    most = float(np.abs(values).max())

    def draw(axes: Axes, theme: Theme) -> None:
        # Opacity and not a colour map: a colour is then one of the theme's, on any ground.
        for at, row in enumerate(values):
            for sign, colour in ((1.0, theme.gain), (-1.0, theme.loss)):
                alpha = np.clip(sign * row / most, 0.0, 1.0)
                shown = alpha > 0.02
                axes.bar(
                    np.flatnonzero(shown), 0.92, width=0.96, bottom=at - 0.46, color=[(colour, a) for a in alpha[shown]]
                )
        axes.set_xlim(-0.6, values.shape[1] - 0.4)
        axes.set_ylim(values.shape[0] - 0.4, -0.6)
        axes.set_yticks(np.arange(len(rows)), list(rows))
        step = max(1, len(columns) // 8)
        axes.set_xticks(np.arange(0, len(columns), step), list(columns)[::step])
        axes.grid(visible=False)
        axes.set_xlabel(f"{unit}; the darkest is {most:.3g}")

    return draw
