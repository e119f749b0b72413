"""A genetic algorithm over a space: selection, crossover, mutation, and the best never lost."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trader.core.errors import SettingsError
from tune.space import Params, Space

__all__ = ["ELITE", "Individual", "evolve"]

ELITE = 2
"""Individuals of a generation that go on as they are."""
_TOURNAMENT = 3
_CROSSOVER = 0.7
_IMMIGRANTS = 0.1
"""Share of a generation drawn afresh, so that no part of the space is ever out of reach."""
_ATTEMPTS = 50
"""Tries at a genome that was not seen yet, before a repeated one is taken."""

Genome = Mapping[str, Any]
Evaluate = Callable[[Sequence[Genome]], Sequence[float]]


@dataclasses.dataclass(frozen=True, slots=True)
class Individual:
    """A genome and its fitness, the higher the better; NaN is worse than any number."""

    number: int
    generation: int
    genome: Genome
    fitness: float

    @property
    def rank(self) -> tuple[float, int]:
        """What individuals are ordered by; of equals the earlier is the better."""
        return (-math.inf if math.isnan(self.fitness) else self.fitness, -self.number)


def evolve(
    space: Space,
    evaluate: Evaluate,
    *,
    population: int,
    generations: int,
    seed: int,
    key: Callable[[Genome], str] | None = None,
    on_generation: Callable[[int, Sequence[Individual]], None] | None = None,
) -> list[Individual]:
    """Breed generation after generation; return every individual that was evaluated, in order.

    The first generation is drawn from the whole space. Of each, the two best go on as they are and are not
    evaluated again; the rest of the next one are children: two parents, each the best of three drawn at random, a
    gene of the child from either (in three of ten cases all from the first), then a mutation; and one in ten is
    drawn afresh. What a generation is depends on the seed and the fitness of earlier ones alone, so evaluating in
    parallel changes nothing.

    Parameters
    ----------
    space : Space
    evaluate : callable
        Given genomes, returns the fitness of each.
    population : int
        At least 4.
    generations : int
        At least 1. In all, ``population + (generations - 1) * (population - 2)`` genomes are evaluated.
    seed : int
    key : callable, optional
        Genomes with equal keys are the same; default is all genes.
    on_generation : callable, optional
        Told the number of each generation, from 0, and its individuals, best first.

    Raises
    ------
    SettingsError
        If population or generations are too small.
    """
    for name, value, least in (("population", population, 4), ("generations", generations, 1)):
        if value < least:
            raise SettingsError(f"{name}={value} is not allowed; it must be at least {least}")
    tell = on_generation or (lambda *_: None)
    name_of = key or _all_genes
    seen: set[str] = set()
    everyone: list[Individual] = []
    living: list[Individual] = []
    for generation in range(generations):
        rng = np.random.default_rng([seed, generation])
        elite = living[:ELITE]
        brood = [
            _unseen(functools.partial(_child, space, living, rng), name_of, seen)
            for _ in range(population - len(elite))
        ]
        born = [
            Individual(len(everyone) + place, generation, genome, float(fitness))
            for place, (genome, fitness) in enumerate(zip(brood, evaluate(brood), strict=True))
        ]
        everyone += born
        living = sorted([*elite, *born], key=lambda individual: individual.rank, reverse=True)
        tell(generation, living)
    return everyone


def _child(space: Space, parents: Sequence[Individual], rng: np.random.Generator) -> Params:
    if not parents or rng.random() < _IMMIGRANTS:
        return space.sample(rng)
    mother, father = (_selected(parents, rng) for _ in range(2))
    genome = dict(mother.genome)
    if rng.random() < _CROSSOVER:
        from_father = rng.random(len(space.dimensions)) < 0.5
        genome |= {
            name: father.genome[name] for name, taken in zip(space.dimensions, from_father, strict=True) if taken
        }
    return space.mutate(genome, rng, rate=1.0 / max(len(space.dimensions), 1))


def _selected(parents: Sequence[Individual], rng: np.random.Generator) -> Individual:
    # Parents are sorted, best first.
    return parents[int(rng.integers(len(parents), size=_TOURNAMENT).min())]


def _unseen(draw: Callable[[], Params], name_of: Callable[[Genome], str], seen: set[str]) -> Params:
    """Return a genome that was not seen yet; a space that is used up gives a repeated one."""
    genome = draw()
    for _ in range(_ATTEMPTS):
        if name_of(genome) not in seen:
            break
        genome = draw()
    seen.add(name_of(genome))
    return genome


def _all_genes(genome: Genome) -> str:
    return json.dumps(genome, sort_keys=True)
