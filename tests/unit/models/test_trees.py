"""Flat trees, their way back, and exact limits for single precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trader.core.errors import DataError
from trader.models.trees import NodeTree, below_float32, flatten, unflatten


def _grown(seed: int, n_leaves: int, n_features: int) -> NodeTree:
    """Return a tree of random shape: a leaf chosen at random is split until there are enough."""
    rng = np.random.default_rng(seed)
    left, right, leaves = [-1], [-1], [0]
    while len(leaves) < n_leaves:
        node = leaves.pop(rng.integers(len(leaves)))
        left[node], right[node] = len(left), len(left) + 1
        leaves += [len(left), len(left) + 1]
        left += [-1, -1]
        right += [-1, -1]
    n = len(left)
    return NodeTree(
        np.array(left),
        np.array(right),
        rng.integers(n_features, size=n),
        rng.normal(size=n),
        rng.random(n) < 0.5,
        rng.normal(size=n),
    )


def _walk(tree: NodeTree, row: np.ndarray) -> float:
    """Follow the pointers of a tree to a leaf: the oracle."""
    node = 0
    while tree.left[node] >= 0:
        x = row[tree.column[node]]
        goes_left = tree.missing_left[node] if np.isnan(x) else x <= tree.threshold[node]
        node = tree.left[node] if goes_left else tree.right[node]
    return float(tree.value[node])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 64), st.integers(1, 5))
def test_flat_trees_find_the_leaves_that_pointers_lead_to(seed: int, n_leaves: int, n_features: int) -> None:
    """Any shape of tree, flattened or taken back, gives every row the value of its leaf, missing features included."""
    from trader.models.kernels import tree_scores

    tree = _grown(seed, n_leaves, n_features)
    flat = flatten(tree, n_features)
    rows = np.random.default_rng(seed).normal(size=(20, n_features))
    rows[np.random.default_rng(seed + 1).random(rows.shape) < 0.3] = np.nan
    expected = [_walk(tree, row) for row in rows]
    starts = np.array([0, flat.column.size], np.int32)
    found = tree_scores(rows, starts, flat.column, flat.threshold, flat.keep, np.zeros(1, np.int32), flat.value, 0.0, 0)
    assert found.tolist() == expected
    assert [_walk(unflatten(flat, n_features), row) for row in rows] == expected


def test_trees_that_cannot_be_flat_are_refused() -> None:
    """Too many leaves, a column that does not exist, and pointers that go round are named."""
    with pytest.raises(DataError, match="64 leaves"):
        flatten(_grown(0, 65, 2), 2)
    with pytest.raises(DataError, match="columns below 1"):
        flatten(_grown(0, 8, 5), 1)
    circle = NodeTree(*(np.array(part) for part in ([0], [0], [0], [0.0], [True], [0.0])))
    with pytest.raises(DataError, match="goes round"):
        flatten(circle, 1)


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(float(np.finfo(np.float32).max))
@example(float(np.finfo(np.float32).min))
def test_limits_in_double_are_those_of_single_precision(limit: float) -> None:
    """The largest double that rounds to at most the limit does; the next one does not."""
    single = np.array([limit], dtype=np.float32)
    edge = below_float32(single)
    with np.errstate(over="ignore"):
        assert (edge.astype(np.float32) <= single).all() or np.isinf(edge).all()
        assert not (np.nextafter(edge, np.inf).astype(np.float32) <= single).any() or np.isinf(edge).all()
