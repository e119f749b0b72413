"""From a fitted model to an ONNX file."""

from __future__ import annotations

import json

from trader.core.errors import ModelError
from trader.core.protocols import Model
from trader.models.base import ArrayModel
from trader.models.calibration import LEVELS
from trader.models.onnx.graph import Graph
from trader.models.onnx.rows import add_forecast, add_score, read_rows

__all__ = ["to_onnx"]


def to_onnx(model: Model, *, version: str = "") -> bytes:
    """Return a model as the content of an ONNX file.

    A row model takes `features` (n_rows, n_features) and gives `score` (n_rows,) and, where it can forecast,
    `probability_up` and `volatility` (n_rows,) and `quantiles` (n_rows, n_levels), all in double precision; NaN
    and infinite features are missing, NaN is an abstention. The metadata hold `kind`, `version`,
    `feature_names` (JSON) and `levels` (JSON).

    Parameters
    ----------
    model : Model
        Fitted.
    version : str, optional
        Put into the metadata.

    Raises
    ------
    ModelError
        If the model is not fitted, has no ONNX form, or the onnx package is not installed.
    """
    if not model.feature_names:
        raise ModelError(f"{model.name} is not fitted; only a fitted model can be exported")
    if not isinstance(model, ArrayModel):
        raise ModelError(f"{model.name} has no ONNX form")
    n_features = len(model.feature_names)
    graph = Graph()
    rows = read_rows(graph, "features", n_features)
    score = add_score(graph, model, rows)
    metadata = {"kind": model.name, "version": version, "feature_names": json.dumps(model.feature_names)}
    outputs: dict[str, list[str | int]] = {"score": ["n_rows"]}
    if model.calibration is not None:
        add_forecast(graph, model.calibration, rows, score)
        outputs |= {"probability_up": ["n_rows"], "quantiles": ["n_rows", len(LEVELS)], "volatility": ["n_rows"]}
        metadata["levels"] = json.dumps(LEVELS)
    return graph.build(model.name, {"features": ["n_rows", n_features]}, outputs, metadata)
