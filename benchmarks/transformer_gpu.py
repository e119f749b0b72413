"""The market transformer at preset full, in bfloat16, on a GPU."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.results import Target
from benchmarks.ticks import SEED
from trader.models.encoding import PanelEncoder
from trader.models.torch_scope import reproducible
from trader.models.transformer import MarketTransformer, NetworkConfig
from trader.models.transformer_calibration import TailCalibration
from trader.models.transformer_fit import Fitted, network_config, training_plan
from trader.models.transformer_model import Transformer
from trader.models.transformer_training import Examples, History, Stepper
from trader.models.windows import WindowSource

__all__ = ["GpuFigures", "matrix_flops", "measure_gpu"]

_FEATURES = (*(f"feature_{k}" for k in range(24)), "return_1d", "volume_z_21d", "volatility_21d")
_WARMUP = 5
_PEAK_SIZE = 8_192


@dataclasses.dataclass(frozen=True, slots=True)
class GpuFigures:
    """What was measured on a device.

    Parameters
    ----------
    device : str
    sequences_per_s : float
        Sequences, of one symbol's `context` instants each, that training learns from in a second.
    flops : float
        Of matrices with weights, a second.
    peak : float
        What a large product of square bfloat16 matrices reaches on the device.
    inference_ms : float
        Median time of a score of one window of all symbols, features in and scores out.
    """

    device: str
    sequences_per_s: float
    flops: float
    peak: float
    inference_ms: float

    @property
    def figures(self) -> dict[str, float | str]:
        """The fields by name, and the fraction of the peak."""
        return dataclasses.asdict(self) | {"fraction of the peak": self.flops / self.peak}

    @property
    def targets(self) -> list[Target]:
        """The promises."""
        return [
            Target("full preset on a GPU, bfloat16", "sequences/s", self.sequences_per_s, ">=", 10_000.0),
            Target("one window on a GPU", "ms", self.inference_ms, "<=", 2.0),
        ]


def measure_gpu(
    device: torch.device,
    preset: str = "full",
    *,
    n_symbols: int = 20,
    batch_size: int = 64,
    steps: int = 30,
    peak_size: int = _PEAK_SIZE,
) -> GpuFigures:
    """Train for some steps and score some windows of random features; the first steps are not counted."""
    params = Transformer(**{**Transformer.PRESETS[preset], "device": device.type})
    rng = np.random.default_rng(SEED)
    panel = rng.normal(size=(4 * params.context, n_symbols, len(_FEATURES)))
    encoder = PanelEncoder.fit(panel.reshape(-1, len(_FEATURES)), _FEATURES)
    source = WindowSource(encoder(panel, params.context - 1), params.context, params.patch, device)
    shape = (panel.shape[0] + params.context - 1, n_symbols)
    target = torch.from_numpy(rng.normal(size=shape).astype(np.float32)).to(device)
    examples = Examples(torch.arange(panel.shape[0], device=device), target, torch.ones_like(target))
    config = network_config(params, encoder, n_symbols)
    with reproducible(SEED, device, params.n_threads):
        network = MarketTransformer(config).to(device)
        plan = dataclasses.replace(training_plan(params, device, batch_size), mixed_precision=True)
        stepper = Stepper(network, plan, 1_000_000)
        ends = examples.ends[-batch_size:]
        seconds = np.median(_times(lambda: stepper(source, examples, ends), steps, device))
    fitted = Fitted(_FEATURES, encoder, network.eval(), TailCalibration.none(), 1.0, History((), 1, "finished"))
    model, past = Transformer.of(params, fitted), params.context - 1
    scoring = _times(lambda: model.predict_panel(panel[: past + 1], past), steps, device)
    sequences = batch_size * n_symbols / float(seconds)
    return GpuFigures(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        sequences_per_s=sequences,
        flops=sequences * (params.context // params.patch) * matrix_flops(config),
        peak=_peak(device, peak_size),
        inference_ms=1e3 * float(np.median(scoring)),
    )


def matrix_flops(config: NetworkConfig) -> float:
    """Return operations of a training step for one token: 6 a weight of a block (2 forward, 4 backward)."""
    block = 4 * config.d_model**2 + 2 * config.d_model * config.d_feedforward
    return 6.0 * config.n_layers * block


def _peak(device: torch.device, size: int) -> float:
    a = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    return 2.0 * size**3 / float(np.median(_times(lambda: a @ a, 10, device)))


def _times(work: Callable[[], Any], n: int, device: torch.device) -> list[float]:
    taken = []
    for _ in range(_WARMUP + n):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return taken[_WARMUP:]
