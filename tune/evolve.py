"""Evolving strategies, the backtests of a generation in parallel on Ray."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray

from trader.core.errors import SettingsError
from trader.settings import Settings
from trader.validation.sharpe import sharpe_ratio
from tune.evolution import ELITE, Individual, evolve
from tune.journal import Journal, Trial, check_name
from tune.objective import FoldScore
from tune.strategy import Arena, Performed, expressed, perform, strategy_space

__all__ = ["EvolveSpec", "run_evolution"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvolveSpec:
    """A search for strategies.

    Parameters
    ----------
    name : str
    population, generations : int
        See `tune.evolution.evolve`.
    seed : int
    share : float
        Of the training span that strategies learn from; the rest of it they trade.
    cpus_per_trial : float
    """

    name: str
    population: int = 16
    generations: int = 8
    seed: int = 7
    share: float = 0.6
    cpus_per_trial: float = 1.0

    def __post_init__(self) -> None:
        check_name(self.name)
        for name, value, least in (("population", self.population, 4), ("generations", self.generations, 1)):
            if value < least:
                raise SettingsError(f"{name}={value} is not allowed; it must be at least {least}")
        if not 0 < self.share < 1:
            raise SettingsError(f"share={self.share} is not allowed; it must lie between 0 and 1")
        if not self.cpus_per_trial > 0:
            raise SettingsError(f"cpus_per_trial={self.cpus_per_trial} is not allowed; it must be positive")

    @property
    def trials(self) -> int:
        """Strategies that will be tried: of every generation but the first, two are of the one before."""
        return self.population + (self.generations - 1) * (self.population - ELITE)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dataclasses.asdict(self)


def run_evolution(
    spec: EvolveSpec,
    arena: Arena,
    columns: Mapping[str, tuple[str, ...]],
    folder: Path,
    *,
    on_trial: Callable[[Trial], None] | None = None,
    on_generation: Callable[[int, Sequence[Individual]], None] | None = None,
) -> list[Trial]:
    """Breed strategies on the cluster this process is connected to; return all that were tried.

    Fitness is the annual Sharpe ratio after costs of what a strategy trades after the data it learnt from. Each
    backtest is in the journal of `folder` as soon as it ends: an evolution that was killed takes the same course
    again and repeats none of them.
    """
    journal = Journal(folder)
    base = arena.past.settings
    shared = [ray.put(thing) for thing in (arena, base, columns)]
    remote = ray.remote(num_cpus=spec.cpus_per_trial, max_retries=1)(perform)
    n_asked = 0

    def evaluate(genomes: Sequence[Mapping[str, Any]]) -> list[float]:
        nonlocal n_asked
        numbered = dict(enumerate(genomes, start=n_asked))
        n_asked += len(genomes)
        waiting: dict[Any, int] = {}
        for number, genome in numbered.items():
            if number not in journal.trials:
                journal.begin(number, genome)
            if journal.trials[number].status == "running":
                waiting[remote.remote(genome, *shared)] = number
        while waiting:
            (done, *_), _ = ray.wait(list(waiting))
            number = waiting.pop(done)
            _record(journal, number, _outcome(done), base)
            if on_trial is not None:
                on_trial(journal.trials[number])
        return [journal.trials[number].score for number in numbered]

    evolve(
        strategy_space(columns),
        evaluate,
        population=spec.population,
        generations=spec.generations,
        seed=spec.seed,
        key=lambda genome: json.dumps(expressed(genome)),
        on_generation=on_generation,
    )
    journal.close()
    return [journal.trials[number] for number in sorted(journal.trials)]


def _outcome(reference: Any) -> Performed:
    try:
        performed: Performed = ray.get(reference)
    except ray.exceptions.RayError as error:
        return Performed((), 0.0, f"the worker died: {str(error).splitlines()[0]}")
    return performed


def _record(journal: Journal, number: int, performed: Performed, base: Settings) -> None:
    sharpe = sharpe_ratio(np.array(performed.returns), base.sizing.bars_per_year)
    if performed.returns and math.isfinite(sharpe):
        journal.fold(number, FoldScore(0, math.nan, math.nan, performed.seconds, performed.returns), sharpe)
        journal.end(number, "complete")
    else:
        journal.end(number, "failed", performed.error or "it never traded")
