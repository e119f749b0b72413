"""The axioms that SHAP values are defined by, on random trees, rows and backgrounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.explain.trees import LeafBoxes, boxes_of_trees, tree_shap
from trader.models.boosting import Boosting

NAMES = tuple("abcdef")


# Seed, decimals, share of holes, trees, leaves, rows and background rows.
forests = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(0, 3),
    st.sampled_from([0.0, 0.2]),
    st.integers(1, 4),
    st.integers(2, 12),
    st.integers(1, 5),
    st.integers(1, 9),
)
Case = tuple[int, int, float, int, int, int, int]


def grow(case: Case) -> tuple[LeafBoxes, np.ndarray, np.ndarray]:
    """Return small boosted trees on six features, rows and a background."""
    seed, decimals, holes, n_trees, max_leaves, n_rows, n_background = case
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(120, 6)), decimals)
    x[rng.random(x.shape) < holes] = np.nan
    y = np.nan_to_num(x) @ rng.normal(size=6) + np.nan_to_num(x[:, 0] * x[:, 1]) + np.isnan(x[:, 2])
    model = Boosting(n_trees=n_trees, max_leaves=max_leaves, min_leaf_rows=2).fit(x, y, feature_names=NAMES)
    return boxes_of_trees(model), x[:n_rows], x[50 : 50 + n_background]


@given(forests)
@settings(max_examples=40, deadline=None)
def test_values_and_base_are_the_score(case: Case) -> None:
    """Efficiency: they add up, and the base is the background's mean."""
    boxes, rows, background = grow(case)
    values, base = tree_shap(boxes, rows, background)
    np.testing.assert_allclose(base + values.sum(axis=1), boxes.scores(rows), atol=1e-12)
    np.testing.assert_allclose(base, boxes.scores(background).mean(), atol=1e-12)


@given(forests)
@settings(max_examples=40, deadline=None)
def test_what_is_never_asked_adds_nothing(case: Case) -> None:
    """Dummy: a feature that no path tests has values of exactly 0; so has a row against itself."""
    boxes, rows, background = grow(case)
    values, _ = tree_shap(boxes, rows, background)
    unused = np.setdiff1d(np.arange(6), boxes.column)
    assert not values[:, unused].any()
    assert not tree_shap(boxes, rows[:1], rows[:1])[0].any()


@given(forests, st.permutations(range(6)))
@settings(max_examples=40, deadline=None)
def test_names_do_not_matter(case: Case, order: list[int]) -> None:
    """Symmetry: with columns in another order each feature keeps its values."""
    boxes, rows, background = grow(case)
    place = np.argsort(order)
    moved = LeafBoxes(
        6, boxes.starts, place[boxes.column].astype(np.int32), boxes.low, boxes.high, boxes.takes_missing, boxes.value,
        boxes.baseline,
    )  # fmt: skip
    values, _ = tree_shap(boxes, rows, background)
    np.testing.assert_array_equal(tree_shap(moved, rows[:, order], background[:, order])[0], values[:, order])


@given(forests)
@settings(max_examples=40, deadline=None)
def test_the_background_is_an_average(case: Case) -> None:
    """Against several rows values are the mean of those against each; a batch gives the bits of its rows."""
    boxes, rows, background = grow(case)
    values, _ = tree_shap(boxes, rows, background)
    single = np.mean([tree_shap(boxes, rows, one[None])[0] for one in background], axis=0)
    np.testing.assert_allclose(values, single, atol=1e-12)
    alone = np.concatenate([tree_shap(boxes, row[None], background)[0] for row in rows])
    np.testing.assert_array_equal(alone, values)
