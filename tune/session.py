"""A whole search: data, trials, account, report, winner."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from trader import __version__
from trader.core.errors import DataError, Interrupted, UserError
from trader.data.feeds import open_feed
from trader.engine.plan import train_end_ns
from trader.engine.training_set import Past, read_past
from trader.models.walk_forward import walk_forward_folds
from trader.registry import ModelVersion
from trader.settings import Settings
from tune.cluster import room_for
from tune.evolution import Individual
from tune.evolve import EvolveSpec, run_evolution
from tune.journal import Journal, Trial, find_search, read_spec, search_dir
from tune.objective import middle_first
from tune.report import write_report
from tune.results import SearchResult, summarise, write_trials
from tune.search import run_search
from tune.spec import SearchSpec
from tune.strategy import arena_of, column_names, settings_of
from tune.winner import register_winner

__all__ = ["Hooks", "Outcome", "evolve", "resume", "search"]

_STRATEGY = ("feed", "bars", "features", "models", "sizing", "execution", "risk")
"""Sections that make a strategy: they go into `best.yaml`."""
_FEWEST_FOR_IC = 5
_WHERE = ("ray", "serve", "store", "telemetry", "registry")
"""Sections that say where things run and lie, not what is searched: a resumed search takes them anew."""


@dataclasses.dataclass(frozen=True, slots=True)
class Hooks:
    """What the caller wants to be told; the defaults listen to nothing."""

    on_progress: Callable[[str, float], None] = lambda _stage, _share: None
    on_start: Callable[[str, int, int], None] = lambda _name, _trials, _concurrent: None
    on_trial: Callable[[Trial], None] = lambda _trial: None
    on_generation: Callable[[int, Sequence[Individual]], None] = lambda _number, _living: None


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a search left behind.

    Parameters
    ----------
    name : str
    folder : Path
        With `report.html` and `trials.parquet`.
    result : SearchResult
    version : ModelVersion or None
        Of the winner, where it was registered.
    config : Path or None
        Settings of the best strategy of an evolution, for `trader run --config`.
    """

    name: str
    folder: Path
    result: SearchResult
    version: ModelVersion | None = None
    config: Path | None = None


def search(settings: Settings, spec: SearchSpec, *, register: bool = True, hooks: Hooks | None = None) -> Outcome:
    """Search the hyperparameters of a model on the cluster this process is connected to.

    Nothing after `models.train_end` is read (null: after `models.train_fraction` of the span): what the winner is
    worth there, no trial has seen.

    Raises
    ------
    UserError
        If data, dates or the specification cannot be used, or there is a search of that name.
    Interrupted
        If it was stopped before all trials had ended; what was found is kept.
    """
    spec = dataclasses.replace(spec, concurrent=room_for(spec).concurrent)
    past = _past(settings, hooks or Hooks())
    folder = search_dir(settings.run.runs_dir, spec.name)
    Journal(folder).create(_record("search", spec.to_dict(), past, register=register))
    return _search(past, spec, folder, register=register, hooks=hooks or Hooks())


def evolve(settings: Settings, spec: EvolveSpec, *, hooks: Hooks | None = None) -> Outcome:
    """Evolve strategies on the cluster this process is connected to, within the training span.

    Raises
    ------
    UserError
        If data, dates or the specification cannot be used, or there is a search of that name.
    """
    past = _past(settings, hooks or Hooks())
    folder = search_dir(settings.run.runs_dir, spec.name)
    Journal(folder).create(_record("evolve", spec.to_dict(), past, register=False))
    return _evolve(past, spec, folder, hooks or Hooks())


