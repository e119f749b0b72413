"""Dimensions keep their bounds, and mean to Optuna what they mean to us."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from trader.core.errors import SettingsError
from tune.space import Choice, Dimension, Float, Int, Space, Subset


def _draws(dimension: Dimension, n: int = 4000) -> list[object]:
    rng = np.random.default_rng(1)
    return [dimension.sample(rng) for _ in range(n)]


def test_numbers_are_uniform() -> None:
    """A plain dimension is uniform, a logarithmic one is in its logarithm."""
    assert stats.kstest(_draws(Float(2.0, 5.0)), stats.uniform(2.0, 3.0).cdf).pvalue > 0.01
    logs = np.log(np.array(_draws(Float(0.01, 10.0, log=True)), dtype=float))
    assert stats.kstest(logs, stats.uniform(np.log(0.01), np.log(1000.0)).cdf).pvalue > 0.01


@pytest.mark.parametrize("dimension", [Int(3, 7), Choice(("a", "b", "c"))])
def test_every_value_is_equally_likely(dimension: Dimension) -> None:
    """Whole numbers and choices are drawn evenly, the ends included."""
    _, counts = np.unique(np.array(_draws(dimension)), return_counts=True)
    assert counts.size == (5 if isinstance(dimension, Int) else 3)
    assert stats.chisquare(counts).pvalue > 0.01


def test_subsets_of_all_sizes_occur() -> None:
    """A subset holds at least as many names as asked for, in their order."""
    draws = [draw for draw in _draws(Subset(("a", "b", "c", "d"), least=2)) if isinstance(draw, tuple)]
    assert {len(draw) for draw in draws} == {2, 3, 4}
    assert all(list(draw) == sorted(draw) for draw in draws)


def test_mutation_moves_near() -> None:
    """A number moves by a fifth of its width on average of squares; an ordered choice to a neighbour."""
    rng = np.random.default_rng(2)
    moves = np.array([Float(0.0, 10.0).mutate(5.0, rng) for _ in range(4000)]) - 5.0
    assert np.sqrt(np.mean(moves**2)) == pytest.approx(2.0, rel=0.1)
    assert {Choice((1, 2, 5, 10), ordered=True).mutate(5, rng) for _ in range(50)} == {2, 10}
    assert {Choice(("a", "b", "c")).mutate("a", rng) for _ in range(50)} == {"b", "c"}
    assert all(Int(1, 9).mutate(4, rng) != 4 for _ in range(200))


def test_what_cannot_move_stays() -> None:
    """A dimension of one value has no neighbour."""
    rng = np.random.default_rng(0)
    assert Choice(("a",)).mutate("a", rng) == "a"
    assert Int(3, 3).mutate(3, rng) == 3
    assert Float(2.0, 2.0).mutate(2.0, rng) == 2.0


def test_optuna_gets_the_same_bounds() -> None:
    """Bounds, scale and values are handed on."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    space = Space({"a": Float(0.1, 10.0, log=True), "b": Int(1, 5), "c": Choice(("x", "y"))}, {"d": 1})
    assert space.to_optuna() == {
        "a": FloatDistribution(0.1, 10.0, log=True),
        "b": IntDistribution(1, 5),
        "c": CategoricalDistribution(("x", "y")),
    }
    with pytest.raises(SettingsError, match="subset of names cannot be searched by Optuna"):
        Subset(("a",)).to_optuna()


def test_fixed_values_come_with_every_sample() -> None:
    """They are neither drawn nor mutated."""
    space = Space({"a": Float(0.0, 1.0)}, {"b": 3})
    rng = np.random.default_rng(0)
    params = space.sample(rng)
    assert params["b"] == 3
    assert space.mutate(params, rng) == {"b": 3, "a": pytest.approx(params["a"], abs=1.0)}
    assert Space({}, {"b": 3}).mutate({"b": 3}, rng) == {"b": 3}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Float(2.0, 1.0), "low=2.0, high=1.0"),
        (lambda: Float(0.0, float("nan")), "high=nan"),
        (lambda: Int(0, 5, log=True), "low=0 is not allowed on a log scale"),
        (lambda: Choice(()), "values is empty"),
        (lambda: Subset(("a",), least=2), "least=2"),
    ],
)
def test_impossible_dimensions_are_refused(build: object, message: str) -> None:
    """The bound that is wrong is named."""
    with pytest.raises(SettingsError, match=message):
        build()  # type: ignore[operator]
