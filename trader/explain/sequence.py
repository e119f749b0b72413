"""Integrated gradients of the market transformer, down to instant, symbol and feature."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trader.explain.gradients import PathIntegral, integrated_gradients
from trader.explain.instant import Instant
from trader.explain.results import Attribution
from trader.explain.subject import Subject
from trader.models.encoding import market_columns
from trader.models.torch_scope import threads
from trader.models.transformer_model import Transformer
from trader.models.windows import Windows

__all__ = ["IG_TOLERANCE", "WindowGradients", "gradient_values", "transformer_of", "window_gradients"]

FloatArray = NDArray[np.float64]
Tensors = tuple[Tensor, Tensor]

IG_TOLERANCE = 5e-3
"""Error of a quadrature in single precision, relative to the largest number involved."""

BASELINE = (
    "the window with every feature at its mean in training; the calendar, missing features and the ages of bars are "
    "as they were"
)


@dataclasses.dataclass(frozen=True, slots=True)
class WindowGradients:
    """What every number that a score was made from adds to it.

    Parameters
    ----------
    values : ndarray of shape (context, n_symbols, n_features)
        Oldest instant first; they add up to `score - base`.
    base, score : float
        Of the baseline and of the window.
    steps : int
        Points of the quadrature.
    """

    values: FloatArray
    base: float
    score: float
    steps: int


def transformer_of(subject: Subject) -> Transformer | None:
    """Return the transformer that a subject is, or None: gradients are those of one network."""
    model: object = subject.parts[0].model
    return model if len(subject.parts) == 1 and isinstance(model, Transformer) else None


def gradient_values(subject: Subject, model: Transformer, instant: Instant, *, background_sha256: str) -> Attribution:
    """Return integrated gradients of the chosen symbols' scores, summed over instants and symbols for each feature.

    Parameters
    ----------
    subject : Subject
    model : Transformer
        What `transformer_of` found in it.
    instant : Instant
    background_sha256 : str
        Not read: the baseline is the mean of training, which the model knows.

    Raises
    ------
    ModelError
        If the values miss the score by more than the tolerance.
    """
    started = time.perf_counter()
    panel, n_past = instant.panel(subject.context)
    score = subject.scores(panel, n_past)[0, instant.chosen]
    values = np.full(instant.rows.shape, np.nan)
    base = np.full(score.size, np.nan)
    for row, position in enumerate(instant.chosen):
        if np.isfinite(score[row]):
            found = window_gradients(subject, model, instant, int(position))
            values[row], base[row] = found.values.sum(axis=(0, 1)), found.base
    abstained = int((~np.isfinite(score)).sum())
    return Attribution(
        method="ig",
        algorithm="integrated gradients, Gauss-Legendre",
        subject=subject.name,
        feature_names=subject.feature_names,
        score=score,
        base=base,
        values=values,
        background=BASELINE,
        background_sha256=background_sha256,
        tolerance=IG_TOLERANCE,
        seconds=time.perf_counter() - started,
        warnings=(f"{subject.name} abstains on {abstained} of {score.size} rows",) if abstained else (),
    ).checked()


def window_gradients(subject: Subject, model: Transformer, instant: Instant, position: int) -> WindowGradients:
    """Return the integrated gradients of one symbol's score.

    The way from the baseline is straight in clipped z-scores, which are what the network reads; the market columns that
    bias its attention go along.

    Parameters
    ----------
    subject : Subject
    model : Transformer
    instant : Instant
    position : int
        Of the symbol.
    """
    panel, n_past = instant.panel(model.context)
    unit = subject.parts[0].factor * model.score_scale
    with threads(1):
        windows = model.windows(panel, n_past)
        inputs = (windows.patches[0], windows.market[0])
        flags = inputs[0].clone()
        flags.view(*flags.shape[:2], model.patch, -1)[..., : model.encoder.columns.size] = 0.0  # (N, T, P, V)
        baseline = (flags, torch.zeros_like(inputs[1]))
        found = integrated_gradients(_score(model, windows, position, unit), inputs, baseline)
    return WindowGradients(_by_feature(model, found), found.start, found.end, found.steps)


def _score(model: Transformer, windows: Windows, position: int, unit: float) -> Callable[[tuple[Tensor, ...]], Tensor]:
    def score(points: tuple[Tensor, ...]) -> Tensor:
        patches, market = points
        n = patches.shape[0]
        held = (field.expand(n, *field.shape[1:]) for field in (windows.calendar, windows.age, windows.missing))
        calendar, age, missing = held
        batch = Windows(patches=patches, calendar=calendar, market=market, age=age, missing=missing)
        mean: Tensor = model.network(batch, last=True).mean
        return unit * mean[:, position, 0]

    return score


def _by_feature(model: Transformer, found: PathIntegral) -> FloatArray:
    """Return the attributions of patches and market columns where they belong: (context, n_symbols, n_features)."""
    patches, market = (part.numpy() for part in found.attributions)
    n_symbols, n_patches, _ = patches.shape
    encoder = model.encoder
    used = encoder.columns
    values = np.zeros((model.context, n_symbols, len(encoder.names)))
    read = patches.reshape(n_symbols, n_patches * model.patch, -1)[..., : used.size]
    values[..., used] += read.transpose(1, 0, 2)
    biasing = [column for column in market_columns(encoder.names) if column in used]
    closing = np.arange(model.patch - 1, model.context, model.patch)  # a patch's market is that of its last instant
    for place, column in enumerate(biasing):
        values[closing, :, column] += market[..., place].T
    return values
