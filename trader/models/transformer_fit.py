"""From a labelled panel to a trained and calibrated network."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from trader.core.errors import ModelError
from trader.core.protocols import FitMonitor
from trader.models.calibration import LEVELS
from trader.models.encoding import PanelEncoder
from trader.models.schema import check_panel, min_known
from trader.models.torch_scope import device_of, reproducible
from trader.models.transformer import MarketTransformer, NetworkConfig, Outputs
from trader.models.transformer_calibration import OutputArrays, TailCalibration
from trader.models.transformer_params import TransformerParams
from trader.models.transformer_training import Examples, History, TrainingPlan, predict_examples, train
from trader.models.windows import WindowSource

__all__ = [
    "MIN_FIT_ROWS",
    "MIN_TAIL_ROWS",
    "Fitted",
    "calibrate_outputs",
    "fit_network",
    "is_memory_error",
    "network_config",
    "training_plan",
    "with_less_memory",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

T = TypeVar("T")

MIN_FIT_ROWS = 10
MIN_TAIL_ROWS = 20


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What a fit gives.

    Parameters
    ----------
    names : tuple of str
        The schema.
    encoder : PanelEncoder
    network : MarketTransformer
        On the device it was trained on, ready to predict.
    calibration : TailCalibration
    target_scale : float
        Root mean square of the training labels, the unit of the network's outputs.
    history : History
    """

    names: tuple[str, ...]
    encoder: PanelEncoder
    network: MarketTransformer
    calibration: TailCalibration
    target_scale: float
    history: History


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """Usable labels of a panel, and the instants on either side of the split.

    Parameters
    ----------
    target : ndarray of shape (n_slices, n_symbols)
        0 where unusable.
    weight : ndarray of shape (n_slices, n_symbols)
        0 where unusable.
    head, tail : ndarray of int
        Instants to train and to validate on; the tail may be empty.
    """

    target: FloatArray
    weight: FloatArray
    head: IntArray
    tail: IntArray

    def used(self, instants: IntArray) -> BoolArray:
        """Return where there is a label at these instants, shape (n_slices, n_symbols)."""
        used = np.zeros(self.weight.shape, dtype=bool)
        used[instants] = self.weight[instants] > 0
        return used


def fit_network(
    params: TransformerParams,
    features: FloatArray,
    target: FloatArray,
    names: tuple[str, ...],
    *,
    seed: int,
    instants: IntArray | None,
    weight: FloatArray | None,
    monitor: FitMonitor | None,
) -> Fitted:
    """Train on a panel; see `trader.core.protocols.Model.fit_panel`.

    Raises
    ------
    DataError
        If shapes, names, instants or weights are not allowed.
    ModelError
        If there are fewer than ten labels, the loss is not finite from the start, or memory does not suffice.
    """
    chosen, weights = check_panel(features, target, names, instants, weight)
    seen = int(chosen[-1]) + 1 if chosen.size else 0
    panel = np.asarray(features[:seen], dtype=np.float64)
    labels = _labels(panel, np.asarray(target[:seen], dtype=np.float64), weights[:seen], chosen, params)
    head = labels.used(labels.head)
    encoder = PanelEncoder.fit(panel[head], names)
    mean_square = np.average(labels.target[head] ** 2, weights=labels.weight[head])
    scale = float(np.sqrt(mean_square)) if mean_square > 0 else 1.0
    device = device_of(params.device)
    source = WindowSource(encoder(panel, params.context - 1), params.context, params.patch, device)
    training = _examples(labels, labels.head, scale, params.context, device)
    validation = _examples(labels, labels.tail, scale, params.context, device) if labels.tail.size else None
    config = network_config(params, encoder, panel.shape[1])

    def attempt(batch_size: int) -> tuple[MarketTransformer, History, TailCalibration]:
        with reproducible(seed, device, params.n_threads):
            network = MarketTransformer(config).to(device)
            plan = training_plan(params, device, batch_size)
            history = train(network, source, training, validation, plan, seed=seed, monitor=monitor)
            return network.eval(), history, _calibration(network, source, validation)

    network, history, calibration = with_less_memory(attempt, params.batch_size)
    return Fitted(names, encoder, network, calibration, scale, history)


