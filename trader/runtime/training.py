"""The market transformer trained by several workers on Ray Train; a worker's death costs what followed the last epoch.

What runs here is the driver: it asks for the workers (`trader.runtime.training_worker`), follows their checkpoints, and
makes a model of the best.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train.torch import TorchTrainer

from trader.core.errors import DataError, OperationError, TraderError, UserError
from trader.models.panel_files import PanelFiles
from trader.models.panel_fit import PanelFit
from trader.models.panel_model import finish_model
from trader.models.panel_trainer import DivergedError, Progress, schedule_of
from trader.models.transformer_fit import with_less_memory
from trader.models.transformer_model import Transformer
from trader.models.transformer_params import TransformerParams
from trader.runtime.training_worker import TrainingJob, checkpoint_name, work

__all__ = ["OnEpoch", "Watch", "train_on_ray"]

OnEpoch = Callable[[int, int, Mapping[str, float]], object]
"""Told of each epoch (from 1), of how many there are at most, and of its metrics; in order, once."""

_JOB_FILE = "training.json"
_KEPT_FILE = "kept"
_POLL_S = 0.3


def train_on_ray(
    panel: PanelFiles,
    params: TransformerParams,
    folder: Path,
    *,
    n_workers: int,
    seed: int = 0,
    end: int | None = None,
    on_epoch: OnEpoch | None = None,
    max_failures: int = 3,
) -> Transformer:
    """Fit to panel files with workers on the cluster that this process is connected to.

    Parameters
    ----------
    panel : PanelFiles
        All machines must see its folder.
    params : TransformerParams
        A batch is shared by the workers. With `device="auto"` they take a GPU each where the cluster has as many.
    folder : Path
        For checkpoints; all machines must see it. One that holds a broken-off training of the same panel, parameters,
        seed and workers is gone on with.
    n_workers : int
    seed : int, default=0
    end : int, optional
        Learn from the instants before this position alone.
    on_epoch : callable, optional
    max_failures : int, default=3
        Deaths of workers that are made up for.

    Raises
    ------
    DataError
        If a file was changed, was written for a shorter context, or `folder` holds another training.
    UserError
        If the cluster has no room for the workers.
    ModelError
        As `trader.models.panel_model.fit_panel_files`.
    OperationError
        If workers died too often; the checkpoints stay.
    """
    panel = dataclasses.replace(panel, folder=panel.folder.resolve())
    fit = PanelFit.of(panel, params, end)
    schedule_of(panel, fit, seed=seed, batch_size=params.batch_size, n_workers=n_workers)
    on_gpu = _takes_gpus(params, n_workers)
    _claim(folder, {"panel": panel.fingerprint, "params": params.params, "seed": seed, "n": n_workers, "end": end})

    def attempt(batch_size: int) -> Transformer:
        job = TrainingJob(panel, fit, seed, batch_size, on_gpu)
        run = folder.resolve() / f"batch-{batch_size}"
        with _brisk_train():
            future = _in_background(_trainer(job, run, n_workers, max_failures).fit)
            stopped = _follow(future, run, params.epochs, on_epoch)
        progress = _newest(run)
        if isinstance(stopped, DivergedError):
            progress = dataclasses.replace(progress, stopped_because=str(stopped))
        elif stopped is not None:
            raise stopped
        return finish_model(panel, fit, progress, run / checkpoint_name(progress.best_epoch))

    return with_less_memory(attempt, params.batch_size)


def _trainer(job: TrainingJob, run: Path, n_workers: int, max_failures: int) -> TorchTrainer:
    return TorchTrainer(
        work,
        train_loop_config={"job": job},
        scaling_config=ray.train.ScalingConfig(num_workers=n_workers, use_gpu=job.on_gpu),
        run_config=ray.train.RunConfig(
            name=run.name,
            storage_path=str(run.parent),
            failure_config=ray.train.FailureConfig(max_failures=max_failures),
            # The latest is kept beside the best, to go on from.
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1, checkpoint_score_attribute="best_so_far"),
            callbacks=[Watch()],
            logging_config=ray.train.LoggingConfig(log_level="ERROR"),
        ),
    )


class Watch(ray.train.UserCallback):  # type: ignore[misc]  # Ray ships no types
    """Runs beside Ray's controller: marks the checkpoints it has taken note of, and ends what cannot go well."""

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:  # noqa: ARG002
        """Mark a checkpoint that the workers would now go on from."""
        (Path(checkpoint.path) / _KEPT_FILE).touch()

    def after_exception(self, run_context: Any, worker_exceptions: dict[int, Exception]) -> None:  # noqa: ARG002
        """Raise an error that is not about a worker's process; Ray Train then stops."""
        for error in worker_exceptions.values():
            if _is_final(error):
                raise error


