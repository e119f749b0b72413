"""Exact SHAP values of tree ensembles against a background."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.explain.kernels import box_shap, inside_boxes
from trader.models.tree_model import TreeModel

__all__ = ["LeafBoxes", "boxes_of_trees", "tree_shap"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

_MOST_CONDITIONS = 64  # bits of the word that says which of a leaf's conditions a row meets
_Condition = tuple[float, float, bool]


@dataclasses.dataclass(frozen=True, slots=True)
class LeafBoxes:
    """A tree ensemble as a sum of boxes: each leaf pays its value to the rows inside, and every row adds `baseline`.

    Parameters
    ----------
    n_features : int
    starts : ndarray of shape (n_leaves + 1,)
        Conditions of leaf i are `starts[i]` to `starts[i + 1]`, one a feature that its path tests.
    column : ndarray of shape (n_conditions,)
    low, high : ndarray of shape (n_conditions,)
        Met by ``low < x <= high``.
    takes_missing : ndarray of shape (n_conditions,)
        Whether a missing feature meets it.
    value : ndarray of shape (n_leaves,)
    baseline : float
    """

    n_features: int
    starts: IntArray
    column: IntArray
    low: FloatArray
    high: FloatArray
    takes_missing: NDArray[np.bool_]
    value: FloatArray
    baseline: float

    def inside(self, rows: FloatArray) -> NDArray[np.uint64]:
        """Return which conditions of each leaf the rows meet, as bits, shape (n_rows, n_leaves)."""
        bits: NDArray[np.uint64] = inside_boxes(
            np.array(rows, dtype=np.float64, order="C"),  # a copy: read-only arrays would be a type apart to numba
            self.starts,
            self.column,
            self.low,
            self.high,
            self.takes_missing,
        )
        return bits

    def scores(self, rows: FloatArray) -> FloatArray:
        """Return the sum for each row; unlike a model it never abstains."""
        counts = np.diff(self.starts)
        full = np.array([(1 << int(count)) - 1 for count in counts], dtype=np.uint64)
        total: FloatArray = self.baseline + (self.inside(rows) == full) @ self.value
        return total


def tree_shap(boxes: LeafBoxes, rows: FloatArray, background: FloatArray) -> tuple[FloatArray, float]:
    """Return the Shapley values (n_rows, n_features) and the mean score of the background.

    The game [1]_ pays a coalition S the mean, over background rows b, of the score of the row that has the
    features in S from x and the others from b. It needs no cover counts, is true to the model when features are
    correlated [2]_, and is the same game for every model, so that the values of an ensemble's members add up.

    Parameters
    ----------
    boxes : LeafBoxes
    rows : ndarray of shape (n_rows, n_features)
        NaN is missing, and a value like any other: trees send it one way.
    background : ndarray of shape (n_background, n_features)

    References
    ----------
    .. [1] Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for
       trees"; Laberge and Pequignot (2022), "Understanding interventional TreeSHAP: how and why it works".
    .. [2] Janzing, Minorics and Blöbaum (2020), "Feature relevance quantification in explainable AI: a causal
       problem"; Chen et al. (2020), "True to the model or true to the data?".
    """
    values: FloatArray = box_shap(
        boxes.inside(rows), boxes.inside(background), boxes.starts, boxes.column, boxes.value, boxes.n_features
    )
    return values, float(boxes.scores(background).mean())


def boxes_of_trees(model: TreeModel) -> LeafBoxes:
    """Return the boxes of a fitted model."""
    n_features = len(model.feature_names)
    leaves: list[dict[int, _Condition]] = []
    for first, last in zip(model.node_starts[:-1], model.node_starts[1:], strict=True):
        leaves += _leaves_of_bits(model, int(first), int(last), n_features)
    return _boxes(n_features, leaves, model.value, float(model.baseline[0]))


def _leaves_of_bits(model: TreeModel, first: int, last: int, n_features: int) -> list[dict[int, _Condition]]:
    """Return the conditions of a tree's leaves, from left to right.

    Inner node i stands between leaves i and i + 1. The leaves on its left are the bits that its `keep` lacks; those
    on its right end before the next node that has leaf i on its left.
    """
    n_nodes = last - first
    left_from = []
    for keep in model.keep[first:last]:
        on_left = ~int(keep) & (2**64 - 1)
        left_from.append((on_left & -on_left).bit_length() - 1)
    leaves: list[dict[int, _Condition]] = [{} for _ in range(n_nodes + 1)]
    for node in range(n_nodes):
        above = (other for other in range(node + 1, n_nodes) if left_from[other] <= node)
        right_to = next(above, n_nodes)
        column, missing_right = int(model.column[first + node]), bool(model.column[first + node] >= n_features)
        column -= n_features * missing_right
        limit = float(model.threshold[first + node])
        for leaf in range(left_from[node], right_to + 1):
            path = leaves[leaf]
            path[column] = _narrowed(path, column, limit, leaf <= node, not missing_right)
    return leaves


def _narrowed(path: dict[int, _Condition], column: int, limit: float, on_left: bool, missing_left: bool) -> _Condition:
    low, high, missing = path.get(column, (-np.inf, np.inf, True))
    if on_left:
        return low, min(high, limit), missing and missing_left
    return max(low, limit), high, missing and not missing_left


def _boxes(n_features: int, leaves: list[dict[int, _Condition]], value: FloatArray, baseline: float) -> LeafBoxes:
    deepest = max(len(leaf) for leaf in leaves)
    if deepest > _MOST_CONDITIONS:
        raise DataError(f"a leaf tests {deepest} features; at most {_MOST_CONDITIONS} can be explained exactly")
    items = [(column, *condition) for leaf in leaves for column, condition in leaf.items()]
    return LeafBoxes(
        n_features=n_features,
        starts=np.cumsum([0, *(len(leaf) for leaf in leaves)]).astype(np.int32),
        column=np.array([item[0] for item in items], dtype=np.int32),
        low=np.array([item[1] for item in items], dtype=np.float64),
        high=np.array([item[2] for item in items], dtype=np.float64),
        takes_missing=np.array([item[3] for item in items], dtype=np.bool_),
        value=np.array(value, dtype=np.float64),
        baseline=baseline,
    )
