"""Compiled loops of the explanations. They release the interpreter, so that predictions go on beside them."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["box_shap", "inside_boxes"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]
BitArray = NDArray[np.uint64]

_MOST = 64
_ONE = np.uint64(1)
# Weight of a player that must be in a coalition with p - 1 others that must be too and q that must not.
_SHAPLEY = np.zeros((_MOST + 1, _MOST + 1))
for _p in range(1, _MOST + 1):
    for _q in range(_MOST + 1 - _p):
        _SHAPLEY[_p, _q] = 1.0 / (_p * math.comb(_p + _q, _p))


@njit(cache=True, nogil=True)
def inside_boxes(
    X: FloatArray,
    starts: IntArray,
    column: IntArray,
    low: FloatArray,
    high: FloatArray,
    takes_missing: NDArray[np.bool_],
) -> BitArray:
    """Return for each row and leaf which of the leaf's conditions the row meets, as bits, shape (n_rows, n_leaves).

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
        NaN and infinite are missing.
    starts : ndarray of shape (n_leaves + 1,)
        Conditions of leaf i are `starts[i]` to `starts[i + 1]`, at most 64.
    column, low, high, takes_missing : ndarray of shape (n_conditions,)
        A condition is met by ``low < X[:, column] <= high``, or by a missing value if it takes those.
    """
    n_leaves = starts.size - 1
    out = np.zeros((X.shape[0], n_leaves), np.uint64)
    for row in range(X.shape[0]):
        for leaf in range(n_leaves):
            bits = np.uint64(0)
            for i in range(starts[leaf], starts[leaf + 1]):
                x = X[row, column[i]]
                met = low[i] < x <= high[i] if np.isfinite(x) else takes_missing[i]
                if met:
                    bits |= _ONE << np.uint64(i - starts[leaf])
            out[row, leaf] = bits
    return out


@njit(cache=True, nogil=True)
def box_shap(
    inside: BitArray,
    inside_background: BitArray,
    starts: IntArray,
    column: IntArray,
    value: FloatArray,
    n_features: int,
) -> FloatArray:
    """Return the Shapley values of a sum of boxes against the mean of the background, shape (n_rows, n_features).

    A hybrid of a row x and a background row b lies in a leaf's box when every condition is met by the side that
    its feature is taken from. Conditions met by both do not matter; one met by neither closes the leaf; with p
    met by x alone and q by b alone, the leaf is the game that pays its value to a coalition which holds all of
    the p and none of the q. Its Shapley values are ``value / (p C(p+q, p))`` for each of the p and
    ``-value / (q C(p+q, q))`` for each of the q. Those of the sum are their sum.

    Parameters
    ----------
    inside : ndarray of shape (n_rows, n_leaves)
        Of `inside_boxes`.
    inside_background : ndarray of shape (n_background, n_leaves)
    starts, column
        As for `inside_boxes`; a leaf has at most one condition a column.
    value : ndarray of shape (n_leaves,)
    n_features : int
    """
    n_background = inside_background.shape[0]
    out = np.zeros((inside.shape[0], n_features))
    for row in range(inside.shape[0]):
        for leaf in range(starts.size - 1):
            first = starts[leaf]
            count = starts[leaf + 1] - first
            mine = inside[row, leaf]
            for b in range(n_background):
                theirs = inside_background[b, leaf]
                p = 0
                q = 0
                open_ = True
                for k in range(count):
                    x_in = (mine >> np.uint64(k)) & _ONE
                    b_in = (theirs >> np.uint64(k)) & _ONE
                    if x_in == b_in:
                        if x_in == 0:
                            open_ = False
                            break
                    elif x_in == 1:
                        p += 1
                    else:
                        q += 1
                if not open_ or p + q == 0:
                    continue
                gain = value[leaf] * _SHAPLEY[p, q]
                loss = value[leaf] * _SHAPLEY[q, p]
                only = mine ^ theirs
                for k in range(count):
                    if (only >> np.uint64(k)) & _ONE:
                        if (mine >> np.uint64(k)) & _ONE:
                            out[row, column[first + k]] += gain
                        else:
                            out[row, column[first + k]] -= loss
        for j in range(n_features):
            out[row, j] /= n_background
    return out
