"""Options of the searching commands, the cluster they run on, and what they show."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trader.cli.common import err, parse_literal, print_json, stdout_for_results
from trader.core.errors import OperationError, SettingsError
from trader.settings import Settings

if TYPE_CHECKING:
    from tune.evolution import Individual
    from tune.journal import Trial
    from tune.session import Hooks, Outcome

__all__ = [
    "CpusOption",
    "NameOption",
    "ResumeOption",
    "SizeOption",
    "cluster",
    "data_preset",
    "finish",
    "go_on",
    "hooks",
    "split_assignments",
]

SizeOption = Annotated[
    str | None, typer.Option("--preset", help="ci, demo or full: size of the model, and the data if none are given.")
]
NameOption = Annotated[str | None, typer.Option("--name", help="Of the search; the default tells kind and time.")]
ResumeOption = Annotated[str | None, typer.Option("--resume", metavar="NAME", help="Go on with one that was stopped.")]
CpusOption = Annotated[float, typer.Option("--cpus-per-trial", help="Fractions share a core.")]


def data_preset(size: str | None, config: Path | None, data: Path | None, feed: str | None) -> str | None:
    """Return the preset of settings that goes with a size: `full` has the demo's data; own data need none."""
    if config is not None or data is not None or feed is not None:
        return None
    return size if size == "ci" else "demo"


def split_assignments(assignments: Sequence[str] | None) -> tuple[list[str], dict[str, Any]]:
    """Return the assignments of settings (`section.field=value`), and those of hyperparameters (`name=value`).

    >>> split_assignments(["models.horizon=1", "learning_rate=1e-2"])
    (['models.horizon=1'], {'learning_rate': 0.01})
    """
    settings: list[str] = []
    fixed: dict[str, Any] = {}
    for text in assignments or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--set {text!r} is not of the form name=value or section.field=value")
        if "." in key:
            settings.append(text)
        else:
            fixed[key.strip()] = parse_literal(value)
    return settings, fixed


@contextlib.contextmanager
def cluster(settings: Settings) -> Iterator[None]:
    """Give the cluster that the settings name, without dashboard; nothing is printed on stdout meanwhile."""
    from trader.runtime.cluster import cluster as ray_cluster

    with stdout_for_results(), ray_cluster(settings.ray.model_copy(update={"dashboard": False})):
        yield


def go_on(settings: Settings, name: str, *, as_json: bool) -> None:
    """Resume a search or an evolution."""
    from tune.journal import find_search
    from tune.session import resume

    find_search(settings.run.runs_dir, name)  # a name that means nothing needs no cluster
    with cluster(settings):
        outcome = resume(settings, name, hooks=hooks())
    finish(outcome, as_json=as_json)


def hooks() -> Hooks:
    """Return what shows a search to people: a line a trial."""
    from trader.reporting.formats import plural
    from tune.session import Hooks

    best = -math.inf

    def on_start(name: str, trials: int, concurrent: int) -> None:
        at_once = f", {concurrent} at once" if concurrent else ""
        _say(f"Search {name}: {trials} trials{at_once}")

    def on_trial(trial: Trial) -> None:
        nonlocal best
        if trial.status == "complete" and trial.score > best:
            best = trial.score
        after = f" after {plural(len(trial.folds), 'fold')}" if trial.status == "stopped" else ""
        detail = trial.error if trial.status == "failed" else f"score {trial.score:.4f}{after}"
        _say(f"trial {trial.number:3d} {trial.status:8s} {detail}, {trial.seconds:.1f} s; best {best:.4f}")

    def on_generation(number: int, living: Sequence[Individual]) -> None:
        _say(f"generation {number + 1}: best Sharpe ratio {living[0].fitness:.2f}")

    return Hooks(on_start=on_start, on_trial=on_trial, on_generation=on_generation)


def finish(outcome: Outcome, *, as_json: bool) -> None:
    """Show what a search came to.

    Raises
    ------
    OperationError
        If no trial was completed.
    """
    result = outcome.result
    if as_json:
        found = {"name": outcome.name, "folder": outcome.folder, "report": outcome.folder / "report.html"}
        version = None if outcome.version is None else outcome.version.ref
        print_json(found | result.to_dict() | {"version": version, "config": outcome.config})
    counts = ", ".join(f"{count} {status}" for status, count in sorted(result.counts.items()))
    _say(f"Trials: {counts}; {result.n_tried} sets of hyperparameters count for the deflated Sharpe ratio")
    if result.best is None:
        raise OperationError(f"search {outcome.name} completed no trial; its report says why: {outcome.folder}")
    _say(f"Best: trial {result.best.number}, score {result.best.score:.4f}, {dict(result.best.params)}")
    _say(f"Deflated Sharpe {result.deflated_sharpe:.2f}, probability of overfitting {result.pbo:.2f}")
    if outcome.version is not None:
        _say(f"Registered: {outcome.version.ref}")
    if outcome.config is not None:
        _say(f"Trade it: trader run --config {outcome.config}")
    _say(f"Report: {outcome.folder / 'report.html'}")


def _say(text: str) -> None:
    err.print(text, markup=False, highlight=False, soft_wrap=True)
