"""The training loop of the market transformer over panel files, as one of several workers runs it.

It makes the steps that `trader.models.transformer_training.train` makes; what differs is that windows come from files
in the order of a `Schedule`, that gradients are averaged over the workers (by the module that `wrap` puts around the
network), and that everything needed to go on after an epoch can be saved. All workers validate, each a part; what
they find is gathered, so that all come to the same decisions.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from trader.core.errors import ModelError
from trader.models.panel_files import PanelBlock, PanelFiles, Span
from trader.models.panel_fit import PanelFit
from trader.models.schedule import Schedule
from trader.models.transformer import MarketTransformer, Outputs
from trader.models.transformer_fit import training_plan
from trader.models.transformer_training import Examples, NotFiniteError, Stepper, judge_outputs, predict_examples
from trader.models.windows import WindowSource

__all__ = ["NETWORK_FILE", "DivergedError", "PanelTrainer", "Progress", "schedule_of", "tail_outputs"]

NETWORK_FILE = "network.safetensors"
_OPTIMISER_FILE = "optimiser.safetensors"
_PROGRESS_FILE = "progress.json"

Read = Callable[[Sequence[Span]], Iterator[PanelBlock]]
"""Yields the blocks of some spans, in their order, with the past that windows need."""
Tail = tuple[Outputs, Tensor, Tensor]


class DivergedError(ModelError):
    """The loss is not finite: the training cannot go on, and would not if it began again."""


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a training has come.

    Parameters
    ----------
    epochs : tuple of mapping
        As `trader.models.transformer_training.History`.
    stopped_because : str
        Empty while it goes on.
    """

    epochs: tuple[Mapping[str, float], ...] = ()
    stopped_because: str = ""

    @property
    def best_epoch(self) -> int:
        """The one with the lowest validation loss, from 1; without a validation, the last. 0 before the first."""
        losses = [epoch.get("validation_loss", -number) for number, epoch in enumerate(self.epochs)]
        known = [loss if math.isfinite(loss) else math.inf for loss in losses]
        return int(np.argmin(known)) + 1 if known else 0

    @classmethod
    def read(cls, folder: Path) -> Progress:
        """Read it from a checkpoint."""
        content = json.loads((folder / _PROGRESS_FILE).read_text(encoding="utf-8"))
        return cls(tuple(content["epochs"]), content["stopped_because"])

    def write(self, folder: Path) -> None:
        """Write it into a checkpoint."""
        (folder / _PROGRESS_FILE).write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")


class PanelTrainer:
    """One worker's part of a training.

    Parameters
    ----------
    fit : PanelFit
    schedule : Schedule
        Of this worker.
    device : torch.device
    wrap : callable, optional
        Returns a module that computes what the network does and averages its gradients over the workers.

    Notes
    -----
    Build it within `trader.models.torch_scope.reproducible`, with the seed of the schedule. All workers draw the same
    weights; what is drawn after that (dropout, order) differs between them.
    """

    def __init__(
        self,
        fit: PanelFit,
        schedule: Schedule,
        device: torch.device,
        wrap: Callable[[MarketTransformer], nn.Module] | None = None,
    ) -> None:
        self.fit = fit
        self.schedule = schedule
        self.device = device
        self.progress = Progress()
        self.network = MarketTransformer(fit.config).to(device)
        self._plan = training_plan(fit.params, device, schedule.batch_size)
        self._order = torch.Generator().manual_seed(schedule.seed + schedule.rank)
        self._stepper = Stepper(self.network, self._plan, schedule.steps * schedule.n_epochs)
        if wrap is not None and schedule.n_workers > 1:
            self._stepper.forward = wrap(self.network)
            torch.manual_seed(schedule.seed + schedule.rank)

    def run(
        self,
        read: Read,
        verdict: Callable[[int, Mapping[str, float]], bool],
        after_epoch: Callable[[], None],
    ) -> None:
        """Train on from where it stands, until `progress` says why it stopped.

        Parameters
        ----------
        read : callable
            Asked once an epoch for the blocks to learn from, then to validate on.
        verdict : callable
            Told of the number of an epoch and its metrics; returns False to end the training. All workers must
            come to the same verdict.
        after_epoch : callable
            Called when `progress` includes the epoch: the moment to `save`.

        Raises
        ------
        DivergedError
            If the loss is not finite; the message names the batch.
        """
        while not self.progress.stopped_because:
            epoch = len(self.progress.epochs) + 1
            blocks = read((*self.schedule.share(epoch), *self.schedule.own_validation))
            losses = self._learn(blocks, epoch)
            metrics = {"train_loss": _mean(losses, self.schedule, self.device), "learning_rate": self._stepper.rate}
            if self.fit.tail is not None:
                metrics |= self._validate(blocks)
            progress = Progress((*self.progress.epochs, metrics))
            ended = self._ended(progress) if verdict(epoch, metrics) else "ended by the monitor"
            self.progress = dataclasses.replace(progress, stopped_because=ended)
            after_epoch()

    def _learn(self, blocks: Iterator[PanelBlock], epoch: int) -> list[float]:
        """Make the steps of an epoch and return their losses."""
        losses: list[float] = []
        for buffer, n_steps in self.schedule.buffers(epoch):
            mixed = sorted((next(blocks) for _ in buffer), key=lambda block: block.first)
            if n_steps == 0:
                continue
            source, examples = self.fit.windows(mixed, self.fit.head, self.device)
            order = torch.randperm(examples.ends.numel(), generator=self._order)
            order = order[: n_steps * self.schedule.own_batch].to(self.device)
            losses += [self._step(source, examples, examples.ends[chosen]) for chosen in order.tensor_split(n_steps)]
        return losses

    def _step(self, source: WindowSource, examples: Examples, ends: Tensor) -> float:
        try:
            return self._stepper(source, examples, ends)
        except NotFiniteError as error:
            epoch = len(self.progress.epochs) + 1
            on = f" on worker {self.schedule.rank}" if self.schedule.n_workers > 1 else ""
            raise DivergedError(f"{error} of {self.schedule.steps} in epoch {epoch}{on}") from error

    def _validate(self, blocks: Iterator[PanelBlock]) -> dict[str, float]:
        """Return the metrics of all that is validated on, of which the remaining blocks are this worker's part."""
        own = _predicted(self.fit, self.network, blocks, self.device)
        sizes = [sum(map(len, share)) for share in self.schedule.validation_shares]
        return judge_outputs(*_unpacked(_gathered(own, sizes)), self.fit.config.levels)

    def _ended(self, progress: Progress) -> str:
        n_epochs = len(progress.epochs)
        if n_epochs - progress.best_epoch >= self._plan.patience:
            return f"no better for {self._plan.patience} epochs"
        return "finished" if n_epochs == self.schedule.n_epochs else ""

    def save(self, folder: Path) -> None:
        """Write what is needed to go on: a file of this worker's own, and from the first worker all that is shared."""
        own = {"order": self._order.get_state(), "draws": torch.get_rng_state()}
        if self.device.type == "cuda":
            own["cuda_draws"] = torch.cuda.get_rng_state(self.device)
        save_file(own, folder / _worker_file(self.schedule.rank))
        if self.schedule.rank == 0:
            network = self.network.state_dict()
            save_file({name: tensor.contiguous() for name, tensor in network.items()}, folder / NETWORK_FILE)
            moments = self._stepper.optimiser.state_dict()["state"]
            flat = {f"{place}.{name}": value for place, entry in moments.items() for name, value in entry.items()}
            save_file(flat, folder / _OPTIMISER_FILE)
            self.progress.write(folder)

    def load(self, folder: Path) -> None:
        """Go on from what `save` of all workers wrote into one folder."""
        self.network.load_state_dict(load_file(folder / NETWORK_FILE))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in load_file(folder / _OPTIMISER_FILE).items():
            place, _, name = key.partition(".")
            moments.setdefault(int(place), {})[name] = value
        optimiser = self._stepper.optimiser
        optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
        self.progress = Progress.read(folder)
        self._stepper.step = len(self.progress.epochs) * self.schedule.steps
        own = load_file(folder / _worker_file(self.schedule.rank))
        self._order.set_state(own["order"])
        torch.set_rng_state(own["draws"])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(own["cuda_draws"], self.device)


