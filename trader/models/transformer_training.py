"""The training loop of the market transformer: AdamW, cosine with warm-up, early stopping, best checkpoint kept."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from trader.core.errors import ModelError
from trader.core.protocols import FitMonitor
from trader.models.transformer import MarketTransformer, Outputs
from trader.models.windows import WindowSource
from trader.validation.ic import information_coefficient

__all__ = [
    "Examples",
    "History",
    "NotFiniteError",
    "Stepper",
    "TrainingPlan",
    "cosine_rate",
    "joint_loss",
    "judge_outputs",
    "optimiser",
    "train",
]

FloatArray = NDArray[np.float64]

_TARGET_LIMIT = 5.0
_BETAS = (0.9, 0.98)
_FINAL_RATE = 0.05
_EVALUATION_BATCH = 64
_MIN_CROSS_SECTION = 5


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train.

    Parameters
    ----------
    epochs : int
        At most. An epoch sees a window that ends at every training instant, in random order.
    batch_size : int
        Windows in a step.
    learning_rate : float
        At the end of the warm-up.
    weight_decay : float
        Of matrices; see `optimiser`.
    warmup : float
        Share of the steps in which the rate rises.
    max_gradient : float
        Norm at which the gradient is cut off.
    patience : int
        Epochs without a better validation loss after which training ends.
    mixed_precision : bool
        bfloat16 where it is safe.
    compiled : bool
        By `torch.compile`.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup: float
    max_gradient: float
    patience: int
    mixed_precision: bool = False
    compiled: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Examples:
    """Instants to learn from or to validate on, with their labels.

    Parameters
    ----------
    ends : Tensor of int, shape (n,)
        Instants at which windows end.
    target, weight : Tensor of shape (context - 1 + n_slices, n_symbols)
        Aligned with the source's panel, its past included. The weight is 0 wherever there is no label to use.
    """

    ends: Tensor
    target: Tensor
    weight: Tensor

    def labels(self, closing: Tensor) -> tuple[Tensor, Tensor]:
        """Return target and weight (B, N, T) at the patch ends (B, T) of some windows."""
        return self.target[closing].transpose(1, 2), self.weight[closing].transpose(1, 2)


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """What happened in training.

    Parameters
    ----------
    epochs : tuple of mapping
        `train_loss`, `validation_loss`, `validation_ic` and `learning_rate` of each epoch; the validation's are
        missing where nothing was held out.
    best_epoch : int
        From 1; its weights were kept.
    stopped_because : str
        `finished`, `no better for … epochs`, `ended by the monitor`, or the batch whose loss was not finite.
    """

    epochs: tuple[Mapping[str, float], ...]
    best_epoch: int
    stopped_because: str


def joint_loss(outputs: Outputs, target: Tensor, weight: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Return the weighted mean loss of a label, as a tensor without dimensions.

    The sum of three proper scores: the log score of the direction, the pinball loss of the quantiles (mean over
    levels), and the log score of a normal distribution with the predicted mean and deviation. Labels are cut off at
    five standard deviations, so that a crash does not own the gradient.

    Parameters
    ----------
    outputs : Outputs
    target, weight : Tensor of shape (B, N, T)
        A target counts where the weight is positive; elsewhere it may be anything finite.
    levels : tuple of float
    """
    y = target.clamp(-_TARGET_LIMIT, _TARGET_LIMIT)
    direction = F.binary_cross_entropy_with_logits(outputs.logit, (y > 0).to(y.dtype), reduction="none")
    level = torch.tensor(levels, device=y.device)
    error = y[..., None] - outputs.quantiles
    pinball = torch.maximum(level * error, (level - 1.0) * error).mean(-1)
    likelihood = torch.log(outputs.deviation) + 0.5 * ((y - outputs.mean) / outputs.deviation) ** 2
    return (weight * (direction + pinball + likelihood)).sum() / weight.sum().clamp(min=1e-12)


def optimiser(network: nn.Module, plan: TrainingPlan) -> torch.optim.AdamW:
    """Return AdamW; matrices decay, biases, gains and embeddings do not."""
    parameters = dict(network.named_parameters())
    matrices = {name for name, p in parameters.items() if p.ndim == 2 and "identity" not in name}
    groups = [
        {"params": [p for name, p in parameters.items() if name in matrices], "weight_decay": plan.weight_decay},
        {"params": [p for name, p in parameters.items() if name not in matrices], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=_BETAS, fused=True)


def cosine_rate(step: int, n_steps: int, warmup: float) -> float:
    """Return the learning rate of a step (from 0) as a share of the largest.

    >>> [round(cosine_rate(step, 100, 0.1), 2) for step in (0, 9, 10, 55, 99)]
    [0.1, 1.0, 1.0, 0.53, 0.05]
    """
    rising = max(1, round(warmup * n_steps))
    if step < rising:
        return (step + 1) / rising
    progress = (step - rising) / max(1, n_steps - rising)
    return _FINAL_RATE + (1.0 - _FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * progress))