def resume(settings: Settings, name: str, *, hooks: Hooks | None = None) -> Outcome:
    """Go on with a search or an evolution; one that has ended is only accounted for again.

    What shapes the search is as it was begun; where it runs is taken from `settings`.

    Raises
    ------
    NotFoundError
        If there is none of that name.
    DataError
        If the data are not those it began with, or its files cannot be read.
    """
    hooks = hooks or Hooks()
    folder = find_search(settings.run.runs_dir, name)
    record = read_spec(folder)
    try:
        kind, content, fingerprint = record["kind"], record["spec"], record["data_fingerprint"]
        kept = Settings.model_validate(dict(record["settings"]) | {part: getattr(settings, part) for part in _WHERE})
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / 'search.json'} is not a search's: {error!r}") from error
    kept = kept.model_copy(update={"run": kept.run.model_copy(update={"runs_dir": settings.run.runs_dir})})
    past = _past(kept, hooks)
    if past.data.fingerprint != fingerprint:
        raise DataError(f"search {name} began on data {fingerprint[:12]}, now {past.data.fingerprint[:12]}")
    if kind == "evolve":
        return _evolve(past, EvolveSpec(**content), folder, hooks)
    return _search(past, SearchSpec.from_dict(content), folder, register=record["register"], hooks=hooks)


def _search(past: Past, spec: SearchSpec, folder: Path, *, register: bool, hooks: Hooks) -> Outcome:
    settings, data = past.settings, past.data
    if spec.metric == "ic" and len(data.symbols) < _FEWEST_FOR_IC:
        raise UserError(
            f"metric='ic' ranks symbols against each other and needs at least {_FEWEST_FOR_IC}; the data have "
            f"{len(data.symbols)}: use metric='loss'"
        )
    folds = middle_first(walk_forward_folds(data, settings.models))
    hooks.on_start(spec.name, spec.trials, spec.concurrent)
    costs = settings.execution
    trials = run_search(
        spec,
        data,
        folds,
        folder,
        concurrent=spec.concurrent,
        cost_bps=costs.half_spread_bps + costs.commission_bps,
        on_trial=hooks.on_trial,
    )
    _stop_if_unfinished(spec.name, trials, spec.trials)
    result = _account(folder, trials)
    version = None
    if register and result.best is not None:
        version = register_winner(spec, result, past, hooks.on_progress)
    return Outcome(spec.name, folder, result, version)


def _evolve(past: Past, spec: EvolveSpec, folder: Path, hooks: Hooks) -> Outcome:
    arena = arena_of(past, spec.share)
    columns = column_names(past.schema.names, past.settings.features.bars_per_day)
    hooks.on_start(spec.name, spec.trials, 0)
    trials = run_evolution(spec, arena, columns, folder, on_trial=hooks.on_trial, on_generation=hooks.on_generation)
    result = _account(folder, trials)
    config = None
    if result.best is not None:
        config = folder / "best.yaml"
        config.write_text(_as_yaml(settings_of(result.best.params, past.settings), spec, result), encoding="utf-8")
    return Outcome(spec.name, folder, result, config=config)


def _past(settings: Settings, hooks: Hooks) -> Past:
    feed = open_feed(settings.feed, seed=settings.run.seed)
    if feed.info.span_ns is None:
        raise DataError(f"feed {feed.info.name!r} has no history to search in")
    return read_past(feed, settings, train_end_ns(settings, feed.info.span_ns), hooks.on_progress)


def _record(kind: str, spec: Mapping[str, Any], past: Past, *, register: bool) -> dict[str, Any]:
    return {
        "kind": kind,
        "spec": dict(spec),
        "register": register,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "code_version": __version__,
        "data_fingerprint": past.data.fingerprint,
        "train_end_ns": past.span_ns[1],
        "settings": past.settings.model_dump(mode="json"),
    }


def _account(folder: Path, trials: Sequence[Trial]) -> SearchResult:
    write_trials(trials, folder / "trials.parquet")
    result = summarise(trials)
    write_report(folder, result)
    return result


def _stop_if_unfinished(name: str, trials: Sequence[Trial], wanted: int) -> None:
    ended = sum(trial.status != "running" for trial in trials)
    if ended < wanted:
        raise Interrupted(f"{ended} of {wanted} trials have ended; go on with: trader tune search --resume {name}")


def _as_yaml(settings: Settings, spec: EvolveSpec, result: SearchResult) -> str:
    content = settings.model_dump(mode="json", include=set(_STRATEGY))
    content["run"] = {"seed": settings.run.seed, "trials": result.n_tried}
    head = f"# The best of {result.n_tried} strategies of evolution {spec.name}.\n"
    return head + str(yaml.safe_dump(content, sort_keys=False))
