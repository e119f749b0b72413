"""Whether an exported graph says what its model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import ModelError
from trader.core.protocols import Model
from trader.models.base import ArrayModel
from trader.models.extras import optional

if TYPE_CHECKING:
    from trader.models.transformer_model import Transformer

__all__ = ["TOLERANCE", "check_onnx", "sample_rows"]

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-9
"""Largest difference that is let pass, relative to the largest value of the output."""

_SAMPLE_ROWS = 2000


def sample_rows(model: ArrayModel, seed: int = 0) -> FloatArray:
    """Return rows (2000, n_features) that look like the training set's: its moments, and 5 % missing.

    A model without a calibration does not remember these; its rows are standard normal.
    """
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(_SAMPLE_ROWS, len(model.feature_names)))
    if model.calibration is not None:
        spread = model.calibration.spread
        scale = np.divide(1.0, spread.inverse_scale, out=np.ones_like(spread.center), where=spread.inverse_scale > 0)
        rows = spread.center + scale * rows
    rows[rng.random(rows.shape) < 0.05] = np.nan
    rows[:10] = np.nan
    return rows


def check_onnx(content: bytes, model: Model, rows: FloatArray | None = None) -> float:
    """Compare an exported graph, run by onnxruntime, with its model.

    Parameters
    ----------
    content : bytes
        What `to_onnx` returned.
    model : Model
    rows : ndarray of shape (n_rows, n_features), optional
        None takes `sample_rows`; of a transformer, windows of `trader.models.onnx.sequence.check_sequence`.

    Returns
    -------
    float
        The largest difference of any output, relative to the largest value of that output.

    Raises
    ------
    ModelError
        If it is above `TOLERANCE` (1e-4 for a transformer), or NaN stand elsewhere; the message names the output.
    """
    if model.name == "transformer":
        from trader.models.onnx.sequence import check_sequence  # torch takes seconds to import

        return check_sequence(content, cast("Transformer", model), rows)
    if not isinstance(model, ArrayModel):
        raise ModelError(f"{model.name} has no ONNX form")
    rows = sample_rows(model) if rows is None else rows
    runtime = optional("onnxruntime", "onnx")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    expected = {"score": model.predict(rows)}
    if model.calibration is not None:
        forecast = model.forecast(rows[:, None])
        expected |= {
            "probability_up": forecast.probability_up[:, 0],
            "quantiles": forecast.quantiles[:, 0],
            "volatility": forecast.volatility[:, 0],
        }
    worst = 0.0
    for name, found in zip(expected, session.run(list(expected), {"features": rows}), strict=True):
        difference = _difference(found, expected[name])
        if not difference <= TOLERANCE:
            raise ModelError(
                f"the ONNX graph of {model.name} differs from it by {difference:.2g} in {name}; at most "
                f"{TOLERANCE:g} of the largest value is let pass"
            )
        worst = max(worst, difference)
    return worst


def _difference(found: FloatArray, expected: FloatArray) -> float:
    known = np.isfinite(expected)
    if found.shape != expected.shape or not np.array_equal(np.isfinite(found), known):
        return np.inf
    if not known.any():
        return 0.0
    scale = float(np.abs(expected[known]).max())
    return float(np.abs(found[known] - expected[known]).max()) / (scale or 1.0)
