"""Training on real workers: what one learns several learn, and a killed one changes nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.support.panels import panel_of, planted_set, small_transformer
from trader.core.errors import DataError, UserError
from trader.models.panel_files import PanelFiles
from trader.models.panel_fit import PanelFit
from trader.models.panel_model import fit_panel_files, spans_of
from trader.models.panel_trainer import schedule_of
from trader.models.transformer_model import Transformer
from trader.runtime.panel_stream import stream
from trader.runtime.training import OnEpoch, train_on_ray

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

EPOCHS = 3


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> PanelFiles:
    """A signal that is learnt within an epoch or two, in ten files."""
    return panel_of(planted_set(1260, signal="momentum"), tmp_path_factory.mktemp("panels") / "panel", file_slices=126)


@pytest.fixture(scope="module")
def undisturbed(panel: PanelFiles, tmp_path_factory: pytest.TempPathFactory) -> Transformer:
    return _train(panel, tmp_path_factory.mktemp("undisturbed"))


def _train(panel: PanelFiles, folder: Path, on_epoch: OnEpoch | None = None) -> Transformer:
    return train_on_ray(panel, small_transformer(epochs=EPOCHS), folder, n_workers=2, seed=3, on_epoch=on_epoch)


def test_two_workers_learn_what_one_learns(panel: PanelFiles, undisturbed: Transformer) -> None:
    """Half a batch each, gradients averaged: the curve is that of one process, up to the order of the windows."""
    alone = fit_panel_files(panel, small_transformer(epochs=EPOCHS), seed=3)
    ours, theirs = (
        np.array([[epoch[name] for name in ("train_loss", "validation_loss")] for epoch in model.history.epochs])
        for model in (undisturbed, alone)
    )
    assert ours.shape == (EPOCHS, 2)
    np.testing.assert_allclose(ours, theirs, atol=0.1)
    for model in (undisturbed, alone):
        assert model.history.epochs[-1]["validation_ic"] > 0.5
        assert model.history.stopped_because == "finished"


def test_a_killed_worker_changes_nothing(panel: PanelFiles, undisturbed: Transformer, tmp_path: Path) -> None:
    """SIGKILL in the second epoch: all go on from the checkpoint of the first, and end with the same weights."""
    told: list[tuple[int, int]] = []
    killed: list[int] = []

    def on_epoch(epoch: int, n_epochs: int, metrics: Mapping[str, float]) -> None:
        told.append((epoch, n_epochs))
        assert metrics["train_loss"] > 0
        if epoch == 1:
            victim = next(_workers())
            os.kill(victim.pid, signal.SIGKILL)
            killed.append(victim.pid)

    model = _train(panel, tmp_path, on_epoch)
    assert len(killed) == 1
    assert told == [(1, EPOCHS), (2, EPOCHS), (3, EPOCHS)]
    assert model.history == undisturbed.history
    for name, weights in undisturbed.network.state_dict().items():
        assert torch.equal(weights, model.network.state_dict()[name])


def _workers() -> Iterator[psutil.Process]:
    """The processes of the training that descend from this one."""
    for process in psutil.Process().children(recursive=True):
        if "RayTrainWorker" in " ".join(process.cmdline()):
            yield process


def test_the_stream_is_the_files(panel: PanelFiles) -> None:
    """Blocks come in the order asked for, cut and with their past, as they are read without Ray."""
    fit = PanelFit.of(panel, small_transformer())
    spans = schedule_of(panel, fit, seed=3, batch_size=32, n_workers=3, rank=1).share(1)
    blocks = list(stream(panel, spans, 3))
    assert len(blocks) == len(spans)
    for block, expected in zip(blocks, spans_of(panel, spans, 3), strict=True):
        assert (block.first, block.n_context) == (expected.first, expected.n_context)
        for name in ("ts_ns", "features", "target", "weight"):
            np.testing.assert_array_equal(getattr(block, name), getattr(expected, name))


def test_what_cannot_work_is_said_at_once(panel: PanelFiles, tmp_path: Path) -> None:
    """Workers that the cluster will never hold, a folder with another training, a file that was changed."""
    params = small_transformer(epochs=1)
    with pytest.raises(UserError, match="5 workers are more than the cluster has processors: 4"):
        train_on_ray(panel, params, tmp_path / "a", n_workers=5)
    with pytest.raises(UserError, match="2 workers with a GPU each are more than the cluster has: 0"):
        train_on_ray(panel, small_transformer(device="cuda"), tmp_path / "a", n_workers=2)
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "training.json").write_text("{}")
    with pytest.raises(DataError, match="holds another training"):
        train_on_ray(panel, params, tmp_path / "b", n_workers=2)


def test_a_changed_file_ends_the_training(tmp_path: Path) -> None:
    """It would be found again by every worker that starts again, so none does."""
    panel = panel_of(planted_set(), tmp_path / "panel")
    path = panel.folder / panel.files[2].name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"panel-00002\.parquet was changed"):
        train_on_ray(panel, small_transformer(), tmp_path / "run", n_workers=1)
