"""The genetic algorithm: seeded, never worse, and better than drawing at random."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from trader.core.errors import SettingsError
from tune.evolution import ELITE, Individual, evolve
from tune.space import Choice, Float, Int, Space, Subset

SPACE = Space(
    {f"x{place}": Float(0.0, 1.0) for place in range(5)}
    | {"n": Int(1, 20), "kind": Choice(tuple("abcdefgh")), "names": Subset(tuple("pqrstuvw"))}
)
PLANTED = {"n": 7, "kind": "f", "names": ("q", "r", "v")}


def _fitness(genome: Mapping[str, Any]) -> float:
    """Greatest, 0, at one genome."""
    numbers = sum((genome[f"x{place}"] - 0.15 * place - 0.2) ** 2 for place in range(5))
    others = 0.02 * abs(genome["n"] - PLANTED["n"]) + 0.3 * (genome["kind"] != PLANTED["kind"])
    return -float(numbers + others + 0.2 * len(set(genome["names"]) ^ set(PLANTED["names"])))


def _evolve(seed: int, **options: Any) -> list[Individual]:
    def evaluate(genomes: Sequence[Mapping[str, Any]]) -> list[float]:
        return [_fitness(genome) for genome in genomes]

    return evolve(SPACE, evaluate, **{"population": 16, "generations": 10, "seed": seed} | options)


def test_equal_seeds_take_equal_courses() -> None:
    """Genomes and fitness repeat; another seed takes another course."""
    assert _evolve(1) == _evolve(1)
    assert _evolve(1) != _evolve(2)


def test_the_best_is_never_lost() -> None:
    """The best of the living never gets worse, and is the best that was ever evaluated."""
    living: list[Sequence[Individual]] = []
    everyone = _evolve(3, on_generation=lambda _number, individuals: living.append(individuals))
    bests = [generation[0].fitness for generation in living]
    assert bests == sorted(bests)
    assert bests[-1] == max(individual.fitness for individual in everyone)
    for before, after in itertools.pairwise(living):
        assert all(individual in after for individual in before[:ELITE])


def test_it_beats_random_search_at_equal_budget() -> None:
    """On a planted optimum it ends nearer in at least nine of ten runs, by a third in the median."""
    ratios = []
    for seed in range(10):
        everyone = _evolve(seed)
        rng = np.random.default_rng(1000 + seed)
        at_random = max(_fitness(SPACE.sample(rng)) for _ in everyone)
        ratios.append(max(individual.fitness for individual in everyone) / at_random)
    assert sum(ratio < 1.0 for ratio in ratios) >= 9
    assert float(np.median(ratios)) < 2 / 3


def test_budget_is_as_stated() -> None:
    """The elite is not evaluated again, and no genome twice."""
    everyone = _evolve(4)
    assert len(everyone) == 16 + 9 * (16 - ELITE)
    assert [individual.number for individual in everyone] == list(range(len(everyone)))
    assert len({json.dumps(individual.genome) for individual in everyone}) == len(everyone)


def test_genomes_with_equal_keys_are_evaluated_once() -> None:
    """As long as the space has others."""
    everyone = _evolve(5, key=lambda genome: str(genome["n"]), population=6, generations=2)
    assert len({individual.genome["n"] for individual in everyone}) == len(everyone)


def test_a_space_that_is_used_up_repeats() -> None:
    """Two genomes are enough for any number of generations."""
    small = Space({"kind": Choice(("a", "b"))})
    everyone = evolve(small, lambda genomes: [0.0] * len(genomes), population=4, generations=3, seed=0)
    assert len(everyone) == 8


def test_nan_is_worse_than_anything() -> None:
    """Individuals that could not be judged are never among the best while others were."""
    ends: list[Sequence[Individual]] = []

    def evaluate(genomes: Sequence[Mapping[str, Any]]) -> list[float]:
        return [math.nan if genome["kind"] != "a" else -1e9 for genome in genomes]

    evolve(
        Space({"kind": Choice(("a", "b")), "x": Float(0.0, 1.0)}),
        evaluate,
        population=8,
        generations=2,
        seed=1,
        on_generation=lambda _number, individuals: ends.append(individuals),
    )
    for individuals in ends:
        known = [not math.isnan(individual.fitness) for individual in individuals]
        assert known == sorted(known, reverse=True)


@pytest.mark.parametrize(
    ("options", "message"), [({"population": 3}, "population=3"), ({"generations": 0}, "generations=0")]
)
def test_too_small_is_refused(options: dict[str, int], message: str) -> None:
    """The argument is named."""
    with pytest.raises(SettingsError, match=message):
        _evolve(0, **options)
