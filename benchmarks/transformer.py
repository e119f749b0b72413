"""The market transformer at preset demo: training beside torch's own encoder, and predictions on one core."""

from __future__ import annotations

import time
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.machine import versions_of
from benchmarks.options import Options
from benchmarks.results import Result, Target, ratio
from benchmarks.sampling import Contender, Outcome, alternate, in_process
from benchmarks.ticks import SEED
from benchmarks.transformer_gpu import measure_gpu
from trader.models.encoding import PanelEncoder
from trader.models.proof import ProofData, proof_data
from trader.models.torch_scope import reproducible, threads
from trader.models.transformer import Heads, MarketTransformer, NetworkConfig, Outputs
from trader.models.transformer_fit import network_config, training_plan
from trader.models.transformer_model import Transformer
from trader.models.transformer_training import Examples, Stepper
from trader.models.windows import Windows, WindowSource
from trader.settings import PlantedSettings

__all__ = ["TorchEncoder", "run"]

_SYMBOLS = 20
_DAYS = 1_500
_FIRST = 300
"""Instants before it only warm up features."""
_STEPS = 20
_BATCH = 64
_SINGLES = 2_000
_BATCHES = 200


class TorchEncoder(nn.Module):
    """`torch.nn.TransformerEncoder` of equal size, each symbol's instants a causal sequence of their own.

    The layers in and out are those of the market transformer, so that the encoder is all that differs.

    Parameters
    ----------
    config : NetworkConfig
    n_patches : int
    together : bool
        One sequence of all symbols and instants instead, without a mask: it sees what market attention sees.
    """

    causal: Tensor

    def __init__(self, config: NetworkConfig, n_patches: int, *, together: bool = False) -> None:
        super().__init__()
        self.config = config
        self.together = together
        self.patches = nn.Linear(config.patch * config.n_values, config.d_model)
        self.place = nn.Parameter(torch.zeros(n_patches, config.d_model))
        layer = nn.TransformerEncoderLayer(
            config.d_model,
            config.n_heads,
            config.d_feedforward,
            config.dropout,
            "gelu",
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(config.d_model)
        self.encoder = nn.TransformerEncoder(layer, config.n_layers, norm, enable_nested_tensor=False)
        self.heads = Heads(config)
        self.register_buffer("causal", nn.Transformer.generate_square_subsequent_mask(n_patches), persistent=False)

    def forward(self, windows: Windows) -> Outputs:
        """Return the outputs of all tokens."""
        x = self.patches(windows.patches) + self.place  # (B, N, T, d)
        if self.together:
            encoded = self.encoder(x.flatten(1, 2))
        else:
            encoded = self.encoder(x.flatten(0, 1), mask=self.causal, is_causal=True)
        outputs: Outputs = self.heads(encoded.view(x.shape))
        return outputs


def run(options: Options) -> Result:
    """Measure training at one and at all threads, predictions on one core, and a GPU where there is one."""
    planted = PlantedSettings(signal="lead_lag", n_symbols=_SYMBOLS, n_days=_DAYS)
    data = proof_data(planted, seed=SEED)
    steps = max(2, options.scaled(_STEPS))
    n_cores = torch.get_num_threads()
    rounds: dict[int, list[Outcome]] = {}
    for n_threads in sorted({1, n_cores}):
        options.say(f"training, {n_threads} threads")
        rounds[n_threads] = alternate(_trainers(data, n_threads, steps), repeats=2 if options.quick else 5)
    options.say("predictions")
    singles, batches = _predictions(data, options.scaled(_SINGLES), options.scaled(_BATCHES))
    options.say("GPU")
    gpu = measure_gpu(torch.device("cuda")) if torch.cuda.is_available() else None
    figures: dict[str, Any] = {
        "times the encoder's samples/s, by threads": {
            n: {
                "a sequence a symbol": ratio(found[0], found[1]),
                "a sequence a window": ratio(found[0], found[2]),
                "a sequence a symbol, neither with dropout": ratio(found[3], found[4]),
            }
            for n, found in rounds.items()
        },
        "features in, scores out, ms": {
            "one window": _spread(singles[0]),
            "one window, processor time": _spread(singles[1]),
            f"{_BATCH} windows": _spread(batches[0]),
            f"{_BATCH} windows, processor time": _spread(batches[1]),
        },
        "GPU": gpu.figures if gpu else "none was there, nothing was measured on one",
    }
    return Result(
        "transformer",
        "The market transformer at preset demo, beside torch.nn.TransformerEncoder",
        "windows",
        _workload(data, steps),
        [outcome for found in rounds.values() for outcome in found],
        [
            Target("training at 1 thread", "× the encoder's samples/s", ratio(*rounds[1][:2]), ">=", 1.0),
            Target(
                f"training at {n_cores} threads", "× the encoder's samples/s", ratio(*rounds[n_cores][:2]), ">=", 1.0
            ),
            Target("one window on one core, p99", "ms", float(np.percentile(singles[0], 99)), "<=", 10.0),
            Target(f"{_BATCH} windows, median", "ms", float(np.median(batches[0])), "<=", 25.0),
            *(gpu.targets if gpu else ()),
        ],
        figures,
    )


def _trainers(data: ProofData, n_threads: int, steps: int) -> list[Contender]:
    """Return ours, both shapes of the encoder, and ours and the cheaper encoder without dropout."""
    params = Transformer(**Transformer.PRESETS["demo"])
    encoder = PanelEncoder.fit(data.features[_FIRST:].reshape(-1, len(data.feature_names)), data.feature_names)
    source = WindowSource(encoder(data.features, params.context - 1), params.context, params.patch)
    examples = _examples(data, params.context)
    n_patches = params.context // params.patch

    def trainer(name: str, role: Any, *, ours: bool, dropout: float, together: bool = False) -> Contender:
        config = network_config(Transformer(**{**params.params, "dropout": dropout}), encoder, data.features.shape[1])
        with reproducible(SEED, source.device, n_threads):
            network = MarketTransformer(config) if ours else TorchEncoder(config, n_patches, together=together)
            plan = training_plan(params, source.device, params.batch_size)
            stepper = Stepper(cast("MarketTransformer", network), plan, 1_000_000)
        order = np.random.default_rng(SEED)

        def work() -> None:
            with threads(n_threads):
                for _ in range(steps):
                    chosen = order.choice(examples.ends.numel(), params.batch_size, replace=False)
                    stepper(source, examples, examples.ends[torch.from_numpy(chosen)])

        return Contender(
            f"{name}, {n_threads} thread{'s' * (n_threads > 1)}",
            role,
            steps * params.batch_size,
            in_process(work),
            versions_of(["torch"]),
            f"{sum(p.numel() for p in network.parameters())} parameters, dropout {dropout}",
        )

    return [
        trainer("market transformer", "ours", ours=True, dropout=params.dropout),
        trainer("TransformerEncoder, a sequence a symbol", "peer", ours=False, dropout=params.dropout),
        trainer("TransformerEncoder, a sequence a window", "peer", ours=False, dropout=params.dropout, together=True),
        trainer("market transformer without dropout", "variant", ours=True, dropout=0.0),
        trainer("TransformerEncoder without dropout, a sequence a symbol", "peer", ours=False, dropout=0.0),
    ]


def _examples(data: ProofData, context: int) -> Examples:
    def padded(panel: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.pad(panel, ((context - 1, 0), (0, 0))).astype(np.float32))

    known = np.isfinite(data.target)
    ends = np.arange(_FIRST, data.target.shape[0])
    return Examples(torch.from_numpy(ends), padded(np.where(known, data.target, 0.0)), padded(known))


def _predictions(data: ProofData, n_singles: int, n_batches: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return elapsed and processor time of single scores and of blocks of 64 (2, n), in milliseconds."""
    model = Transformer(**{**Transformer.PRESETS["demo"], "epochs": 1})
    instants = np.arange(_FIRST, 3 * _FIRST)
    model.fit_panel(data.features, data.target, feature_names=data.feature_names, seed=SEED, instants=instants)
    past = model.context - 1

    def times(n: int, n_asked: int) -> NDArray[Any]:
        last = data.features.shape[0] - n_asked - past
        taken = np.empty((2, n))
        for k, at in enumerate(np.random.default_rng(SEED).integers(_FIRST, last, size=n)):
            panel = data.features[at : at + n_asked + past]
            wall, cpu = time.perf_counter(), time.process_time()
            model.predict_panel(panel, past)
            taken[:, k] = 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)
        return taken

    with threads(1):
        times(20, 1)
        singles = times(n_singles, 1)
    times(2, _BATCH)
    return singles, times(n_batches, _BATCH)


def _spread(milliseconds: NDArray[Any]) -> dict[str, float]:
    levels = (1, 50, 99)
    return {f"p{level}": float(value) for level, value in zip(levels, np.percentile(milliseconds, levels), strict=True)}


def _workload(data: ProofData, steps: int) -> dict[str, Any]:
    params = Transformer(**Transformer.PRESETS["demo"])
    return {
        "symbols": _SYMBOLS,
        "instants of a window": params.context,
        "features": len(data.feature_names),
        "d_model": params.d_model,
        "heads": params.n_heads,
        "layers": params.n_layers,
        "feed-forward": params.d_feedforward or 4 * params.d_model,
        "windows of a step": params.batch_size,
        "tokens of a step": params.batch_size * _SYMBOLS * params.context // params.patch,
        "steps of a repeat": steps,
        "optimiser": "AdamW, gradients cut off at norm 1",
        "loss": "direction, quantiles and likelihood of every token",
        "seed": SEED,
    }
