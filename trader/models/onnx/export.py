"""From a fitted model to an ONNX file."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, cast

from trader.core.errors import DataError, ModelError
from trader.core.protocols import Model
from trader.models.base import ArrayModel
from trader.models.calibration import LEVELS
from trader.models.onnx.check import check_onnx
from trader.models.onnx.graph import Graph
from trader.models.onnx.rows import add_forecast, add_score, read_rows

if TYPE_CHECKING:
    from trader.models.transformer_model import Transformer

__all__ = ["save_onnx", "to_onnx"]


def to_onnx(model: Model, *, version: str = "") -> bytes:
    """Return a model as the content of an ONNX file.

    A row model takes `features` (n_rows, n_features) and gives `score` (n_rows,) and, where it can forecast,
    `probability_up` and `volatility` (n_rows,) and `quantiles` (n_rows, n_levels), all in double precision; NaN
    and infinite features are missing, NaN is an abstention. The metadata hold `kind`, `version`,
    `feature_names` (JSON) and `levels` (JSON). For a transformer see `trader.models.onnx.sequence.sequence_graph`.

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
    if model.name == "transformer":
        from trader.models.onnx.sequence import sequence_graph  # torch takes seconds to import

        return sequence_graph(cast("Transformer", model), version)
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


def save_onnx(model: Model, path: Path, *, version: str = "") -> float:
    """Write a model to an ONNX file that was checked against it; return the largest relative difference.

    Raises
    ------
    DataError
        If the file exists.
    ModelError
        As `to_onnx` and `check_onnx`, or if the file cannot be written; none is left behind then.
    """
    if path.exists():
        raise DataError(f"{path} exists; name a new file to export {model.name} to")
    content = to_onnx(model, version=version)
    difference = check_onnx(content, model)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        partial.write_bytes(content)
        partial.rename(path)
    except OSError as error:
        raise ModelError(f"{model.name} could not be exported to {path}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return difference
