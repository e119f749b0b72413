"""A market transformer fitted to panel files: in this process, or finished here after workers trained it."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors.torch import load_file

from trader.core.errors import ModelError
from trader.core.protocols import FitMonitor
from trader.models.panel_files import PanelBlock, PanelFiles, Span
from trader.models.panel_fit import PanelFit
from trader.models.panel_trainer import (
    NETWORK_FILE,
    DivergedError,
    PanelTrainer,
    Progress,
    schedule_of,
    tail_outputs,
)
from trader.models.torch_scope import device_of, reproducible
from trader.models.transformer import MarketTransformer
from trader.models.transformer_calibration import TailCalibration
from trader.models.transformer_fit import Fitted, calibrate_outputs, with_less_memory
from trader.models.transformer_model import Transformer
from trader.models.transformer_params import TransformerParams
from trader.models.transformer_training import History

__all__ = ["finish_model", "fit_panel_files", "spans_of"]


def fit_panel_files(
    panel: PanelFiles,
    params: TransformerParams,
    *,
    seed: int = 0,
    end: int | None = None,
    monitor: FitMonitor | None = None,
) -> Transformer:
    """Fit to panel files in this process; in memory are a few files at a time.

    With no more files to learn from than a buffer holds (`trader.models.schedule.Schedule`), this makes the same
    steps as `Transformer.fit_panel` with the panel in memory. The instants from position `end` on are left out.

    Raises
    ------
    DataError
        If a file was changed, or was written for a shorter context.
    ModelError
        As `Transformer.fit_panel`.
    """
    fit = PanelFit.of(panel, params, end)
    device = device_of(params.device)

    def attempt(batch_size: int) -> Transformer:
        with tempfile.TemporaryDirectory() as folder, reproducible(seed, device, params.n_threads):
            trainer = PanelTrainer(fit, schedule_of(panel, fit, seed=seed, batch_size=batch_size), device)

            def keep() -> None:
                if trainer.progress.best_epoch == len(trainer.progress.epochs):
                    trainer.save(Path(folder))

            try:
                trainer.run(
                    lambda spans: spans_of(panel, spans, params.context - 1),
                    lambda epoch, metrics: monitor is None or monitor(epoch, params.epochs, metrics),
                    keep,
                )
                progress = trainer.progress
            except DivergedError as error:
                progress = dataclasses.replace(trainer.progress, stopped_because=str(error))
            return finish_model(panel, fit, progress, Path(folder))

    return with_less_memory(attempt, params.batch_size)


def finish_model(panel: PanelFiles, fit: PanelFit, progress: Progress, checkpoint: Path | None) -> Transformer:
    """Return the model with the weights of a checkpoint, calibrated on the tail of the panel.

    Raises
    ------
    ModelError
        If no epoch was done.
    """
    if not progress.epochs or checkpoint is None:
        reason, rate = progress.stopped_because, fit.params.learning_rate
        raise ModelError(f"the transformer cannot be trained: {reason}; lower learning_rate={rate}")
    device = device_of(fit.params.device)
    with reproducible(0, device, fit.params.n_threads):
        network = MarketTransformer(fit.config)
        network.load_state_dict(load_file(checkpoint / NETWORK_FILE))
        network = network.to(device).eval()
        calibration = TailCalibration.none()
        if fit.tail is not None:
            tail = spans_of(panel, panel.spans(fit.tail.start, fit.tail.stop), fit.params.context - 1)
            calibration = calibrate_outputs(*tail_outputs(fit, network, tail, device))
    history = History(progress.epochs, progress.best_epoch, progress.stopped_because)
    names = panel.header.feature_names
    return Transformer.of(fit.params, Fitted(names, fit.encoder, network, calibration, fit.scale, history))


def spans_of(panel: PanelFiles, spans: Sequence[Span], n_context: int) -> Iterator[PanelBlock]:
    """Yield the blocks of some spans in their order, each with the past before it, read when they are asked for."""
    return (panel.read_span(span, n_context) for span in spans)
