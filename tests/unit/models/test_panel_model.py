"""A transformer fitted to panel files: as in memory, resumable to the bit, honest about what stops it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.panels import panel_of, planted_set, small_transformer
from trader.core.errors import DataError, ModelError
from trader.models.dataset import TrainingSet
from trader.models.panel_files import PanelFiles, open_panel
from trader.models.panel_fit import PanelFit
from trader.models.panel_model import fit_panel_files, spans_of
from trader.models.panel_trainer import PanelTrainer, schedule_of
from trader.models.panel_writer import write_training_set
from trader.models.torch_scope import reproducible
from trader.models.transformer_model import Transformer

CPU = torch.device("cpu")
INSTANTS = np.arange(100, 400)


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    return planted_set()


@pytest.fixture(scope="module")
def panel(data: TrainingSet, tmp_path_factory: pytest.TempPathFactory) -> PanelFiles:
    return panel_of(data, tmp_path_factory.mktemp("panels") / "panel")


@pytest.fixture(scope="module")
def in_memory(data: TrainingSet) -> Transformer:
    return _fit_in_memory(data)


def _fit_in_memory(data: TrainingSet, instants: np.ndarray | None = None) -> Transformer:
    return small_transformer().fit_panel(
        data.features, data.target, feature_names=data.feature_names, seed=3, instants=instants, weight=data.weight
    )


def _assert_same_course(found: Transformer, expected: Transformer) -> None:
    """The same loss curve, calibration and forecasts, to what float32 features leave."""
    for epoch, other in zip(found.history.epochs, expected.history.epochs, strict=True):
        assert dict(epoch) == pytest.approx(dict(other), abs=2e-4)
    assert found.history.best_epoch == expected.history.best_epoch
    assert found.history.stopped_because == expected.history.stopped_because


def test_files_teach_what_memory_teaches(panel: PanelFiles, data: TrainingSet, in_memory: Transformer) -> None:
    """With all files in one buffer, the steps are those of a fit in memory: equal curves and equal forecasts."""
    model = fit_panel_files(panel, small_transformer(), seed=3)
    assert len(panel.files) == 7
    _assert_same_course(model, in_memory)
    mine, other = (m.forecast(data.features[300:340], 3) for m in (model, in_memory))
    np.testing.assert_allclose(mine.score, other.score, atol=2e-3)
    np.testing.assert_allclose(mine.quantiles, other.quantiles, atol=2e-2)
    np.testing.assert_allclose(mine.volatility, other.volatility, rtol=1e-2)


def test_a_fold_teaches_what_memory_teaches(data: TrainingSet, tmp_path: Path) -> None:
    """Files of a part of the instants, with the past before them, give the fit to those instants."""
    weighted = dataclasses.replace(data, weight=np.linspace(0.5, 1.5, len(data))[:, None] * np.ones(5))
    expected = _fit_in_memory(weighted, INSTANTS)
    write_training_set(tmp_path / "fold", weighted, overlap=3, instants=INSTANTS, file_slices=70)
    _assert_same_course(fit_panel_files(open_panel(tmp_path / "fold"), small_transformer(), seed=3), expected)


def test_small_buffers_learn_as_much(tmp_path: Path) -> None:
    """Mixing two files of twenty at a time learns a signal as well as mixing all: the best possible IC is 0.6."""
    panel = panel_of(planted_set(1260, signal="momentum"), tmp_path / "panel", file_slices=63)
    assert len(panel.files) == 20

    def last_ic(buffer_files: int) -> float:
        fit = PanelFit.of(panel, small_transformer())
        with reproducible(3, CPU, 1):
            schedule = schedule_of(panel, fit, seed=3, batch_size=32)
            trainer = PanelTrainer(fit, dataclasses.replace(schedule, buffer_files=buffer_files), CPU)
            trainer.run(lambda spans: spans_of(panel, spans, 3), lambda *_: True, lambda: None)
        return trainer.progress.epochs[-1]["validation_ic"]

    few, all_at_once = last_ic(2), last_ic(20)
    assert min(few, all_at_once) > 0.5
    assert abs(few - all_at_once) < 0.05


def _trained(panel: PanelFiles, folder: Path, upto: int = 9, resume: Path | None = None) -> PanelTrainer:
    """Train, and keep a checkpoint of each epoch."""
    fit = PanelFit.of(panel, small_transformer())
    with reproducible(3, CPU, 1):
        trainer = PanelTrainer(fit, schedule_of(panel, fit, seed=3, batch_size=32), CPU)
        if resume is not None:
            trainer.load(resume)

        def keep() -> None:
            target = folder / str(len(trainer.progress.epochs))
            target.mkdir(parents=True)
            trainer.save(target)
            if len(trainer.progress.epochs) == upto:
                raise InterruptedError

        with contextlib.suppress(InterruptedError):
            trainer.run(lambda spans: spans_of(panel, spans, 3), lambda *_: True, keep)
    return trainer


def test_a_checkpoint_goes_on_to_the_bit(panel: PanelFiles, tmp_path: Path) -> None:
    """Broken off after any epoch and begun again from its checkpoint, a training ends with the same weights."""
    whole = _trained(panel, tmp_path / "whole")
    _trained(panel, tmp_path / "broken", upto=1)
    resumed = _trained(panel, tmp_path / "resumed", resume=tmp_path / "broken" / "1")
    assert resumed.progress == whole.progress
    assert sorted(path.name for path in (tmp_path / "resumed").iterdir()) == ["2", "3"]
    for name, weights in whole.network.state_dict().items():
        assert torch.equal(weights, resumed.network.state_dict()[name])
    kept = {path.suffix for path in (tmp_path / "whole" / "3").iterdir()}
    assert kept == {".safetensors", ".json"}


def test_the_monitor_may_end_it(panel: PanelFiles) -> None:
    """It is told of every epoch once, and its no is final."""
    told: list[tuple[int, int, Mapping[str, float]]] = []

    def monitor(epoch: int, total: int, metrics: Mapping[str, float]) -> bool:
        told.append((epoch, total, metrics))
        return epoch < 2

    model = fit_panel_files(panel, small_transformer(epochs=5), seed=3, monitor=monitor)
    assert [(epoch, total) for epoch, total, _ in told] == [(1, 5), (2, 5)]
    assert model.history.stopped_because == "ended by the monitor"
    assert json.loads(json.dumps(told[0][2])) == dict(model.history.epochs[0])


def test_a_loss_that_is_not_finite_names_its_batch(panel: PanelFiles) -> None:
    """The training ends; with no epoch done there is no model."""
    with pytest.raises(ModelError, match=r"the loss is nan in batch \d+ of \d+ in epoch 1; lower learning_rate=1e\+30"):
        fit_panel_files(panel, small_transformer(learning_rate=1e30), seed=3)


def test_too_long_a_context_is_refused(panel: PanelFiles) -> None:
    """Windows that would need two files are an error that says what the panel allows."""
    with pytest.raises(DataError, match=r"context=8 is not allowed; .* at most 4"):
        PanelFit.of(panel, small_transformer(context=8))


def test_too_few_labels_are_refused(data: TrainingSet, tmp_path: Path) -> None:
    """As in memory; a few more are learnt from without a validation."""
    few = panel_of(
        dataclasses.replace(data, target=np.where(np.arange(420)[:, None] < 301, np.nan, data.target)), tmp_path / "a"
    )
    none = dataclasses.replace(data, target=np.full_like(data.target, np.nan))
    with pytest.raises(ModelError, match="0 rows with a known target"):
        PanelFit.of(panel_of(none, tmp_path / "b"), small_transformer())
    fit = PanelFit.of(few, small_transformer(validation_fraction=0.9))
    assert fit.tail is None
    assert "validation_loss" not in fit_panel_files(few, small_transformer(validation_fraction=0.9)).history.epochs[0]


def test_workers_need_instants_to_share(panel: PanelFiles) -> None:
    """More workers than instants are refused, not left without a batch."""
    with pytest.raises(ModelError, match="1000 workers cannot share"):
        schedule_of(panel, PanelFit.of(panel, small_transformer()), seed=1, batch_size=8, n_workers=1000)
