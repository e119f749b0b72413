"""The market transformer as a graph: a window of features in, a forecast of its last instant out."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trader.core.errors import ModelError
from trader.models.calibration import LEVELS
from trader.models.encoding import CLIP
from trader.models.extras import optional
from trader.models.schema import min_known
from trader.models.temporal import CALENDAR, CLOCK_HOURS, MONTH_END_DECAYS
from trader.models.torch_scope import threads
from trader.models.transformer_model import Transformer
from trader.models.windows import PAST, Windows

__all__ = ["SEQUENCE_TOLERANCE", "check_sequence", "sample_windows", "sequence_graph"]

FloatArray = NDArray[np.float64]

SEQUENCE_TOLERANCE = 1e-4
"""Largest difference that is let pass, relative to the largest value of the output: the network is in float32."""

_OUTPUTS = ("score", "probability_up", "quantiles", "volatility")
_OPSET = 20
_SAMPLE_WINDOWS = 32


class _WindowForecast(nn.Module):
    """Encoding, network and calibration of one window (context, n_symbols, n_features)."""

    center: Tensor
    inverse_scale: Tensor
    columns: Tensor
    flagged: Tensor
    market: Tensor
    absolute: Tensor
    offsets: Tensor

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        encoder = model.encoder
        self.network = copy.deepcopy(model.network).cpu()
        self.calibration = model.calibration
        self.names = model.feature_names
        self.context, self.patch = model.context, model.patch
        self.scale = model.target_scale
        market, absolute = encoder.market
        buffers = {
            "center": encoder.center,
            "inverse_scale": encoder.inverse_scale,
            "columns": encoder.columns,
            "flagged": encoder.flagged,
            "market": market,
            "absolute": absolute,
            "offsets": self.calibration.offsets,
        }
        for name, array in buffers.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)))

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(self._windows(features), last=True)
        calibration, scale = self.calibration, self.scale
        mean, deviation, logit, quantiles = (
            part.double()[0, :, 0] for part in (outputs.mean, outputs.deviation, outputs.logit, outputs.quantiles)
        )
        shifted = quantiles + deviation[:, None] * self.offsets
        for place in range(1, len(LEVELS)):  # the running maximum
            higher = torch.maximum(shifted[:, place - 1], shifted[:, place])
            shifted = torch.cat((shifted[:, :place], higher[:, None], shifted[:, place + 1 :]), dim=1)
        abstains = _finite(features[-1]).sum(1) < min_known(len(self.names))
        return tuple(
            found.masked_fill(abstains[:, None] if found.ndim == 2 else abstains, torch.nan)
            for found in (
                scale * float(calibration.slope[0]) * mean,
                torch.sigmoid(float(calibration.direction[0]) + float(calibration.direction[1]) * logit),
                scale * shifted,
                scale * float(calibration.scale[0]) * deviation,
            )
        )

    def _windows(self, features: Tensor) -> Windows:
        """Return the inputs of the network, as encoder and window source make them."""
        finite = _finite(features)  # (C, N, F)
        z = (torch.where(finite, features, self.center) - self.center) * self.inverse_scale
        z = z.clamp(-CLIP, CLIP)
        market = torch.where(self.absolute, z[..., self.market].abs(), z[..., self.market])
        values = torch.cat((z[..., self.columns], (~finite[..., self.flagged]).double()), dim=-1)
        known = finite.any(2)
        same = ((features[1:] == features[:-1]) | ~(finite[1:] | finite[:-1])).all(2)
        event = known & torch.cat((torch.ones_like(known[:1]), ~same))
        place = torch.arange(self.context)
        before = place[:, None] >= place  # (C, C): whether the second is not after the first
        last = torch.where(before[:, :, None] & event[None], place[:, None], -PAST).amax(1)  # (C, N)
        closing = slice(self.patch - 1, None, self.patch)
        n_patches = self.context // self.patch
        cut = known.view(n_patches, self.patch, -1)
        return Windows(
            patches=values.transpose(0, 1).reshape(1, features.shape[1], n_patches, -1).float(),
            calendar=self._calendar(features[closing]).transpose(0, 1)[None].float(),
            market=market[closing].transpose(0, 1)[None].float(),
            age=(place[:, None] - last)[closing].T[None],
            missing=~cut.any(1).T[None],
        )

    def _calendar(self, features: Tensor) -> Tensor:
        """As `trader.models.temporal.encode_calendar`."""
        parts = [features[..., :0]]
        for name, column in CALENDAR.items():
            if name not in self.names:
                continue
            raw = features[..., self.names.index(name), None]
            known = _finite(raw)
            x = torch.where(known, raw, 0.0)
            if column.kind == "decay":
                parts.append(known * torch.exp(-x.clamp(min=0.0) / torch.tensor(MONTH_END_DECAYS).double()))
                continue
            rates = 2.0 * np.pi / column.period * np.arange(1, column.harmonics + 1)
            angle = x * torch.from_numpy(rates)  # a number alone would be rounded to single precision in the graph
            found = [torch.sin(angle), torch.cos(angle)]
            if column.kind == "clock":
                away = (x / column.period * CLOCK_HOURS - torch.arange(CLOCK_HOURS)).abs()
                found.append((1.0 - torch.minimum(away, CLOCK_HOURS - away)).clamp(min=0.0))
            parts.append(known * torch.cat(found, dim=-1))
        return torch.cat(parts, dim=-1)


def sequence_graph(model: Transformer, version: str = "") -> bytes:
    """Return a fitted transformer as the content of an ONNX file.

    The graph takes `features` (context, n_symbols, n_features) in double precision, the oldest instant first, NaN or
    infinite where missing, and gives `score`, `probability_up` and `volatility` (n_symbols,) and `quantiles`
    (n_symbols, n_levels) of the last instant. The context is the model's, the symbols are those with an embedding.

    Raises
    ------
    ModelError
        If symbols have no embeddings, so that nothing fixes their number, or a package of the extra is missing.
    """
    if not (n_symbols := model.network.config.n_symbols):
        raise ModelError(
            "transformer has no ONNX form with n_symbol_embeddings=0: a graph's symbols are fixed in number"
        )
    optional("onnxscript", "onnx")
    onnx = optional("onnx", "onnx")
    features = torch.zeros(model.context, n_symbols, len(model.feature_names), dtype=torch.float64)
    metadata = {
        "kind": model.name,
        "version": version,
        "feature_names": json.dumps(model.feature_names),
        "levels": json.dumps(LEVELS),
        "context": str(model.context),
    }
    with threads(1), torch.no_grad(), _quiet():
        program = torch.onnx.export(
            _WindowForecast(model).eval(),
            (features,),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["features"],
            output_names=list(_OUTPUTS),
            verbose=False,
        )
    if program is None:
        raise ModelError("torch made no ONNX graph of the transformer")
    graph = program.model_proto
    onnx.helper.set_model_props(graph, metadata)
    content = io.BytesIO()
    onnx.save_model(graph, content)
    return content.getvalue()


def check_sequence(content: bytes, model: Transformer, windows: FloatArray | None = None) -> float:
    """Return the largest difference of graph and model, relative to the largest value of an output.

    Parameters
    ----------
    content : bytes
        Of `sequence_graph`.
    model : Transformer
    windows : ndarray of shape (n_windows, context, n_symbols, n_features), optional
        None takes `sample_windows`.

    Raises
    ------
    ModelError
        If it is above `SEQUENCE_TOLERANCE`, or NaN stand elsewhere; the message names the output.
    """
    runtime = optional("onnxruntime", "onnx")
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    windows = sample_windows(model) if windows is None else windows
    expected = [model.forecast(window, model.context - 1) for window in windows]
    found = [session.run(list(_OUTPUTS), {"features": window}) for window in windows]
    worst = 0.0
    for place, name in enumerate(_OUTPUTS):
        ours = np.concatenate([getattr(forecast, name) for forecast in expected])
        theirs = np.stack([outputs[place] for outputs in found])
        if ours.shape != theirs.shape or not np.array_equal(np.isnan(ours), np.isnan(theirs)):
            raise ModelError(f"the ONNX graph of {model.name} abstains elsewhere than it in {name}")
        difference = float(np.nanmax(np.abs(ours - theirs)) / np.nanmax(np.abs(ours)))
        if not difference <= SEQUENCE_TOLERANCE:
            raise ModelError(
                f"the ONNX graph of {model.name} differs from it by {difference:.2g} in {name}; at most "
                f"{SEQUENCE_TOLERANCE:g} of the largest value is let pass"
            )
        worst = max(worst, difference)
    return worst


def sample_windows(model: Transformer, seed: int = 0) -> FloatArray:
    """Return windows (32, context, n_symbols, n_features) with the moments of training, and 5 % missing."""
    rng = np.random.default_rng(seed)
    encoder, n_symbols = model.encoder, model.network.config.n_symbols
    shape = (_SAMPLE_WINDOWS, model.context, n_symbols, len(model.feature_names))
    scale = np.divide(1.0, encoder.inverse_scale, out=np.ones_like(encoder.center), where=encoder.inverse_scale > 0)
    windows: FloatArray = encoder.center + scale * rng.normal(size=shape)
    windows[rng.random(shape) < 0.05] = np.nan
    windows[:4, -1, 0] = np.nan
    windows[4:8, 1:, 1] = windows[4:8, :1, 1]  # a symbol without a new bar
    return windows


def _finite(x: Tensor) -> Tensor:
    return ~(torch.isnan(x) | torch.isinf(x))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own notes, of its versions and passes, from the user."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
