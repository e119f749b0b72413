"""Gradient-boosted trees: fitted by scikit-learn, kept and evaluated as flat arrays."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.models.base import ArrayModel, min_known
from trader.models.kernels import tree_scores
from trader.models.rows import Rows, Watch

__all__ = ["Boosting"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

_RELATIVE_LEAF = 20
_BLOCK = 10  # trees between two looks of a monitor
_MAX_LEAVES = 64  # bits of the word that holds the leaves a row may reach


class Boosting(ArrayModel):
    """Histogram gradient boosting [1]_ with a squared loss and no early stopping.

    Scikit-learn's `HistGradientBoostingRegressor` grows the trees on one thread (its sums depend on the number
    of threads). They are then copied to flat arrays, which are also the saved format, and evaluated by a
    compiled loop that adds leaf values in scikit-learn's order: the scores are bit-identical to its own without
    its cost of a millisecond or two a call.

    Parameters
    ----------
    n_trees : int, default=60
    learning_rate : float, default=0.05
    max_leaves : int, default=8
        Leaves of a tree, from 2 to 64.
    min_leaf_rows : int, default=200
        Rows in a leaf; never more than a twentieth of the training rows.
    l2 : float, default=1.0
        Penalty on leaf values, not negative.
    max_rows : int, default=200_000
        Longer training sets are thinned to that many rows, drawn by `seed` without replacement.

    References
    ----------
    .. [1] Friedman (2001), "Greedy function approximation: a gradient boosting machine"; Ke et al. (2017),
       "LightGBM: a highly efficient gradient boosting decision tree".
    """

    name: ClassVar[str] = "boosting"
    PARAMS: ClassVar[tuple[str, ...]] = (
        "n_trees",
        "learning_rate",
        "max_leaves",
        "min_leaf_rows",
        "l2",
        "max_rows",
    )
    ARRAYS: ClassVar[tuple[str, ...]] = (
        "node_starts",
        "column",
        "threshold",
        "keep",
        "leaf_starts",
        "value",
        "baseline",
    )

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "ci": {"n_trees": 20, "max_rows": 20_000},
            "demo": {},
            "full": {"n_trees": 400, "learning_rate": 0.02, "max_leaves": 16, "max_rows": 2_000_000},
        }
    )

    node_starts: IntArray
    column: IntArray
    threshold: FloatArray
    keep: NDArray[np.uint64]
    leaf_starts: IntArray
    value: FloatArray
    baseline: FloatArray

    def __init__(
        self,
        *,
        n_trees: int = 60,
        learning_rate: float = 0.05,
        max_leaves: int = 8,
        min_leaf_rows: int = 200,
        l2: float = 1.0,
        max_rows: int = 200_000,
    ) -> None:
        bounds = (("n_trees", n_trees, 1), ("min_leaf_rows", min_leaf_rows, 1), ("max_rows", max_rows, 100))
        for key, value, least in (*bounds, ("l2", l2, 0)):
            if not value >= least:
                raise DataError(f"{key}={value} is not allowed; it must be at least {least}")
        if not 2 <= max_leaves <= _MAX_LEAVES:
            raise DataError(f"max_leaves={max_leaves} is not allowed; it must be from 2 to {_MAX_LEAVES}")
        if not 0 < learning_rate <= 1:
            raise DataError(f"learning_rate={learning_rate} is not allowed; it must be above 0 and at most 1")
        self.n_trees = n_trees
        self.learning_rate = learning_rate
        self.max_leaves = max_leaves
        self.min_leaf_rows = min_leaf_rows
        self.l2 = l2
        self.max_rows = max_rows

    def _unfitted(self, steps: int | None = None) -> Self:
        model = super()._unfitted()
        model.n_trees = self.n_trees if steps is None else min(self.n_trees, steps * _BLOCK)
        return model

    def _fit(self, rows: Rows, names: tuple[str, ...], seed: int, watch: Watch | None) -> None:  # noqa: ARG002
        if len(rows) > self.max_rows:
            rows = rows.take(np.sort(np.random.default_rng(seed).choice(len(rows), self.max_rows, replace=False)))
        # scikit-learn cannot bin a column that is never known; a constant offers no split either.
        features = np.where(np.isnan(rows.features).all(axis=0), 0.0, rows.features)
        weight = None if (rows.weight == rows.weight[0]).all() else rows.weight / rows.weight.mean()
        self._grow(features, rows.target, weight, seed, watch)

    def _grow(
        self, features: FloatArray, target: FloatArray, weight: FloatArray | None, seed: int, watch: Watch | None
    ) -> None:
        """Grow the trees, in blocks where a watch wants to see them; both ways give the same bits."""
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        estimator = HistGradientBoostingRegressor(
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaves,
            min_samples_leaf=min(self.min_leaf_rows, max(1, target.size // _RELATIVE_LEAF)),
            l2_regularization=self.l2,
            early_stopping=False,  # its validation split is random in time
            warm_start=True,
            random_state=seed,
        )
        ends = [self.n_trees] if watch is None else [*range(_BLOCK, self.n_trees, _BLOCK), self.n_trees]
        for number, end in enumerate(ends, start=1):
            with threadpool_limits(1):
                estimator.set_params(max_iter=end).fit(features, target, sample_weight=weight)
            self._flatten(estimator)
            if watch is not None and not watch.step(number, len(ends), self._scores):
                break

    def _flatten(self, estimator: Any) -> None:
        """Copy the trees into flat arrays, as `tree_scores` reads them."""
        trees = [_flat_tree(iteration[0].nodes, estimator.n_features_in_) for iteration in estimator._predictors]
        columns, thresholds, keeps, values = zip(*trees, strict=True)
        self.node_starts = np.cumsum([0, *(c.size for c in columns)]).astype(np.int32)
        self.leaf_starts = np.cumsum([0, *(v.size for v in values)])[:-1].astype(np.int32)
        self.column = np.concatenate(columns)
        self.threshold = np.concatenate(thresholds)
        self.keep = np.concatenate(keeps)
        self.value = np.concatenate(values)
        self.baseline = np.asarray(estimator._baseline_prediction, dtype=np.float64).reshape(1)

    def _scores(self, features: FloatArray) -> FloatArray:
        scores: FloatArray = tree_scores(
            features,
            self.node_starts,
            self.column,
            self.threshold,
            self.keep,
            self.leaf_starts,
            self.value,
            float(self.baseline[0]),
            min_known(features.shape[1]),
        )
        return scores


def _flat_tree(nodes: NDArray[np.void], n_features: int) -> tuple[IntArray, FloatArray, NDArray[np.uint64], FloatArray]:
    """Return column, threshold and keep of a tree's inner nodes, and the value of its leaves from left to right."""
    leaves: list[int] = []
    inner: list[tuple[int, int]] = []

    def visit(node: int) -> int:
        """Return the bits of the leaves below `node`, numbered from left to right."""
        if nodes["is_leaf"][node]:
            leaves.append(node)
            return 1 << (len(leaves) - 1)
        on_left = visit(int(nodes["left"][node]))
        inner.append((node, on_left))
        return on_left | visit(int(nodes["right"][node]))

    visit(0)
    order = np.array([node for node, _ in inner], dtype=np.int64)
    goes_right = nodes["missing_go_to_left"][order] == 0
    return (
        (nodes["feature_idx"][order] + n_features * goes_right).astype(np.int32),
        nodes["num_threshold"][order].astype(np.float64),
        np.array([(2**64 - 1) ^ on_left for _, on_left in inner], dtype=np.uint64),
        nodes["value"][np.array(leaves)].astype(np.float64),
    )
