"""Gradient-boosted trees by scikit-learn, the default."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from trader.models.binning import bin_edges, bin_numbers
from trader.models.rows import Rows, Watch
from trader.models.tree_model import BLOCK, TreeModel
from trader.models.trees import FlatTree, NodeTree, flatten

__all__ = ["Boosting"]

FloatArray = NDArray[np.float64]


class Boosting(TreeModel):
    """Histogram gradient boosting [1]_ by scikit-learn's `HistGradientBoostingRegressor`.

    Scores are bit-identical to scikit-learn's own, without its cost of a millisecond or two a call. Further
    training continues from the scores of the trees there are: for the squared loss that is boosting on their
    residuals. The parameters are those of `TreeModel`; features are drawn for each split.

    References
    ----------
    .. [1] Friedman (2001), "Greedy function approximation: a gradient boosting machine"; Ke et al. (2017),
       "LightGBM: a highly efficient gradient boosting decision tree".
    """

    name: ClassVar[str] = "boosting"

    def _grow(self, rows: Rows, n_trees: int, seed: int, watch: Watch | None, *, more: bool) -> None:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        old = self.flat_trees() if more else []
        start, target = 0.0, rows.target
        if more:
            past = self._scores(rows.features)
            start, target = float(self.baseline[0]), rows.target - past
        # scikit-learn cannot bin a column that is never known; a constant offers no split either.
        features = np.where(np.isnan(rows.features).all(axis=0), 0.0, rows.features)
        weight, edges = None, None
        if not (rows.weight == 1.0).all():
            # Given weights it looks for quantiles one by one, sorting each time; bins made before spare it that.
            weight, edges = rows.weight, [bin_edges(column) for column in features.T]
            features = np.stack([bin_numbers(c, e) for c, e in zip(features.T, edges, strict=True)], axis=1)
        estimator = HistGradientBoostingRegressor(
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaves,
            min_samples_leaf=self._leaf_rows(rows),
            l2_regularization=self.l2,
            max_features=self.feature_share,
            early_stopping=False,  # its validation split is random in time
            warm_start=True,
            random_state=seed,
        )
        ends = [n_trees] if watch is None else [*range(BLOCK, n_trees, BLOCK), n_trees]
        for number, end in enumerate(ends, start=1):
            with threadpool_limits(1):
                estimator.set_params(max_iter=end).fit(features, target, sample_weight=weight)
            self._set_trees(old + _flat_trees(estimator, edges), start + float(estimator._baseline_prediction.item()))
            if watch is not None and not watch.step(number, len(ends), self._scores):
                break


def _flat_trees(estimator: Any, edges: list[FloatArray] | None) -> list[FlatTree]:
    """Return the trees of a fitted scikit-learn estimator; with edges, it was fitted on numbers of bins."""
    trees = []
    for iteration in estimator._predictors:
        nodes = iteration[0].nodes
        at_leaf = nodes["is_leaf"].astype(np.bool_)
        threshold = nodes["num_threshold"].astype(np.float64)
        if edges is not None:
            for node in np.flatnonzero(~at_leaf & np.isfinite(threshold)):
                threshold[node] = edges[nodes["feature_idx"][node]][int(threshold[node])]
        tree = NodeTree(
            left=np.where(at_leaf, -1, nodes["left"].astype(np.int64)),
            right=np.where(at_leaf, -1, nodes["right"].astype(np.int64)),
            column=nodes["feature_idx"],
            threshold=threshold,
            missing_left=nodes["missing_go_to_left"],
            value=nodes["value"],
        )
        trees.append(flatten(tree, estimator.n_features_in_))
    return trees
