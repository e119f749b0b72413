"""Whatever is drawn or moved stays inside its dimension."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tune.space import Choice, Float, Int, Space, Subset

seeds = st.integers(0, 2**32 - 1)


@given(low=st.floats(1e-6, 1e6), factor=st.floats(1.0, 1e6), log=st.booleans(), seed=seeds)
def test_floats_stay_inside(low: float, factor: float, log: bool, seed: int) -> None:
    """Samples and mutations, at the ends too, respect the bounds to the last bit."""
    dimension, rng = Float(low, low * factor, log=log), np.random.default_rng(seed)
    for value in (dimension.sample(rng), dimension.low, dimension.high):
        assert dimension.low <= value <= dimension.high
        assert dimension.low <= dimension.mutate(value, rng) <= dimension.high


@given(low=st.integers(1, 1000), width=st.integers(0, 1000), log=st.booleans(), seed=seeds)
def test_ints_stay_inside(low: int, width: int, log: bool, seed: int) -> None:
    """Whole numbers stay whole, inside, and move unless there is nowhere to go."""
    dimension, rng = Int(low, low + width, log=log), np.random.default_rng(seed)
    for value in (dimension.sample(rng), dimension.low, dimension.high):
        moved = dimension.mutate(value, rng)
        assert isinstance(moved, int)
        assert dimension.low <= moved <= dimension.high
        assert moved != value or width == 0


@given(names=st.lists(st.text("abcdefgh", min_size=1), min_size=1, unique=True), data=st.data(), seed=seeds)
def test_subsets_keep_their_least(names: list[str], data: st.DataObject, seed: int) -> None:
    """Mutations keep order and size, and change something where something can change."""
    least = data.draw(st.integers(1, len(names)))
    dimension, rng = Subset(tuple(names), least), np.random.default_rng(seed)
    value = dimension.sample(rng)
    moved = dimension.mutate(value, rng)
    for subset in (value, moved):
        assert len(subset) >= least
        assert [name for name in names if name in subset] == list(subset)


@given(seed=seeds)
def test_equal_seeds_draw_equal_params(seed: int) -> None:
    """Sampling and mutation depend on the generator alone."""
    space = Space({"a": Float(0.0, 1.0), "b": Int(1, 9), "c": Choice(("x", "y")), "d": Subset(("p", "q"))})
    one, other = (np.random.default_rng(seed) for _ in range(2))
    drawn = space.sample(one)
    assert drawn == space.sample(other)
    assert space.mutate(drawn, one) == space.mutate(drawn, other)
