"""Trees as flat arrays, whatever library grew them.

A flat tree is what `trader.models.kernels.tree_scores` reads: its leaves are numbered from left to right, and
inner node k stands between leaves k and k + 1.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["MAX_LEAVES", "FlatTree", "NodeTree", "below_float32", "flatten", "unflatten"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

MAX_LEAVES = 64
"""Bits of the word that holds the leaves a row may reach."""


class FlatTree(NamedTuple):
    """One tree for `tree_scores`; see there."""

    column: IntArray
    threshold: FloatArray
    keep: NDArray[np.uint64]
    value: FloatArray


@dataclasses.dataclass(frozen=True, slots=True)
class NodeTree:
    """One tree as libraries have it: nodes that point to their children; node 0 is the root.

    Parameters
    ----------
    left, right : ndarray of shape (n_nodes,)
        Positions of the children; those of a leaf are negative.
    column : ndarray of shape (n_nodes,)
        Feature that is tested.
    threshold : ndarray of shape (n_nodes,)
        A row whose feature is at most this goes left.
    missing_left : ndarray of bool, shape (n_nodes,)
        Whether a missing feature goes left.
    value : ndarray of shape (n_nodes,)
        Of the leaves.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    column: NDArray[Any]
    threshold: NDArray[Any]
    missing_left: NDArray[Any]
    value: NDArray[Any]


def flatten(tree: NodeTree, n_features: int) -> FlatTree:
    """Return a tree as flat arrays.

    Raises
    ------
    DataError
        If it has more than 64 leaves, tests a column that does not exist, or its nodes are not a tree.
    """
    leaves: list[int] = []
    inner: list[tuple[int, int]] = []
    parents: set[int] = set()

    def visit(node: int) -> int:
        """Return the bits of the leaves below `node`."""
        if tree.left[node] < 0:
            leaves.append(node)
            return 1 << (len(leaves) - 1)
        if node in parents or len(leaves) >= MAX_LEAVES:
            raise DataError(f"a tree of {tree.left.size} nodes goes round or has more than {MAX_LEAVES} leaves")
        parents.add(node)
        on_left = visit(int(tree.left[node]))
        inner.append((node, on_left))
        return on_left | visit(int(tree.right[node]))

    visit(0)
    order = np.array([node for node, _ in inner], dtype=np.int64)
    column = tree.column[order].astype(np.int64)
    if len(leaves) > MAX_LEAVES or np.any((column < 0) | (column >= n_features)):
        raise DataError(
            f"a tree has {len(leaves)} leaves and tests columns {sorted(set(column.tolist()))}; "
            f"at most {MAX_LEAVES} leaves and columns below {n_features} are allowed"
        )
    return FlatTree(
        (column + n_features * ~tree.missing_left[order].astype(np.bool_)).astype(np.int32),
        tree.threshold[order].astype(np.float64),
        np.array([(2**64 - 1) ^ on_left for _, on_left in inner], dtype=np.uint64),
        tree.value[np.array(leaves)].astype(np.float64),
    )


def unflatten(tree: FlatTree, n_features: int) -> NodeTree:
    """Return a flat tree as nodes: the inverse of `flatten` but for the order of the nodes."""
    first_left = [(~int(keep) & (int(keep) + 1)).bit_length() - 1 for keep in tree.keep]
    n_inner = len(first_left)
    left, right = np.full(2 * n_inner + 1, -1), np.full(2 * n_inner + 1, -1)
    order: list[int] = []  # flat position of each node: of an inner node, or n_inner + that of a leaf

    def build(first: int, last: int) -> int:
        """Add the subtree of leaves `first` to `last`; return its root."""
        here = len(order)
        if first == last:
            order.append(n_inner + first)
            return here
        root = max(node for node in range(first, last) if first_left[node] == first)
        order.append(root)
        left[here] = build(first, root)
        right[here] = build(root + 1, last)
        return here

    build(0, n_inner)
    position = np.array(order)
    inner, leaf = np.minimum(position, n_inner), np.maximum(position - n_inner, 0)
    column = np.append(tree.column, 0)[inner]
    return NodeTree(
        left=left,
        right=right,
        column=column % n_features,
        threshold=np.append(tree.threshold, 0.0)[inner],
        missing_left=column < n_features,
        value=np.where(left < 0, tree.value[leaf], 0.0),
    )


def below_float32(limit: NDArray[np.float32]) -> FloatArray:
    """Return the largest doubles that become at most `limit` when rounded to single precision.

    Libraries that read features as single precision are thereby evaluated exactly on doubles:
    ``float32(x) <= limit`` where and only where ``x <= below_float32(limit)``.

    Examples
    --------
    >>> limit = np.array([0.1], dtype=np.float32)
    >>> edge = below_float32(limit)
    >>> (np.float32(edge) <= limit).item(), (np.float32(np.nextafter(edge, 1.0)) <= limit).item()
    (True, False)
    """
    with np.errstate(over="ignore"):  # beyond the largest float is infinity
        above = np.nextafter(limit, np.float32(np.inf))
        middle = 0.5 * (limit.astype(np.float64) + above.astype(np.float64))
        rounds_down = middle.astype(np.float32) <= limit
    return np.where(rounds_down | np.isinf(above), middle, np.nextafter(middle, -np.inf))
