"""Training on real workers: several learn what one learns, the killed are replaced, and errors end it."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.support.panels import panel_of, planted_set, small_transformer
from trader.core.errors import DataError, UserError
from trader.models.panel_files import PanelFiles
from trader.models.panel_fit import PanelFit
from trader.models.panel_model import fit_panel_files, spans_of
from trader.models.panel_trainer import schedule_of
from trader.runtime.panel_stream import stream
from trader.runtime.training import Watch, train_on_ray

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]

EPOCHS = 3


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> PanelFiles:
    """A signal that is learnt within an epoch or two, in ten files; no name says volume, so parameters are unused."""
    data = dataclasses.replace(planted_set(1260, signal="momentum"), feature_names=("a", "b", "c"))
    return panel_of(data, tmp_path_factory.mktemp("panels") / "panel", file_slices=126)


@pytest.fixture(autouse=True)
def _no_watch_for_preempted_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process less for each start of the workers."""
    monkeypatch.setenv("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")


def test_workers_learn_what_one_learns_though_one_is_killed(panel: PanelFiles, tmp_path: Path) -> None:
    """SIGKILL in the second epoch: both go on from the first, whose checkpoint stays, and end with the curve of one."""
    told: list[tuple[int, int]] = []
    first: list[TextIOWrapper] = []

    def on_epoch(epoch: int, n_epochs: int, metrics: Mapping[str, float]) -> None:
        told.append((epoch, n_epochs))
        assert metrics["train_loss"] > 0
        if epoch == 1:
            first.append((tmp_path / "batch-32" / "epoch-00001" / "progress.json").open())
            written.append(os.fstat(first[0].fileno()).st_mtime_ns)
            os.kill(next(_workers()).pid, signal.SIGKILL)

    written: list[int] = []
    params = small_transformer(epochs=EPOCHS)
    model = train_on_ray(panel, params, tmp_path, n_workers=2, seed=3, on_epoch=on_epoch)
    assert told == [(1, EPOCHS), (2, EPOCHS), (3, EPOCHS)]
    with first[0] as checkpoint:
        assert os.fstat(checkpoint.fileno()).st_mtime_ns == written[0]
    alone = fit_panel_files(panel, params, seed=3)
    ours, theirs = (
        np.array([[epoch[name] for name in ("train_loss", "validation_loss")] for epoch in history.epochs])
        for history in (model.history, alone.history)
    )
    assert ours.shape == (EPOCHS, 2)
    np.testing.assert_allclose(ours, theirs, atol=0.1)
    for history in (model.history, alone.history):
        assert history.epochs[-1]["validation_ic"] > 0.5
        assert history.stopped_because == "finished"


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


def test_a_changed_file_ends_the_stream_and_the_training(tmp_path: Path) -> None:
    """The error of the task that read it arrives as ours, and Ray Train is told not to start the workers again."""
    panel = panel_of(planted_set(), tmp_path / "panel")
    path = panel.folder / panel.files[2].name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"panel-00002\.parquet was changed: .* panel\.json$") as found:
        list(stream(panel, panel.spans(0, 300), 3))
    with pytest.raises(DataError, match="was changed"):
        Watch().after_exception(None, {0: RuntimeError("a peer closed its connection"), 1: found.value})
    Watch().after_exception(None, {0: RuntimeError("a peer closed its connection")})
