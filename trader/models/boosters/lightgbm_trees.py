"""Gradient-boosted trees by LightGBM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from trader.models.boosters.library import LibraryModel, steps_of
from trader.models.extras import optional
from trader.models.rows import Rows, Watch
from trader.models.tree_model import BLOCK
from trader.models.trees import FlatTree, NodeTree, flatten

__all__ = ["LightGBM"]

_DEFAULT_LEFT = 2
_MISSING_SHIFT, _MISSING_NAN = 2, 2


class LightGBM(LibraryModel):
    """Gradient boosting with leaf-wise trees [1]_; parameters as `TreeModel` has them.

    Scores are bit-identical to the library's own. A feature that was never missing in training is read as 0
    where it is missing later, as LightGBM does. Features are drawn for each tree.

    References
    ----------
    .. [1] Ke et al. (2017), "LightGBM: a highly efficient gradient boosting decision tree".
    """

    name: ClassVar[str] = "lightgbm"
    FILE: ClassVar[str] = "trees.txt"

    def _train(self, rows: Rows, n_trees: int, seed: int, watch: Watch | None, start: str | None) -> str:
        lgb = optional("lightgbm", "boosting")
        params = {
            "objective": "regression",
            "metric": "l2",
            "learning_rate": self.learning_rate,
            "num_leaves": self.max_leaves,
            "min_data_in_leaf": self._leaf_rows(rows),
            "lambda_l2": self.l2,
            "feature_fraction": self.feature_share,
            "seed": seed % 2**31,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        data = lgb.Dataset(rows.features, rows.target, weight=rows.weight, params=params)
        shown: dict[str, Any] = {}
        callbacks = []
        if watch is not None:
            shown["train"] = data
            if (later := watch.held_out) is not None:
                shown["held_out"] = data.create_valid(later.features, later.target, weight=later.weight)
            callbacks = [_tell(watch, n_trees, lgb.callback.EarlyStopException)]
        booster = lgb.train(
            params,
            data,
            n_trees,
            init_model=None if start is None else lgb.Booster(model_str=start),
            valid_sets=list(shown.values()),
            valid_names=list(shown),
            callbacks=callbacks,
        )
        text: str = booster.model_to_string()
        return text

    @staticmethod
    def _parsed(text: str, n_features: int) -> tuple[list[FlatTree], float]:
        body, end, _ = text.partition("end of trees")
        _, *blocks = body.split("\nTree=")
        if not end or not blocks:
            raise ValueError("the text is not that of a whole LightGBM model")
        return [_tree(block, n_features) for block in blocks], 0.0


def _tell(watch: Watch, n_trees: int, stop: type[Exception]) -> Callable[[Any], None]:
    def after_tree(env: Any) -> None:
        done = env.iteration - env.begin_iteration + 1
        if done % BLOCK and done < n_trees:
            return
        losses = {name: float(loss) for name, _, loss, *_ in env.evaluation_result_list}
        if not watch.tell(-(-done // BLOCK), steps_of(n_trees), losses["train"], losses.get("held_out")):
            raise stop(env.iteration, env.evaluation_result_list)

    return after_tree


def _tree(block: str, n_features: int) -> FlatTree:
    """Return one tree; its leaves follow its inner nodes as nodes, where the text has them as ~leaf."""
    fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)

    def numbers(key: str, kind: Any) -> Any:
        return np.array(fields[key].split(), dtype=kind)

    value = numbers("leaf_value", np.float64)
    if value.size == 1:
        leaf = np.array([-1])
        return flatten(NodeTree(leaf, leaf, leaf, np.zeros(1), leaf, value), n_features)
    n_inner = value.size - 1
    threshold, decision = numbers("threshold", np.float64), numbers("decision_type", np.int64)
    if fields["num_cat"] != "0":
        raise ValueError("a tree tests categories; only numbers are known here")
    is_tracked = (decision >> _MISSING_SHIFT) & 3 == _MISSING_NAN
    missing_left = np.where(is_tracked, decision & _DEFAULT_LEFT > 0, threshold >= 0.0)
    pad = np.zeros(value.size)
    children = []
    for key in ("left_child", "right_child"):
        child = numbers(key, np.int64)
        children.append(np.concatenate([np.where(child < 0, n_inner + ~child, child), pad.astype(np.int64) - 1]))
    return flatten(
        NodeTree(
            left=children[0],
            right=children[1],
            column=np.concatenate([numbers("split_feature", np.int64), pad]),
            threshold=np.concatenate([threshold, pad]),
            missing_left=np.concatenate([missing_left, pad]),
            value=np.concatenate([np.zeros(n_inner), value]),
        ),
        n_features,
    )
