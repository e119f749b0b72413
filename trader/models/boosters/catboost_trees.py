"""Gradient-boosted trees by CatBoost."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from trader.models.boosters.library import LibraryModel, steps_of
from trader.models.extras import optional
from trader.models.rows import Rows, Watch
from trader.models.tree_model import BLOCK
from trader.models.trees import FlatTree, below_float32

__all__ = ["CatBoost"]

_VOLATILE = ("model_guid", "train_finish_time")


class CatBoost(LibraryModel):
    """Gradient boosting with symmetric trees [1]_, all nodes of a level asking the same question.

    Scores agree with the library's to the last bits of a sum in double precision; it reads features in single
    precision, and so do the scores here. Missing is below every number. Features are drawn for each level.

    Parameters
    ----------
    n_trees, learning_rate, l2, feature_share, max_rows
        As `TreeModel` has them.
    max_leaves : int, default=8
        A symmetric tree has a power of two: the largest that is not more.

    References
    ----------
    .. [1] Prokhorenkova et al. (2018), "CatBoost: unbiased boosting with categorical features".
    """

    name: ClassVar[str] = "catboost"
    FILE: ClassVar[str] = "trees.json"
    PARAMS: ClassVar[tuple[str, ...]] = ("n_trees", "learning_rate", "max_leaves", "l2", "feature_share", "max_rows")

    def __init__(
        self,
        *,
        n_trees: int = 60,
        learning_rate: float = 0.05,
        max_leaves: int = 8,
        l2: float = 1.0,
        feature_share: float = 1.0,
        max_rows: int = 200_000,
    ) -> None:
        super().__init__(
            n_trees=n_trees,
            learning_rate=learning_rate,
            max_leaves=max_leaves,
            l2=l2,
            feature_share=feature_share,
            max_rows=max_rows,
        )

    def _train(self, rows: Rows, n_trees: int, seed: int, watch: Watch | None, start: str | None) -> str:
        cat = optional("catboost", "boosting")
        params = {
            "loss_function": "RMSE",
            "iterations": n_trees,
            "learning_rate": self.learning_rate,
            "depth": self.max_leaves.bit_length() - 1,
            "l2_leaf_reg": self.l2,
            "rsm": self.feature_share,
            "boosting_type": "Plain",
            "bootstrap_type": "No",
            "nan_mode": "Min",
            "random_seed": seed % 2**31,
            "thread_count": 1,
            "logging_level": "Silent",
            "allow_writing_files": False,
        }
        options: dict[str, Any] = {}
        tell = None if watch is None else _Tell(watch, n_trees)
        if watch is not None:
            options["callbacks"] = [tell]
            if (later := watch.held_out) is not None:
                options["eval_set"] = cat.Pool(later.features, later.target, weight=later.weight, thread_count=1)
                options["use_best_model"] = False
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / self.FILE)
            if start is not None:
                Path(path).write_text(start, encoding="utf-8")
                options["init_model"] = cat.CatBoost().load_model(path, format="json")
            pool = cat.Pool(rows.features, rows.target, weight=rows.weight, thread_count=1)
            model = cat.CatBoost(params).fit(pool, **options)
            if tell is not None and tell.error is not None:
                raise tell.error
            model.save_model(path, format="json")
            state = json.loads(Path(path).read_text(encoding="utf-8"))
        for key in _VOLATILE:
            state["model_info"].pop(key, None)
        return json.dumps(state)

    @staticmethod
    def _parsed(text: str, n_features: int) -> tuple[list[FlatTree], float]:
        state = json.loads(text)
        if "oblivious_trees" not in state or any(f["nan_value_treatment"] == "AsTrue" for f in _floats(state)):
            raise ValueError("the text is not that of a CatBoost model with symmetric trees and missing below all")
        columns = {feature["feature_index"]: feature["flat_feature_index"] for feature in _floats(state)}
        scale, (baseline,) = state["scale_and_bias"]
        trees = [_tree(tree, columns, float(scale), n_features) for tree in state["oblivious_trees"]]
        return trees, float(baseline)


class _Tell:
    """CatBoost's callback; it keeps what a monitor raises, which the library would turn into text."""

    def __init__(self, watch: Watch, n_trees: int) -> None:
        self.error: BaseException | None = None
        self._watch = watch
        self._n_trees = n_trees

    def after_iteration(self, info: Any) -> bool:
        """Return whether to go on."""
        done = info.iteration
        if done % BLOCK and done < self._n_trees:
            return True
        losses = {name: metrics["RMSE"][-1] ** 2 for name, metrics in info.metrics.items()}
        try:
            step = -(-done // BLOCK)
            return self._watch.tell(step, steps_of(self._n_trees), losses["learn"], losses.get("validation"))
        except BaseException as error:  # noqa: BLE001 - raised again when the library has returned
            self.error = error
            return False


def _floats(state: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = state["features_info"]["float_features"]
    return found


def _tree(tree: dict[str, Any], columns: dict[int, int], scale: float, n_features: int) -> FlatTree:
    """Return a symmetric tree; split i gives bit i of a leaf's number, the highest being asked first."""
    splits = tree["splits"] or []
    value = scale * np.array(tree["leaf_values"], dtype=np.float64)
    if value.size != 2 ** len(splits) or len(splits) > 6:
        raise ValueError(f"a tree of {len(splits)} splits has {value.size} leaves")
    column = np.array([columns[split["float_feature_index"]] for split in splits], dtype=np.int32)
    if np.any((column < 0) | (column >= n_features)):
        raise ValueError(f"a tree tests columns {column.tolist()}; there are {n_features}")
    border = below_float32(np.array([split["border"] for split in splits], dtype=np.float32))
    place = np.arange(1, value.size)  # leaves k - 1 and k part at the split of the lowest bit set in k
    bit = np.log2(place & -place).astype(np.int64)
    keep = [(2**64 - 1) ^ (((1 << 2**b) - 1) << (k - 2**b)) for k, b in zip(place.tolist(), bit.tolist(), strict=True)]
    return FlatTree(column[bit], border[bit], np.array(keep, dtype=np.uint64), value)