def train(
    network: MarketTransformer,
    source: WindowSource,
    training: Examples,
    validation: Examples | None,
    plan: TrainingPlan,
    *,
    seed: int,
    monitor: FitMonitor | None = None,
) -> History:
    """Train in place; the network ends with the weights of its best epoch.

    The best epoch is the one with the lowest validation loss; without a validation, the last.

    Raises
    ------
    ModelError
        If the loss is not finite before a first epoch is done. Later, training ends with the best weights so far.
    """
    generator = torch.Generator().manual_seed(seed)
    steps = _steps_of(training, plan)
    stepper = Stepper(network, plan, steps * plan.epochs)
    best = (math.inf, 0, _copy(network))
    epochs: list[Mapping[str, float]] = []
    stopped = "finished"
    for epoch in range(1, plan.epochs + 1):
        order = torch.randperm(training.ends.numel(), generator=generator).to(source.device)
        try:
            batches = order[: steps * plan.batch_size].chunk(steps)
            losses = [stepper(source, training, training.ends[chosen]) for chosen in batches]
        except NotFiniteError as error:
            stopped = f"{error} of {steps} in epoch {epoch}"
            break
        metrics = {"train_loss": float(np.mean(losses)), "learning_rate": stepper.rate}
        if validation is not None:
            metrics |= evaluate(network, source, validation)
        epochs.append(metrics)
        standing = metrics.get("validation_loss", -float(epoch))
        if standing < best[0]:
            best = (standing, epoch, _copy(network))
        if monitor is not None and not monitor(epoch, plan.epochs, metrics):
            stopped = "ended by the monitor"
            break
        if epoch - best[1] >= plan.patience:
            stopped = f"no better for {plan.patience} epochs"
            break
    if best[1] == 0:
        raise ModelError(f"the transformer cannot be trained: {stopped}; lower learning_rate={plan.learning_rate}")
    network.load_state_dict(best[2])
    return History(tuple(epochs), best[1], stopped)


def evaluate(network: MarketTransformer, source: WindowSource, examples: Examples) -> dict[str, float]:
    """Return `validation_loss` and `validation_ic` of scores made as a prediction makes them."""
    return judge_outputs(*predict_examples(network, source, examples), network.config.levels)


def judge_outputs(outputs: Outputs, target: Tensor, weight: Tensor, levels: tuple[float, ...]) -> dict[str, float]:
    """Return `validation_loss` and `validation_ic` of what `predict_examples` returned.

    The IC is the mean rank correlation over symbols of an instant; with fewer than five symbols, the correlation
    over all labels.
    """
    loss = float(joint_loss(outputs, target, weight, levels))
    used = weight.squeeze(2).cpu().numpy() > 0
    score = np.where(used, outputs.mean.squeeze(2).cpu().double().numpy(), np.nan)
    truth = np.where(used, target.squeeze(2).cpu().double().numpy(), np.nan)
    return {"validation_loss": loss, "validation_ic": _correlation(score, truth)}


def predict_examples(
    network: MarketTransformer, source: WindowSource, examples: Examples
) -> tuple[Outputs, Tensor, Tensor]:
    """Return the outputs at the examples' instants, with their labels and weights, all (n, N, 1, …)."""
    was_training = network.training
    network.eval()
    with torch.no_grad():
        found = [network(source.windows(ends), last=True) for ends in torch.split(examples.ends, _EVALUATION_BATCH)]
    network.train(was_training)
    fields = (f.name for f in dataclasses.fields(Outputs))
    outputs = Outputs(*(torch.cat([getattr(part, field) for part in found]) for field in fields))
    target, weight = examples.labels(source.closing(examples.ends)[:, -1:])
    return outputs, target, weight


class NotFiniteError(ArithmeticError):
    """The loss of a batch is NaN or infinite."""


class Stepper:
    """One optimiser step a call.

    Parameters
    ----------
    network : MarketTransformer
    plan : TrainingPlan
    n_steps : int
        Of the whole training.

    Attributes
    ----------
    forward : callable
        What is called to compute the outputs: the network, or a module around it.
    step : int
        Steps that were made.
    rate : float
        Learning rate of the last step.
    optimiser : torch.optim.AdamW
    """

    def __init__(self, network: MarketTransformer, plan: TrainingPlan, n_steps: int) -> None:
        self.network = network
        self.plan = plan
        self.n_steps = n_steps
        self.step = 0
        self.rate = 0.0
        self.optimiser = optimiser(network, plan)
        self.forward = torch.compile(network) if plan.compiled else network
        network.train()

    def __call__(self, source: WindowSource, training: Examples, ends: Tensor) -> float:
        """Learn from the windows of a source that end at these instants; return their loss.

        Raises
        ------
        NotFiniteError
            If it is NaN or infinite; the message names the batch. Nothing was learnt from it.
        """
        self.rate = self.plan.learning_rate * cosine_rate(self.step, self.n_steps, self.plan.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.step += 1
        target, weight = training.labels(source.closing(ends))
        with _autocast(source.device, self.plan.mixed_precision):
            outputs = self.forward(source.windows(ends))
        loss = joint_loss(outputs, target, weight, self.network.config.levels)
        value = float(loss.detach())
        if not math.isfinite(value):
            n_steps = max(1, self.n_steps // self.plan.epochs)
            raise NotFiniteError(f"the loss is {value} in batch {(self.step - 1) % n_steps + 1}")
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.plan.max_gradient)
        self.optimiser.step()
        return value


@contextlib.contextmanager
def _autocast(device: torch.device, enabled: bool) -> Iterator[None]:
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
        yield


def _steps_of(training: Examples, plan: TrainingPlan) -> int:
    """Return the batches of an epoch; a remainder waits for another epoch's order."""
    return max(1, training.ends.numel() // plan.batch_size)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _correlation(score: FloatArray, truth: FloatArray) -> float:
    if score.shape[1] >= _MIN_CROSS_SECTION:
        by_instant = information_coefficient(score, truth)
        return float(np.nanmean(by_instant)) if np.isfinite(by_instant).any() else math.nan
    known = np.isfinite(score) & np.isfinite(truth)
    x, y = score[known], truth[known]
    if x.size < 2 or not (x.std() > 0 and y.std() > 0):
        return math.nan
    return float(np.corrcoef(x, y)[0, 1])
