"""What each worker of a training on Ray Train does.

The steps are those of `trader.models.panel_trainer.PanelTrainer`, which knows nothing of Ray. What is here is what a
worker reads, how gradients meet, and where checkpoints go.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ray.train
import torch
from ray.train.torch import get_device
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from trader.models.panel_files import PanelFiles
from trader.models.panel_fit import PanelFit
from trader.models.panel_trainer import PanelTrainer, schedule_of
from trader.models.torch_scope import reproducible
from trader.models.transformer_fit import is_memory_error
from trader.runtime.panel_stream import stream

__all__ = ["TrainingJob", "checkpoint_name", "work"]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class TrainingJob:
    """What every worker is given.

    Parameters
    ----------
    panel : PanelFiles
    fit : PanelFit
    seed : int
    batch_size : int
        Windows of a step, of all workers together.
    on_gpu : bool
        Whether a worker has a GPU.
    """

    panel: PanelFiles
    fit: PanelFit
    seed: int
    batch_size: int
    on_gpu: bool


def work(config: dict[str, TrainingJob]) -> None:
    """Train as one of the workers, from the last checkpoint if there is one; report each epoch with a checkpoint.

    What is reported is `best_so_far`: the number of an epoch that is the best until then, 0 of any other. So the
    highest is the best of all.

    Parameters
    ----------
    config : dict
        The job, as `job`.
    """
    job = config["job"]
    context = ray.train.get_context()
    device = get_device() if job.on_gpu else torch.device("cpu")
    schedule = schedule_of(
        job.panel,
        job.fit,
        seed=job.seed,
        batch_size=job.batch_size,
        rank=context.get_world_rank(),
        n_workers=context.get_world_size(),
    )

    def wrap(network: nn.Module) -> nn.Module:
        # Static, for not every parameter is used: data without volume or volatility leave the market's bias alone.
        return DistributedDataParallel(network, device_ids=[device] if job.on_gpu else None, static_graph=True)

    with _plain_memory_errors(), reproducible(job.seed, device, job.fit.params.n_threads):
        trainer = PanelTrainer(job.fit, schedule, device, wrap)
        if (checkpoint := ray.train.get_checkpoint()) is not None:
            with checkpoint.as_directory() as saved:
                trainer.load(Path(saved))
        past = job.fit.params.context - 1
        trainer.run(lambda spans: stream(job.panel, spans, past), lambda *_: True, lambda: _report(trainer))


def checkpoint_name(epoch: int) -> str:
    """Return the folder of an epoch's checkpoint.

    >>> checkpoint_name(7)
    'epoch-00007'
    """
    return f"epoch-{epoch:05d}"


def _report(trainer: PanelTrainer) -> None:
    epoch = len(trainer.progress.epochs)
    with tempfile.TemporaryDirectory() as saved:
        trainer.save(Path(saved))
        ray.train.report(
            {"best_so_far": epoch if epoch == trainer.progress.best_epoch else 0},
            ray.train.Checkpoint.from_directory(saved),
            checkpoint_dir_name=checkpoint_name(epoch),
        )


@contextlib.contextmanager
def _plain_memory_errors() -> Iterator[None]:
    """Raise MemoryError for whatever torch raises where memory does not suffice: that is known from afar."""
    try:
        yield
    except RuntimeError as error:
        if is_memory_error(error):
            raise MemoryError(str(error)) from None
        raise
