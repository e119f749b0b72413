"""The scores and forecasts of row models as nodes of a graph."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import ModelError
from trader.models.base import ArrayModel, min_known
from trader.models.calibration import SPREAD_BOUND, SPREAD_CLIP, Calibration
from trader.models.linear import Linear
from trader.models.momentum import Momentum
from trader.models.onnx.graph import Graph
from trader.models.tree_model import TreeModel
from trader.models.trees import FlatTree, unflatten

__all__ = ["Inputs", "add_forecast", "add_score", "read_rows"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Inputs:
    """Names of what the rows are: features with NaN for all that is missing, and where that is."""

    features: str
    missing: str
    n_features: int


def read_rows(graph: Graph, features: str, n_features: int) -> Inputs:
    """Add nodes that make infinite features missing."""
    missing = graph.op("Or", graph.op("IsNaN", features), graph.op("IsInf", features))
    return Inputs(graph.op("Where", missing, graph.constant(np.nan), features), missing, n_features)


def add_score(graph: Graph, model: ArrayModel, rows: Inputs) -> str:
    """Add the score (n_rows,) of a model: NaN where it abstains."""
    every = np.arange(rows.n_features)
    if isinstance(model, TreeModel):
        needed, value = min_known(rows.n_features), _trees(graph, model, rows)
    elif isinstance(model, Linear):
        needed = min_known(rows.n_features)
        moments = (model.center, model.inverse_scale, model.coefficients)
        value = _linear(graph, rows, every, *moments, model.clip, float(model.intercept[0]))
    elif isinstance(model, Momentum):
        needed, every = 1, model.columns.astype(np.int64)
        moments = (model.center, model.inverse_scale, model.coefficients)
        value = _linear(graph, rows, every, *moments, model.clip, 0.0)
    else:
        raise ModelError(f"{model.name} has no ONNX form")
    known = graph.op("Not", graph.op("Gather", rows.missing, graph.constant(every), axis=1))
    count = graph.op("ReduceSum", graph.op("Cast", known, to=7), graph.constant(np.array([1])), keepdims=0)
    enough = graph.op("GreaterOrEqual", count, graph.constant(np.array(needed)))
    return graph.op("Where", enough, value, graph.constant(np.nan), output="score")


def add_forecast(graph: Graph, calibration: Calibration, rows: Inputs, score: str) -> None:
    """Add `probability_up` (n_rows,), `quantiles` (n_rows, n_levels) and `volatility` (n_rows,)."""
    ridge = calibration.spread
    moments = (ridge.center, ridge.inverse_scale, ridge.coefficients)
    log = _linear(graph, rows, np.arange(rows.n_features), *moments, SPREAD_CLIP, 0.0)
    spread = graph.op("Exp", graph.op("Clip", log, graph.constant(-SPREAD_BOUND), graph.constant(SPREAD_BOUND)))
    intercept, slope = (graph.constant(float(value)) for value in calibration.platt)
    graph.op("Sigmoid", graph.op("Add", graph.op("Mul", score, slope), intercept), output="probability_up")
    volatility = graph.op("Mul", spread, graph.constant(float(calibration.residual_volatility[0])))
    graph.op("Where", graph.op("IsNaN", score), graph.constant(np.nan), volatility, output="volatility")
    last = graph.constant(np.array([1]))
    steps = graph.op("Mul", graph.op("Unsqueeze", spread, last), graph.constant(calibration.residual_quantiles))
    graph.op("Add", graph.op("Unsqueeze", score, last), steps, output="quantiles")


def _linear(
    graph: Graph,
    rows: Inputs,
    columns: NDArray[np.int64],
    center: FloatArray,
    inverse_scale: FloatArray,
    coefficients: FloatArray,
    clip: float,
    intercept: float,
) -> str:
    """Add `intercept + Σ coefficient · clipped z-score` of the columns; missing adds 0."""
    at = graph.constant(columns)
    used, missing = (graph.op("Gather", name, at, axis=1) for name in (rows.features, rows.missing))
    centred = graph.op("Sub", used, graph.constant(center))
    z = graph.op("Mul", centred, graph.constant(inverse_scale))
    z = graph.op("Where", missing, graph.constant(0.0), z)
    z = graph.op("Clip", z, graph.constant(-clip), graph.constant(clip))
    return graph.op("Add", graph.op("MatMul", z, graph.constant(coefficients)), graph.constant(intercept))


def _trees(graph: Graph, model: TreeModel, rows: Inputs) -> str:
    """Add the sum of a model's trees; those of a single leaf go into the constant."""
    trees = model.flat_trees()
    constant = graph.constant(float(model.baseline[0] + sum(tree.value[0] for tree in trees if tree.value.size == 1)))
    grown = [tree for tree in trees if tree.value.size > 1]
    if not grown:
        zero = graph.op("ReduceSum", graph.op("Cast", rows.missing, to=11), graph.constant(np.array([1])), keepdims=0)
        return graph.op("Add", graph.op("Mul", zero, graph.constant(0.0)), constant)
    attributes = _ensemble(grown, rows.n_features)
    tensors = {key: graph.tensor(attributes.pop(key)) for key in ("nodes_splits", "nodes_modes", "leaf_weights")}
    plain = {key: array.tolist() for key, array in attributes.items()}
    total = graph.op(
        "TreeEnsemble",
        rows.features,
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=1,  # sum
        post_transform=0,  # none
        **plain,
        **tensors,
    )
    flat = graph.op("Reshape", total, graph.constant(np.array([-1])))
    return graph.op("Add", flat, constant)


def _ensemble(trees: list[FlatTree], n_features: int) -> dict[str, NDArray[np.generic]]:
    """Return the attributes of a `TreeEnsemble`: inner nodes and leaves are numbered apart, over all trees."""
    parts: list[dict[str, NDArray[np.generic]]] = []
    n_inner, n_leaves = 0, 0
    for tree in trees:
        nodes = unflatten(tree, n_features)
        at_leaf = nodes.left < 0
        number = np.where(at_leaf, n_leaves + np.cumsum(at_leaf) - 1, n_inner + np.cumsum(~at_leaf) - 1)
        inner = np.flatnonzero(~at_leaf)
        left, right = nodes.left[inner], nodes.right[inner]
        parts.append(
            {
                "tree_roots": number[:1],
                "nodes_featureids": nodes.column[inner].astype(np.int64),
                "nodes_splits": nodes.threshold[inner],
                "nodes_modes": np.zeros(inner.size, np.uint8),  # at most the split goes the true way
                "nodes_truenodeids": number[left],
                "nodes_falsenodeids": number[right],
                "nodes_trueleafs": at_leaf[left].astype(np.int64),
                "nodes_falseleafs": at_leaf[right].astype(np.int64),
                "nodes_missing_value_tracks_true": nodes.missing_left[inner].astype(np.int64),
                "leaf_weights": nodes.value[at_leaf],
            }
        )
        n_inner, n_leaves = n_inner + inner.size, n_leaves + int(at_leaf.sum())
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return joined | {"leaf_targetids": np.zeros(n_leaves, np.int64)}