def network_config(params: TransformerParams, encoder: PanelEncoder, n_symbols: int) -> NetworkConfig:
    """Return the sizes of the network for an encoder and the number of symbols of the fit."""
    return NetworkConfig(
        n_values=encoder.n_values,
        n_calendar=encoder.n_calendar,
        n_market=encoder.n_market,
        n_symbols=min(params.n_symbol_embeddings, n_symbols),
        patch=params.patch,
        d_model=params.d_model,
        n_heads=params.n_heads,
        n_layers=params.n_layers,
        d_feedforward=params.d_feedforward or 4 * params.d_model,
        dropout=params.dropout,
        stranger_rate=params.stranger_rate,
        levels=LEVELS,
    )


def training_plan(params: TransformerParams, device: torch.device, batch_size: int) -> TrainingPlan:
    """Return how to train on a device: bfloat16 and, unless told otherwise, compiled where it is CUDA."""
    on_cuda = device.type == "cuda"
    return TrainingPlan(
        epochs=params.epochs,
        batch_size=batch_size,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        warmup=params.warmup,
        max_gradient=params.max_gradient,
        patience=params.patience,
        mixed_precision=on_cuda,
        compiled=params.compiled == "on" or (params.compiled == "auto" and on_cuda),
    )


def _labels(
    features: FloatArray, target: FloatArray, weight: FloatArray, chosen: IntArray, params: TransformerParams
) -> _Labels:
    """Return the usable labels and the split: the tail, a purge before it, and the head."""
    usable = np.zeros(target.shape, dtype=bool)
    enough = np.isfinite(features[chosen]).sum(axis=2) >= min_known(features.shape[2])
    usable[chosen] = np.isfinite(target[chosen]) & enough & (weight[chosen] > 0)
    if (n_rows := int(usable.sum())) < MIN_FIT_ROWS:
        raise ModelError(f"transformer has {n_rows} rows with a known target and features; {MIN_FIT_ROWS} are needed")
    labels = _Labels(np.where(usable, target, 0.0), np.where(usable, weight, 0.0), chosen, chosen[:0])
    start = chosen.size - round(params.validation_fraction * chosen.size)
    if start == chosen.size:
        return labels
    tail = chosen[start:]
    head = chosen[chosen + params.purge < tail[0]]
    if min(int(usable[head].sum()), int(usable[tail].sum())) < MIN_TAIL_ROWS:
        return labels
    return dataclasses.replace(labels, head=head, tail=tail)


def _examples(labels: _Labels, instants: IntArray, scale: float, context: int, device: torch.device) -> Examples:
    """Return the instants that have labels, with the labels at those instants alone."""
    used = labels.used(instants)
    weight = np.where(used, labels.weight / labels.weight[used].mean(), 0.0)
    ends = instants[used[instants].any(axis=1)]

    def padded(panel: FloatArray) -> torch.Tensor:
        past = np.zeros((context - 1, panel.shape[1]))
        return torch.from_numpy(np.concatenate([past, panel]).astype(np.float32)).to(device)

    return Examples(
        torch.from_numpy(ends).to(device), padded(np.where(used, labels.target / scale, 0.0)), padded(weight)
    )


def _calibration(network: MarketTransformer, source: WindowSource, validation: Examples | None) -> TailCalibration:
    if validation is None:
        return TailCalibration.none()
    return calibrate_outputs(*predict_examples(network, source, validation))


def calibrate_outputs(outputs: Outputs, target: torch.Tensor, weight: torch.Tensor) -> TailCalibration:
    """Learn from what `trader.models.transformer_training.predict_examples` returned for the tail."""
    used = weight > 0

    def taken(tensor: torch.Tensor) -> FloatArray:
        found: FloatArray = tensor[used].double().cpu().numpy()
        return found

    fields = (getattr(outputs, field.name) for field in dataclasses.fields(OutputArrays))
    return TailCalibration.of(OutputArrays(*map(taken, fields)), taken(target), taken(weight))


def with_less_memory(attempt: Callable[[int], T], batch_size: int) -> T:
    """Try a batch size, and half of it where memory did not suffice."""
    smaller = max(1, batch_size // 2)
    for size in (batch_size, smaller):
        try:
            return attempt(size)
        except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not is_memory_error(error):
                raise
    raise ModelError(
        f"memory does not suffice for batch_size={batch_size}, nor for {smaller}; lower batch_size, context or d_model"
    )


def is_memory_error(error: RuntimeError) -> bool:
    """Whether torch ran out of memory; on the processor it has no exception of its own for that."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