def _follow(future: Future[Any], run: Path, n_epochs: int, on_epoch: OnEpoch | None) -> Exception | None:
    """Tell of the epochs until the training ends; return why, if it did not end well."""
    told = 0
    while True:
        done = future.done()
        for epoch, metrics in enumerate(_newest(run).epochs[told:], told + 1):
            told = epoch
            if on_epoch is not None:
                on_epoch(epoch, n_epochs, metrics)
        if done:
            break
        with contextlib.suppress(TimeoutError):
            future.exception(_POLL_S)
    error = future.exception()
    final: Exception | None = getattr(error, "controller_failure", None)
    if final is not None and _is_final(final):
        return final
    if isinstance(error, ray.train.TrainingFailedError):
        return OperationError(f"the training broke off after epoch {told}; checkpoints are in {run}: {_why(error)}")
    if error is not None:
        raise error
    return None


def _why(error: Any) -> str:
    """Return in a line what became of the first worker that failed."""
    failures: Mapping[int, Exception] = getattr(error, "worker_failures", {})
    rank, cause = next(iter(failures.items()), (None, error))
    first_line = str(cause).strip().partition("\n")[0]
    return f"{type(cause).__name__}: {first_line}" if rank is None else f"worker {rank}: {first_line}"


def _is_final(error: Exception) -> bool:
    """Whether it would come again if the workers were started again."""
    return isinstance(error, (TraderError, MemoryError))


def _newest(run: Path) -> Progress:
    """Return the progress of the latest checkpoint that was taken note of; one that is being deleted is passed over."""
    for mark in sorted(run.glob(f"epoch-*/{_KEPT_FILE}"), reverse=True):
        with contextlib.suppress(OSError):
            return Progress.read(mark.parent)
    return Progress()


def _takes_gpus(params: TransformerParams, n_workers: int) -> bool:
    """Return whether the workers take a GPU each; refuse what the cluster can never hold, for it would wait."""
    if n_workers < 1:
        raise UserError(f"n_workers={n_workers} is not allowed; at least 1 is needed")
    if not ray.is_initialized():
        raise OperationError("no Ray cluster is connected; start one with trader.runtime.cluster.start_cluster")
    offered = ray.cluster_resources()
    gpus, cpus = int(offered.get("GPU", 0)), int(offered.get("CPU", 0))
    if params.device == "cuda" and gpus < n_workers:
        raise UserError(f"{n_workers} workers with a GPU each are more than the cluster has: {gpus}")
    if cpus < n_workers:
        raise UserError(f"{n_workers} workers are more than the cluster has processors: {cpus}")
    return params.device != "cpu" and gpus >= n_workers


def _claim(folder: Path, job: Mapping[str, Any]) -> None:
    """Write what is trained into the folder, or see that it is the same."""
    path, text = folder / _JOB_FILE, json.dumps(job, indent=1, sort_keys=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            raise DataError(f"{folder} holds another training; give a folder of its own")
    except OSError as error:
        raise OperationError(f"{folder} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def _brisk_train() -> Iterator[None]:
    """Have Ray Train look after its workers more often than every two seconds: an epoch ends when it looks."""
    name = "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S"
    before = os.environ.get(name)
    os.environ.setdefault(name, "0.2")
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name)


def _in_background(work: Callable[[], Any]) -> Future[Any]:
    """Run in a thread, so that this one can tell of progress and be interrupted."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, name="ray-train", daemon=True).start()
    return future
