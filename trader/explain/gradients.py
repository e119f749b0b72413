"""Integrated gradients of any differentiable score."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from trader.core.errors import DataError

__all__ = ["PathIntegral", "integrated_gradients"]

Tensors = tuple[Tensor, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class PathIntegral:
    """What each input adds to a score on the straight way from a baseline.

    Parameters
    ----------
    attributions : tuple of Tensor
        Of the shapes of the inputs.
    start, end : float
        Score of the baseline and of the inputs.
    steps : int
        Points of the quadrature that was kept.
    """

    attributions: Tensors
    start: float
    end: float
    steps: int

    @property
    def gap(self) -> float:
        """By how much the attributions miss the difference of the two scores: the error of the quadrature."""
        return abs(float(sum(part.sum() for part in self.attributions)) - (self.end - self.start))


def integrated_gradients(
    score: Callable[[Tensors], Tensor],
    inputs: Tensors,
    baseline: Tensors,
    *,
    steps: int = 32,
    most_steps: int = 512,
    tolerance: float = 1e-3,
    batch: int = 16,
) -> PathIntegral:
    """Integrate the gradient along the straight line from the baseline to the inputs [1]_.

    ``(x - x') ∫ ∂score(x' + a (x - x')) / ∂x da`` over a from 0 to 1, by Gauss-Legendre quadrature. By
    completeness the attributions add up to ``score(x) - score(x')``; while they miss it by more than `tolerance` of
    the larger score or attribution, the number of points is doubled.

    Parameters
    ----------
    score : callable
        From a batch of inputs (each with a first axis more) to scores of shape (n_batch,); differentiable.
    inputs, baseline : tuple of Tensor
        Of equal shapes, without the axis of the batch.
    steps, most_steps : int
        Points of the first and of the last quadrature.
    tolerance : float
    batch : int
        Points evaluated at once.

    References
    ----------
    .. [1] Sundararajan, Taly and Yan (2017), "Axiomatic attribution for deep networks".
    """
    if [part.shape for part in inputs] != [part.shape for part in baseline]:
        raise DataError("inputs and baseline have other shapes; each input needs a baseline of its own shape")
    with torch.no_grad():
        start, end = (float(score(tuple(part[None] for part in side))[0]) for side in (baseline, inputs))
    while True:
        found = PathIntegral(_integrate(score, inputs, baseline, steps, batch), start, end, steps)
        largest = max(abs(start), abs(end), *(float(part.abs().sum()) for part in found.attributions))
        if found.gap <= tolerance * largest or 2 * steps > most_steps:
            return found
        steps *= 2


def _integrate(
    score: Callable[[Tensors], Tensor], inputs: Tensors, baseline: Tensors, steps: int, batch: int
) -> Tensors:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    places, shares = torch.from_numpy(0.5 * (nodes + 1.0)), torch.from_numpy(0.5 * weights)
    sums = [torch.zeros(part.shape, dtype=torch.float64) for part in inputs]
    for at in range(0, steps, batch):
        here, share = places[at : at + batch], shares[at : at + batch]
        points = tuple(_between(low, high, here) for low, high in zip(baseline, inputs, strict=True))
        gradients = torch.autograd.grad(score(points).sum(), points)
        for total, gradient in zip(sums, gradients, strict=True):
            total += torch.tensordot(share, gradient.double().cpu(), dims=1)
    return tuple(total * (high - low).double().cpu() for total, low, high in zip(sums, baseline, inputs, strict=True))


def _between(low: Tensor, high: Tensor, places: Tensor) -> Tensor:
    """Return the points on the line at these places, shape (n_places, *shape), ready for gradients."""
    shares = places.to(low).reshape(-1, *(1,) * low.ndim)
    return (low + shares * (high - low)).detach().requires_grad_(True)
