"""The plots of a search's report. Each function returns what draws on given axes, or None if nothing is to be seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trader.reporting.theme import Draw, Theme
from tune.importance import axis_values
from tune.journal import Trial
from tune.results import SearchResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "budget_panel",
    "curves_panel",
    "epochs_panel",
    "importance_panel",
    "luck_panel",
    "parallel_panel",
    "progress_panel",
]

FloatArray = NDArray[np.float64]

_MOST_AXES = 10
_FAINT = 0.35
_LOG_FROM = 50.0


def parallel_panel(result: SearchResult) -> Draw | None:
    """One line a trial across its hyperparameters to its score; the best on top."""
    scored = [trial for trial in result.trials if math.isfinite(trial.score)]
    axes_values = dict(list(axis_values(scored).items())[:_MOST_AXES])
    if len(scored) < 2 or not axes_values:
        return None
    scales = {name: _Scale(values) for name, values in axes_values.items()}
    scales["score"] = _Scale([trial.score for trial in scored])
    columns = np.array(
        [[scales[name].place(value) for value in values] for name, values in axes_values.items()]
        + [[scales["score"].place(trial.score) for trial in scored]]
    )
    best = result.best

    def draw(axes: Axes, theme: Theme) -> None:
        x = np.arange(len(scales))
        for place, trial in sorted(enumerate(scored), key=lambda item: item[1].score):
            if best is not None and trial.number == best.number:
                axes.plot(x, columns[:, place], color=theme.hold, linewidth=2.2, zorder=4)
            else:
                shade = theme.strategy if trial.status == "complete" else theme.index
                axes.plot(x, columns[:, place], color=shade, linewidth=0.8, alpha=_FAINT)
        for place, scale in enumerate(scales.values()):
            axes.axvline(place, color=theme.grid, linewidth=1.0, zorder=0)
            axes.text(place, -0.04, scale.low, ha="center", va="top", fontsize=7.5, color=theme.muted)
            axes.text(place, 1.03, scale.high, ha="center", va="bottom", fontsize=7.5, color=theme.muted)
        axes.set_xticks(x, [name.removeprefix("sizing.").replace("_", " ") for name in scales], fontsize=8)
        axes.tick_params(axis="x", pad=14)
        axes.set_yticks([])
        axes.set_ylim(-0.02, 1.02)
        for side in ("left", "bottom"):
            axes.spines[side].set_visible(False)

    return draw


def importance_panel(shares: Mapping[str, float]) -> Draw | None:
    """Bars of importance, largest on top."""
    if not shares:
        return None
    names = list(shares)[::-1]

    def draw(axes: Axes, theme: Theme) -> None:
        axes.barh(names, [shares[name] for name in names], color=theme.strategy, height=0.6)
        axes.set_xlabel("share of the scores' variance")
        axes.grid(axis="y", visible=False)

    return draw


def curves_panel(result: SearchResult) -> Draw | None:
    """Scores after each fold, one line a trial; those given up end early."""
    shown = [trial for trial in result.trials if len(trial.scores) > 1 or trial.status == "stopped"]
    if not any(len(trial.scores) > 1 for trial in shown):
        return None
    best = result.best

    def draw(axes: Axes, theme: Theme) -> None:
        for trial in shown:
            is_best = best is not None and trial.number == best.number
            axes.plot(
                np.arange(1, len(trial.scores) + 1),
                trial.scores,
                color=theme.hold if is_best else theme.strategy if trial.status == "complete" else theme.index,
                linewidth=2.0 if is_best else 0.8,
                alpha=1.0 if is_best else _FAINT,
                marker="o",
                markersize=2.5,
                zorder=4 if is_best else 2,
            )
        axes.set_xlabel("walk-forward folds")
        axes.set_ylabel("mean score so far")
        axes.set_xticks(np.arange(1, 1 + max(len(trial.scores) for trial in shown)))

    return draw


def epochs_panel(trial: Trial | None) -> Draw | None:
    """Losses of the best trial's last fit, step by step."""
    steps = [epoch for epoch in trial.epochs if epoch.fold == trial.epochs[-1].fold] if trial and trial.epochs else []
    if len(steps) < 2:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        for name, colour in (("train_loss", theme.index), ("validation_loss", theme.strategy)):
            values = [step.metrics.get(name, math.nan) for step in steps]
            if np.isfinite(values).any():
                axes.plot([step.step for step in steps], values, color=colour, label=name.replace("_", " "))
        axes.set_xlabel("step")
        axes.set_ylabel("loss")
        axes.legend()

    return draw


def progress_panel(result: SearchResult) -> Draw | None:
    """Best completed score against the time spent."""
    if result.best is None:
        return None
    spent = np.cumsum([trial.seconds for trial in result.trials])
    scores = np.array([trial.score if trial.status == "complete" else -np.inf for trial in result.trials])
    best = np.maximum.accumulate(scores)
    known = np.isfinite(best)

    def draw(axes: Axes, theme: Theme) -> None:
        reached = scores > -np.inf
        axes.scatter(spent[reached], scores[reached], s=10, color=theme.index)
        axes.step(spent[known], best[known], where="post", color=theme.strategy)
        axes.set_xlabel("seconds of training, in order of trials")
        axes.set_ylabel("score")

    return draw


def budget_panel(result: SearchResult) -> Draw | None:
    """Seconds that each trial took, and what a completed one takes."""
    if not result.seconds:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        colours = {"complete": theme.strategy, "stopped": theme.index, "failed": theme.hold, "running": theme.accent}
        for status, colour in colours.items():
            chosen = [trial for trial in result.trials if trial.status == status]
            if chosen:
                numbers, seconds = [t.number for t in chosen], [t.seconds for t in chosen]
                axes.bar(numbers, seconds, color=colour, width=0.8, label=status)
        if math.isfinite(result.full_seconds):
            axes.axhline(result.full_seconds / len(result.trials), color=theme.muted, linewidth=0.8, linestyle="--")
        axes.set_xlabel("trial")
        axes.set_ylabel("seconds")
        axes.legend(ncols=4)

    return draw


def luck_panel(result: SearchResult) -> Draw | None:
    """Sharpe ratios of the trials, and what the best of as many worthless ones would show."""
    ratios = np.array([trial.sharpe for trial in result.trials])
    ratios = ratios[np.isfinite(ratios)]
    luck = result.luck
    if ratios.size < 2 or luck is None:
        return None

    def draw(axes: Axes, theme: Theme) -> None:
        axes.hist(ratios, bins=min(20, ratios.size), color=theme.strategy, alpha=0.7)
        axes.axvline(luck.benchmark, color=theme.muted, linestyle="--", label="best of as many worthless trials")
        axes.axvline(luck.sharpe, color=theme.hold, label="best trial")
        axes.set_xlabel("Sharpe ratio per period")
        axes.set_ylabel("trials")
        axes.legend()

    return draw


class _Scale:
    """Puts the values of one axis between 0 and 1."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        self._order = sorted(set(values)) if self._numeric else sorted(set(values), key=str)
        first, last = self._order[0], self._order[-1]
        self._log = self._numeric and first > 0 and last / first > _LOG_FROM
        self.low, self.high = (f"{end:.3g}" if self._numeric else str(end) for end in (first, last))

    def place(self, value: Any) -> float:
        """Return where a value lies."""
        if not self._numeric:
            return self._order.index(value) / max(len(self._order) - 1, 1)
        ends = (float(self._order[0]), float(value), float(self._order[-1]))
        low, at, high = (math.log(end) for end in ends) if self._log else ends
        return (at - low) / (high - low) if high > low else 0.5
