"""The report of a search as one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trader.core.errors import OperationError
from trader.reporting import formats as fmt
from trader.reporting.html import template
from trader.reporting.plots import Plot
from trader.reporting.sections import Grid
from trader.reporting.theme import Draw, render_svg
from tune.importance import importances
from tune.journal import read_spec
from tune.plots import (
    budget_panel,
    curves_panel,
    epochs_panel,
    importance_panel,
    luck_panel,
    parallel_panel,
    progress_panel,
)
from tune.results import SearchResult
from tune.strategy import expressed

__all__ = ["render_report", "write_report"]

_MOST_TRIALS = 15
_WIDE = (9.6, 3.6)
_NARROW = (6.0, 2.9)
_METRIC_NAMES = {
    "ic": "mean out-of-sample rank IC",
    "loss": "out-of-sample loss, negative",
    "sharpe": "Sharpe ratio a year, after costs",
}


def write_report(folder: Path, result: SearchResult) -> Path:
    """Write `report.html` into a search's folder, whole or not at all, and return it.

    Raises
    ------
    OperationError
        If it cannot be written.
    """
    target = folder / "report.html"
    partial = target.with_suffix(".partial")
    try:
        partial.write_text(render_report(folder.name, read_spec(folder), result), encoding="utf-8")
        return partial.replace(target)
    except OSError as error:
        raise OperationError(f"{target} cannot be written: {error.strerror or error}") from error


def render_report(name: str, record: Mapping[str, Any], result: SearchResult) -> str:
    """Return the page of a search; `record` is its `search.json`."""
    spec = record["spec"]
    metric = spec.get("metric", "sharpe")
    return template("search.html.j2", "tune").render(
        name=name,
        kind=record["kind"],
        created=record["created"],
        subject=spec.get("model", "strategies"),
        metric=_METRIC_NAMES[metric],
        sentences=_sentences(result),
        tiles=_tiles(result),
        plots=_plots(result),
        best=_best_grid(result),
        table=_trials_grid(result),
        failures=[(trial.number, trial.error) for trial in result.trials if trial.status == "failed"],
        spec=Grid("Asked for", tuple((key, str(value)) for key, value in spec.items())),
        fingerprint=record["data_fingerprint"],
        code_version=record["code_version"],
    )


def _sentences(result: SearchResult) -> list[tuple[str, str]]:
    """Return what a reader must know, each with its tone."""
    if result.best is None:
        return [("bad", "No trial was completed.")]
    n_tried = fmt.plural(result.n_tried, "set") + " of hyperparameters"
    lines = [("", f"{n_tried} were tried; every one counts.")]
    chance = result.deflated_sharpe
    if math.isfinite(chance):
        sure = chance >= 0.95
        text = "is beyond what luck gives the best of so many" if sure else "cannot be told from the luck of the best"
        lines.append(
            ("good" if sure else "bad", f"The best trial's Sharpe ratio {text}: deflated Sharpe {chance:.2f}.")
        )
    if math.isfinite(result.pbo):
        lot = "mostly worse than the median" if result.pbo >= 0.5 else "mostly better than the median"
        text = f"What is best in one half of the history is {lot} in the other"
        lines.append(("bad" if result.pbo >= 0.5 else "", f"{text}: probability of overfitting {result.pbo:.2f}."))
    return lines


def _tiles(result: SearchResult) -> list[tuple[str, str, str]]:
    best = result.best
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.counts.items()))
    share = result.seconds / result.full_seconds if result.full_seconds else math.nan
    return [
        ("Best score", fmt.number(best.score if best else None, 4), f"trial {best.number}" if best else "none"),
        ("Trials", str(len(result.trials)), counts),
        ("Tried", str(result.n_tried), "for the deflated Sharpe"),
        ("Time", fmt.duration(result.seconds), f"{fmt.percent(share)} of the full budget"),
        ("Deflated Sharpe", fmt.number(result.deflated_sharpe), "probability"),
        ("PBO", fmt.number(result.pbo), "probability"),
    ]


def _plots(result: SearchResult) -> list[Plot]:
    shares = importances(result.trials)
    height = max(1.6, 0.34 * len(shares) + 0.8)
    return [
        _plot(
            "parallel", "Parallel coordinates", "A line a trial; the best in orange.", parallel_panel(result), wide=True
        ),
        _plot("importance", "Importance", "By fANOVA, over all trials with a score.", importance_panel(shares), height),
        _plot("curves", "Learning curves", "Mean score after each fold.", curves_panel(result)),
        _plot("epochs", "Fit of the best trial", "Its last fold.", epochs_panel(result.best)),
        _plot("progress", "Progress", "Best completed score against time.", progress_panel(result)),
        _plot("budget", "Budget", "Seconds of each trial; dashed, what a completed one takes.", budget_panel(result)),
        _plot("luck", "Luck", "Sharpe ratios of all trials.", luck_panel(result)),
    ]


def _plot(
    name: str, title: str, caption: str, draw: Draw | None, height: float = _NARROW[1], *, wide: bool = False
) -> Plot:
    if draw is None:
        return Plot(name, title, "", "")
    wide_svg = render_svg(f"{name}-wide", title, draw, _WIDE) if wide else ""
    return Plot(name, title, caption, render_svg(name, title, draw, (_NARROW[0], height)), wide_svg)


def _best_grid(result: SearchResult) -> Grid | None:
    if result.best is None:
        return None
    params = result.best.params
    shown = expressed(params) if "model" in params else params
    rows = tuple((name, _text(value)) for name, value in shown.items())
    return Grid(f"Trial {result.best.number}, the best", rows)


def _trials_grid(result: SearchResult) -> Grid:
    ranked = sorted(
        result.trials, key=lambda t: (t.status != "complete", -t.score if math.isfinite(t.score) else math.inf)
    )
    rows = tuple(
        (
            str(trial.number),
            trial.status,
            fmt.number(trial.score, 4),
            fmt.number(trial.sharpe, 3),
            str(len(trial.folds)),
            fmt.duration(trial.seconds),
        )
        for trial in ranked[:_MOST_TRIALS]
    )
    return Grid("Best trials", rows, ("Trial", "Status", "Score", "Sharpe per period", "Folds", "Time"))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