def schedule_of(
    panel: PanelFiles, fit: PanelFit, *, seed: int, batch_size: int, rank: int = 0, n_workers: int = 1
) -> Schedule:
    """Return what one of the workers reads.

    Raises
    ------
    ModelError
        If there are fewer instants to learn from than workers.
    """
    training = panel.spans(fit.head.start, fit.head.stop)
    if sum(map(len, training)) < n_workers:
        raise ModelError(f"{n_workers} workers cannot share {sum(map(len, training))} instants; take fewer")
    return Schedule(
        training=training,
        validation=() if fit.tail is None else panel.spans(fit.tail.start, fit.tail.stop),
        batch_size=batch_size,
        n_epochs=fit.params.epochs,
        seed=seed,
        rank=rank,
        n_workers=n_workers,
    )


def tail_outputs(fit: PanelFit, network: MarketTransformer, blocks: Iterable[PanelBlock], device: torch.device) -> Tail:
    """Return outputs, labels and weights of some blocks of the tail, as `predict_examples` does, (n, N, 1, …)."""
    return _unpacked(_predicted(fit, network, blocks, device))


def _predicted(fit: PanelFit, network: MarketTransformer, blocks: Iterable[PanelBlock], device: torch.device) -> Tensor:
    """Return the same as one tensor (n, N, 5 + n_levels), which workers can send each other."""
    if fit.tail is None:
        raise ModelError("a fit without a tail has nothing to validate on")
    parts = [torch.empty((0, fit.n_symbols, 5 + len(fit.config.levels)), device=device)]
    for block in blocks:
        outputs, target, weight = predict_examples(network, *fit.windows([block], fit.tail, device))
        single = torch.stack((outputs.mean, outputs.deviation, outputs.logit, target, weight), dim=-1)
        parts.append(torch.cat((single, outputs.quantiles), dim=-1).squeeze(2))
    return torch.cat(parts)


def _unpacked(found: Tensor) -> Tail:
    mean, deviation, logit, target, weight = found[:, :, None, :5].unbind(-1)
    return Outputs(mean, deviation, logit, found[:, :, None, 5:]), target, weight


def _gathered(own: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return what all workers found, in their order; each knows how much each has."""
    if len(sizes) == 1:
        return own
    padded = own.new_zeros((max(sizes), *own.shape[1:]))
    padded[: own.shape[0]] = own
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def _mean(losses: Sequence[float], schedule: Schedule, device: torch.device) -> float:
    """Return the mean loss of the steps, over all workers."""
    mean = float(np.mean(losses))
    if schedule.n_workers == 1:
        return mean
    total = torch.tensor([mean], dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return float(total) / schedule.n_workers


def _worker_file(rank: int) -> str:
    return f"worker-{rank}.safetensors"
