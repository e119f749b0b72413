"""A small tree that imitates a model, and how well it does."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.explain.subject import Subject

__all__ = ["Node", "SurrogateTree", "fit_surrogate"]

FloatArray = NDArray[np.float64]

_TRAIN_SHARE = 0.7
_LEAF_SHARE = 0.01


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """A question of the tree, or one of its answers.

    Parameters
    ----------
    score : float
        Mean score of its training rows.
    share : float
        Of the training rows.
    feature : str, optional
        Rows whose feature is at most `threshold` go to `left`; None for a leaf.
    threshold : float
    missing_left : bool, optional
        Whether rows go to `left` where the feature is missing; None where none was.
    left, right : Node, optional
    """

    score: float
    share: float
    feature: str | None = None
    threshold: float = float("nan")
    missing_left: bool | None = None
    left: Node | None = None
    right: Node | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class SurrogateTree:
    """A depth-limited regression tree of a model's scores.

    Parameters
    ----------
    subject : str
    root : Node
    depth, n_leaves : int
    r2, rank_agreement : float
        Of the tree's scores with the model's on rows it was not fitted to: the share of variance explained, and
        Spearman's correlation. NaN where the model's scores do not vary.
    n_train, n_test : int
        Rows of each.
    seconds : float
    warnings : tuple of str
    """

    subject: str
    root: Node
    depth: int
    n_leaves: int
    r2: float
    rank_agreement: float
    n_train: int
    n_test: int
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the tree as indented lines."""
        lines: list[str] = []
        _write(self.root, 0, lines)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


def fit_surrogate(
    subject: Subject, features: FloatArray, *, max_depth: int = 3, max_rows: int = 50_000, seed: int = 0
) -> SurrogateTree:
    """Fit a CART to the scores of the first 70 % of the instants and judge it on the rest.

    Parameters
    ----------
    subject : Subject
        A sequence model's scores are imitated from the features of their own instant alone.
    features : ndarray of shape (n_slices, n_symbols, n_features)
        In order of time; NaN is missing, and trees send it one way.
    max_depth : int, default=3
        A leaf holds at least a hundredth of the rows.
    max_rows : int, default=50_000
        More rows are thinned, drawn by the seed.
    seed : int

    Raises
    ------
    DataError
        If fewer than ten rows are scored on either side.

    References
    ----------
    .. [1] Craven and Shavlik (1996), "Extracting tree-structured representations of trained networks".
    """
    from scipy.stats import spearmanr
    from sklearn.tree import DecisionTreeRegressor

    started = time.perf_counter()
    if max_depth < 1:
        raise DataError(f"max_depth={max_depth} is not allowed; at least 1 is")
    scores = subject.scores(features)
    cut = int(features.shape[0] * _TRAIN_SHARE)
    rng = np.random.default_rng(seed)
    train, train_scores = _scored(features[:cut], scores[:cut], max_rows, rng)
    test, test_scores = _scored(features[cut:], scores[cut:], max_rows, rng)
    if min(train_scores.size, test_scores.size) < 10:
        raise DataError(f"{subject.name} scores {train_scores.size} rows to fit and {test_scores.size} to test; 10 are")
    tree = DecisionTreeRegressor(max_depth=max_depth, min_samples_leaf=_LEAF_SHARE, random_state=seed)
    imitated = tree.fit(train, train_scores).predict(test)
    spread = float(test_scores.var())
    varied = spread > 0 and float(imitated.var()) > 0
    r2 = 1.0 - float(((test_scores - imitated) ** 2).mean()) / spread if spread > 0 else float("nan")
    warnings = (
        () if r2 >= 0.5 else (f"the tree explains {max(r2, 0.0):.0%} of the scores' variance: do not rely on it",)
    )
    return SurrogateTree(
        subject=subject.name,
        root=_node(tree.tree_, 0, subject.feature_names, np.asarray(np.isnan(train).any(axis=0))),
        depth=int(tree.get_depth()),
        n_leaves=int(tree.get_n_leaves()),
        r2=r2,
        rank_agreement=float(spearmanr(test_scores, imitated).statistic) if varied else float("nan"),
        n_train=train_scores.size,
        n_test=test_scores.size,
        seconds=time.perf_counter() - started,
        warnings=warnings,
    )


def _scored(
    features: FloatArray, scores: FloatArray, max_rows: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    known = np.isfinite(scores)
    rows, own = features[known], scores[known]
    if own.size > max_rows:
        chosen = np.sort(rng.choice(own.size, max_rows, replace=False))
        rows, own = rows[chosen], own[chosen]
    return np.where(np.isfinite(rows), rows, np.nan), own


def _node(tree: Any, at: int, names: tuple[str, ...], holed: NDArray[np.bool_]) -> Node:
    score, share = float(tree.value[at].ravel()[0]), float(tree.n_node_samples[at] / tree.n_node_samples[0])
    if tree.children_left[at] < 0:
        return Node(score, share)
    column = int(tree.feature[at])
    left, right = (_node(tree, int(side[at]), names, holed) for side in (tree.children_left, tree.children_right))
    missing = bool(tree.missing_go_to_left[at]) if holed[column] else None
    return Node(score, share, names[column], float(tree.threshold[at]), missing, left, right)


def _write(node: Node, depth: int, lines: list[str]) -> None:
    pad = "  " * depth
    if node.left is None or node.right is None:
        lines.append(f"{pad}{node.score:+.4g} ({node.share:.0%})")
        return
    for child, sign, takes_missing in ((node.left, "<=", True), (node.right, ">", False)):
        missing = " or missing" if node.missing_left is takes_missing else ""
        lines.append(f"{pad}{node.feature} {sign} {node.threshold:.4g}{missing}:")
        _write(child, depth + 1, lines)
