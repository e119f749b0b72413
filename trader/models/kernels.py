"""Compiled loops of the models. No fast-math: sums keep their order, so that rows are independent of batches.

Rows are C-contiguous float64; a missing feature is NaN or infinite.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["calibrate", "combine", "gram", "linear_scores", "tree_scores"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

_LANES = 8
_ALL = np.uint64(2**64 - 1)
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
# Position of the one bit of `b` under the key `b * _DE_BRUIJN >> 58`.
_BIT_POSITION = np.empty(64, np.int32)
_BIT_POSITION[[(((1 << bit) * int(_DE_BRUIJN)) % 2**64) >> 58 for bit in range(64)]] = np.arange(64)


@njit(cache=True)
def linear_scores(
    X: FloatArray,
    columns: IntArray,
    center: FloatArray,
    inverse_scale: FloatArray,
    coefficients: FloatArray,
    intercept: float,
    clip: float,
    needed: int,
) -> FloatArray:
    """Return `intercept + Σ coefficient · clipped z-score` a row; missing adds 0; NaN if fewer than `needed` known.

    The four arrays of shape (n_used,) belong to the `columns` of X that are used.
    """
    out = np.empty(X.shape[0])
    for i in range(X.shape[0]):
        total = intercept
        known = 0
        for k in range(columns.size):
            x = X[i, columns[k]]
            if np.isfinite(x):
                known += 1
                total += coefficients[k] * min(max((x - center[k]) * inverse_scale[k], -clip), clip)
        out[i] = total if known >= needed else np.nan
    return out


@njit(cache=True)
def gram(
    X: FloatArray, y: FloatArray, weight: FloatArray, center: FloatArray, inverse_scale: FloatArray, clip: float
) -> tuple[FloatArray, FloatArray]:
    """Return Z'WZ of shape (n_features, n_features) and Z'Wy for the clipped z-scores Z of X; missing is 0."""
    n_rows, n_features = X.shape
    products = np.zeros((n_features, n_features))
    moments = np.zeros(n_features)
    z = np.empty(n_features)
    for i in range(n_rows):
        for j in range(n_features):
            x = X[i, j]
            z[j] = min(max((x - center[j]) * inverse_scale[j], -clip), clip) if np.isfinite(x) else 0.0
        for j in range(n_features):
            zj = z[j] * weight[i]
            moments[j] += zj * y[i]
            for k in range(j, n_features):
                products[j, k] += zj * z[k]
    for j in range(n_features):
        for k in range(j):
            products[j, k] = products[k, j]
    return products, moments


@njit(cache=True)
def tree_scores(
    X: FloatArray,
    node_starts: IntArray,
    column: IntArray,
    threshold: FloatArray,
    keep: NDArray[np.uint64],
    leaf_starts: IntArray,
    value: FloatArray,
    baseline: float,
    needed: int,
) -> FloatArray:
    """Return `baseline` plus the leaf value of every tree, added in order; NaN if fewer than `needed` known.

    Trees are evaluated without branches by the bit vectors of QuickScorer [1]_, several rows at a time: a row
    starts with all leaves of a tree, each node whose test fails removes the leaves on its left, and the row ends
    in the leftmost leaf that remains.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    node_starts : ndarray of shape (n_trees + 1,)
        Inner nodes of tree i are `node_starts[i]` to `node_starts[i + 1]`.
    column : ndarray of shape (n_nodes,)
        Feature that is tested; `n_features` is added where a missing one goes right.
    threshold : ndarray of shape (n_nodes,)
        A row whose feature is at most this goes left.
    keep : ndarray of shape (n_nodes,)
        Bits of the leaves that a row may still reach when it goes right.
    leaf_starts : ndarray of shape (n_trees,)
        Position in `value` of each tree's leftmost leaf.
    value : ndarray of shape (n_leaves,)

    References
    ----------
    .. [1] Lucchese et al. (2015), "QuickScorer: a fast algorithm to rank documents with additive ensembles of
       regression trees".
    """
    n_rows, n_features = X.shape
    out = np.empty(n_rows)
    cells = np.zeros((2 * n_features, _LANES))
    leaves = np.empty(_LANES, np.uint64)
    for first in range(0, n_rows, _LANES):
        count = min(_LANES, n_rows - first)
        for r in range(count):
            known = 0
            for j in range(n_features):
                x = X[first + r, j]
                finite = np.isfinite(x)
                known += finite
                cells[j, r] = x if finite else -np.inf
                cells[n_features + j, r] = x if finite else np.nan
            out[first + r] = baseline if known >= needed else np.nan
        for tree in range(leaf_starts.size):
            leaves[:] = _ALL
            for node in range(node_starts[tree], node_starts[tree + 1]):
                tested = column[node]
                limit = threshold[node]
                kept = keep[node]
                for r in range(_LANES):
                    leaves[r] &= _ALL if cells[tested, r] <= limit else kept
            for r in range(count):
                lowest = leaves[r] & (~leaves[r] + np.uint64(1))
                leaf = _BIT_POSITION[(lowest * _DE_BRUIJN) >> np.uint64(58)]
                out[first + r] += value[leaf_starts[tree] + leaf]
    return out


@njit(cache=True)
def combine(scores: FloatArray, weights: FloatArray, factors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weighted mean of `scores * factors` over members, and those scaled scores.

    Parameters
    ----------
    scores : ndarray of shape (n_members, n_cells)
        NaN leaves a member out of a cell; the weights of the others are renormalised.
    weights, factors : ndarray of shape (n_members,)

    Returns
    -------
    mean : ndarray of shape (n_cells,)
        NaN where no member with a positive weight has a score.
    scaled : ndarray of shape (n_members, n_cells)
    """
    n_members, n_cells = scores.shape
    mean = np.empty(n_cells)
    scaled = np.empty((n_members, n_cells))
    for i in range(n_cells):
        total = 0.0
        weight = 0.0
        for m in range(n_members):
            scaled[m, i] = scores[m, i] * factors[m]
            if np.isfinite(scaled[m, i]):
                total += weights[m] * scaled[m, i]
                weight += weights[m]
        mean[i] = total / weight if weight > 0.0 else np.nan
    return mean, scaled


@njit(cache=True)
def calibrate(
    scores: FloatArray,
    log_spread: FloatArray,
    platt: FloatArray,
    residual_quantiles: FloatArray,
    residual_volatility: float,
    bound: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return chance of a rise, quantiles and volatility of each scored row; NaN where the score is NaN.

    Parameters
    ----------
    scores, log_spread : ndarray of shape (n_rows,)
        Spreads are kept within `bound` of 0 on the log scale.
    platt : ndarray of shape (2,)
        Intercept and slope of the log odds.
    residual_quantiles : ndarray of shape (n_levels,)
        Of residuals divided by their spread.
    residual_volatility : float
        Of the same.
    """
    n_rows, n_levels = scores.size, residual_quantiles.size
    probability = np.empty(n_rows)
    quantiles = np.empty((n_rows, n_levels))
    volatility = np.empty(n_rows)
    for i in range(n_rows):
        score = scores[i]
        spread = math.exp(min(max(log_spread[i], -bound), bound)) if np.isfinite(score) else np.nan
        probability[i] = 1.0 / (1.0 + math.exp(-(platt[0] + platt[1] * score)))
        for k in range(n_levels):
            quantiles[i, k] = score + spread * residual_quantiles[k]
        volatility[i] = spread * residual_volatility
    return probability, quantiles, volatility
