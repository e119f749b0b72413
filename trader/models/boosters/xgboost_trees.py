"""Gradient-boosted trees by XGBoost."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np

from trader.models.boosters.library import LibraryModel, steps_of
from trader.models.extras import optional
from trader.models.rows import Rows, Watch
from trader.models.tree_model import BLOCK
from trader.models.trees import FlatTree, NodeTree, below_float32, flatten

__all__ = ["XGBoost"]


class XGBoost(LibraryModel):
    """Regularised gradient boosting [1]_ with leaf-wise histogram trees; parameters as `TreeModel` has them.

    The library reads features in single precision, and so do the scores here; it also adds leaves in single
    precision, where ours add in double: scores agree to about 1e-6. `min_leaf_rows` counts rows by their weight.
    Features are drawn for each tree.

    References
    ----------
    .. [1] Chen and Guestrin (2016), "XGBoost: a scalable tree boosting system".
    """

    name: ClassVar[str] = "xgboost"
    FILE: ClassVar[str] = "trees.json"

    def _train(self, rows: Rows, n_trees: int, seed: int, watch: Watch | None, start: str | None) -> str:
        xgb = optional("xgboost", "boosting")
        params = {
            "objective": "reg:squarederror",
            "tree_method": "hist",
            "grow_policy": "lossguide",
            "max_depth": 0,
            "max_leaves": self.max_leaves,
            "learning_rate": self.learning_rate,
            "min_child_weight": self._leaf_rows(rows),
            "reg_lambda": self.l2,
            "colsample_bytree": self.feature_share,
            "seed": seed % 2**31,
            "nthread": 1,
            "verbosity": 0,
        }
        data = xgb.DMatrix(rows.features, rows.target, weight=rows.weight, nthread=1)
        shown = [(data, "train")]
        if watch is not None and (later := watch.held_out) is not None:
            shown.append((xgb.DMatrix(later.features, later.target, weight=later.weight, nthread=1), "held_out"))
        booster = xgb.Booster(params, [matrix for matrix, _ in shown])
        if start is not None:
            booster.load_model(bytearray(start, "utf-8"))
            booster.set_param(params)
        first = booster.num_boosted_rounds()
        for done in range(1, n_trees + 1):
            booster.update(data, first + done - 1)
            if watch is not None and (done % BLOCK == 0 or done == n_trees):
                losses = [float(part.rpartition(":")[2]) ** 2 for part in booster.eval_set(shown, done).split()[1:]]
                if not watch.tell(-(-done // BLOCK), steps_of(n_trees), losses[0], losses[1] if losses[1:] else None):
                    break
        return bytes(booster.save_raw("json")).decode()

    @staticmethod
    def _parsed(text: str, n_features: int) -> tuple[list[FlatTree], float]:
        learner = json.loads(text)["learner"]
        trees = [_tree(tree, n_features) for tree in learner["gradient_booster"]["model"]["trees"]]
        (baseline,) = json.loads(learner["learner_model_param"]["base_score"])
        return trees, float(np.float32(baseline))


def _tree(tree: dict[str, Any], n_features: int) -> FlatTree:
    if any(tree["split_type"]):
        raise ValueError("a tree tests categories; only numbers are known here")
    number = np.array(tree["split_conditions"], dtype=np.float32)  # a limit in inner nodes, a value in leaves
    return flatten(
        NodeTree(
            left=np.array(tree["left_children"]),
            right=np.array(tree["right_children"]),
            column=np.array(tree["split_indices"]),
            threshold=below_float32(np.nextafter(number, np.float32(-np.inf))),  # XGBoost goes left below a limit
            missing_left=np.array(tree["default_left"]),
            value=number,
        ),
        n_features,
    )
