"""What all models made of boosted trees share: hyperparameters, the compiled evaluation, further training."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError, ModelError
from trader.models.base import ArrayModel, min_known
from trader.models.kernels import tree_scores
from trader.models.rows import Labelled, Rows, Watch
from trader.models.schema import check_names, check_panel
from trader.models.trees import MAX_LEAVES, FlatTree

__all__ = ["BLOCK", "TreeModel"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

BLOCK = 10
"""Trees between two looks of a monitor."""

_RELATIVE_LEAF = 20


class TreeModel(ArrayModel):
    """Base of gradient-boosted trees [1]_ with a squared loss and no early stopping of their own.

    A library grows the trees on one thread, because its sums depend on the number of threads. They are then
    copied to flat arrays and evaluated by a compiled loop, the same for all libraries: scores of a batch are
    those of its rows to the bit, a call costs microseconds, and a fitted model needs no library.

    Parameters
    ----------
    n_trees : int, default=60
    learning_rate : float, default=0.05
        Above 0, at most 1.
    max_leaves : int, default=8
        Leaves of a tree, from 2 to 64.
    min_leaf_rows : int, default=200
        Rows in a leaf; never more than a twentieth of the training rows.
    l2 : float, default=1.0
        Penalty on leaf values, not negative.
    feature_share : float, default=1.0
        Share of the features that is drawn, by the seed, for a split or tree to choose from. Above 0, at most 1.
    max_rows : int, default=200_000
        Longer training sets are thinned to that many rows, drawn by the seed without replacement.

    References
    ----------
    .. [1] Friedman (2001), "Greedy function approximation: a gradient boosting machine".
    """

    PARAMS: ClassVar[tuple[str, ...]] = (
        "n_trees",
        "learning_rate",
        "max_leaves",
        "min_leaf_rows",
        "l2",
        "feature_share",
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
        feature_share: float = 1.0,
        max_rows: int = 200_000,
    ) -> None:
        bounds = (("n_trees", n_trees, 1), ("min_leaf_rows", min_leaf_rows, 1), ("max_rows", max_rows, 100))
        for key, value, least in (*bounds, ("l2", l2, 0)):
            if not value >= least:
                raise DataError(f"{key}={value} is not allowed; it must be at least {least}")
        if not 2 <= max_leaves <= MAX_LEAVES:
            raise DataError(f"max_leaves={max_leaves} is not allowed; it must be from 2 to {MAX_LEAVES}")
        for key, value in (("learning_rate", learning_rate), ("feature_share", feature_share)):
            if not 0 < value <= 1:
                raise DataError(f"{key}={value} is not allowed; it must be above 0 and at most 1")
        self.n_trees = n_trees
        self.learning_rate = learning_rate
        self.max_leaves = max_leaves
        self.min_leaf_rows = min_leaf_rows
        self.l2 = l2
        self.feature_share = feature_share
        self.max_rows = max_rows

    @abc.abstractmethod
    def _grow(self, rows: Rows, n_trees: int, seed: int, watch: Watch | None, *, more: bool) -> None:
        """Grow so many trees, after those there are if there are to be `more`, and set the arrays.

        Weights have a mean of 1.
        """

    def fit_more(
        self,
        features: FloatArray,
        target: FloatArray,
        *,
        feature_names: tuple[str, ...],
        n_trees: int,
        seed: int = 0,
        instants: NDArray[np.int64] | None = None,
        weight: FloatArray | None = None,
    ) -> Self:
        """Add trees that learn from what the present ones leave unexplained, in old rows or new ones.

        The other arguments are those of `fit_panel`. With enough rows the calibration is renewed as it was
        made; with fewer the model keeps the one it has. A refused call changes nothing.

        Raises
        ------
        ModelError
            If the model is not fitted, or there are too few rows.
        DataError
            If `n_trees` is below 1, or the columns are not those of the fit.
        """
        if not self.feature_names:
            raise ModelError(f"{self.name} is not fitted; call fit_panel or load before fit_more")
        if n_trees < 1:
            raise DataError(f"n_trees={n_trees} is not allowed; it must be at least 1")
        check_names(self.feature_names, tuple(feature_names))
        chosen, weights = check_panel(features, target, self.feature_names, instants, weight)
        labelled = Labelled.of(features[chosen], target[chosen], weights[chosen])
        calibration = self.calibration
        self._learn(labelled, lambda model, rows, _: model._grow_thinned(rows, n_trees, seed, None, more=True), None)
        self.calibration = self.calibration or calibration
        self.n_trees += n_trees
        return self

    def _shorten(self, steps: int) -> None:
        self.n_trees = min(self.n_trees, steps * BLOCK)

    def _fit(self, rows: Rows, names: tuple[str, ...], seed: int, watch: Watch | None) -> None:
        self.feature_names = names
        self._grow_thinned(rows, self.n_trees, seed, watch, more=False)

    def _grow_thinned(self, rows: Rows, n_trees: int, seed: int, watch: Watch | None, *, more: bool) -> None:
        if len(rows) > self.max_rows:
            rows = rows.take(np.sort(np.random.default_rng(seed).choice(len(rows), self.max_rows, replace=False)))
        self._grow(rows.normalised(), n_trees, seed, watch, more=more)

    def _leaf_rows(self, rows: Rows) -> int:
        """Return how many rows a leaf needs at least."""
        return min(self.min_leaf_rows, max(1, len(rows) // _RELATIVE_LEAF))

    def _set_trees(self, trees: Iterable[FlatTree], baseline: float) -> None:
        """Take over trees as flat arrays, as `tree_scores` reads them."""
        columns, thresholds, keeps, values = zip(*trees, strict=True)
        self.node_starts = np.cumsum([0, *(c.size for c in columns)]).astype(np.int32)
        self.leaf_starts = np.cumsum([0, *(v.size for v in values)])[:-1].astype(np.int32)
        self.column = np.concatenate(columns)
        self.threshold = np.concatenate(thresholds)
        self.keep = np.concatenate(keeps)
        self.value = np.concatenate(values)
        self.baseline = np.array([baseline])

    def flat_trees(self) -> list[FlatTree]:
        """Return the trees one by one, in the order in which they are added to `baseline`."""
        ends = [*self.leaf_starts[1:], self.value.size]
        return [
            FlatTree(self.column[a:b], self.threshold[a:b], self.keep[a:b], self.value[c:d])
            for a, b, c, d in zip(self.node_starts[:-1], self.node_starts[1:], self.leaf_starts, ends, strict=True)
        ]

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

    def _read(self, folder: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
        super()._read(folder, arrays)
        self._check_bounds()

    def _check_bounds(self) -> None:
        """Refuse arrays that would make the compiled loop read beyond them."""
        n_inner, n_leaves, n_trees = self.column.size, self.value.size, self.leaf_starts.size
        inner = np.diff(self.node_starts)
        whole = (
            self.node_starts.size == n_trees + 1
            and self.threshold.size == self.keep.size == n_inner
            and n_trees > 0
            and int(self.node_starts[0]) == 0
            and int(self.node_starts[-1]) == n_inner
            and bool(np.all((inner >= 0) & (inner < MAX_LEAVES)))
            and np.array_equal(self.leaf_starts, np.cumsum([0, *(inner[:-1] + 1)]))
            and n_leaves == n_inner + n_trees
            and bool(np.all((self.column >= 0) & (self.column < 2 * len(self.feature_names))))
        )
        if not whole:
            raise DataError("the arrays are not those of trees over the features that are named")
