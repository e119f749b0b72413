"""Labelled rows as models learn from them, their purged split, and the watch kept over a fit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trader.core.protocols import FitMonitor
from trader.models.schema import min_known

__all__ = ["Labelled", "Rows", "Watch", "purged_tail", "usable_rows"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_TAIL_SHARE = 0.2
_GAP_SHARE = 0.05


@dataclasses.dataclass(frozen=True, slots=True)
class Rows:
    """Rows with a known label, in order of time.

    Parameters
    ----------
    features : ndarray of shape (n_rows, n_features)
        NaN is missing; nothing is infinite.
    target : ndarray of shape (n_rows,)
        Finite.
    weight : ndarray of shape (n_rows,)
        Positive.
    """

    features: FloatArray
    target: FloatArray
    weight: FloatArray

    def __len__(self) -> int:
        return int(self.target.size)

    def take(self, chosen: NDArray[np.int64] | BoolArray) -> Rows:
        """Return the chosen rows."""
        return Rows(self.features[chosen], self.target[chosen], self.weight[chosen])

    def normalised(self) -> Rows:
        """Return the rows with weights whose mean is 1; equal weights are exactly 1."""
        equal = bool((self.weight == self.weight[0]).all())
        weight = np.ones(len(self)) if equal else self.weight / self.weight.mean()
        return dataclasses.replace(self, weight=weight)

    def loss(self, scores: FloatArray) -> float:
        """Return the weighted mean squared error of `scores`, over the rows that have one; NaN if none has."""
        known = np.isfinite(scores)
        total = float(self.weight[known].sum())
        return float((self.weight * (self.target - scores) ** 2)[known].sum()) / total if total > 0 else math.nan


def usable_rows(features: FloatArray, target: FloatArray, weight: FloatArray) -> tuple[Rows, NDArray[np.int64]]:
    """Return the rows that teach something, and their positions.

    These have a finite target, a positive weight, and half of their features known (finite).
    """
    finite = np.isfinite(features)
    enough = finite.sum(axis=1) >= min_known(features.shape[1])
    usable = np.flatnonzero(np.isfinite(target) & enough & (weight > 0))
    return Rows(np.where(finite[usable], features[usable], np.nan), target[usable], weight[usable]), usable


@dataclasses.dataclass(frozen=True, slots=True)
class Labelled:
    """The usable rows of a panel, and two parts of them with a gap in between.

    Parameters
    ----------
    rows, head, tail : Rows
        All of them, the earlier ones, and the last ones; see `purged_tail`.
    """

    rows: Rows
    head: Rows
    tail: Rows

    @classmethod
    def of(cls, features: FloatArray, target: FloatArray, weight: FloatArray) -> Labelled:
        """Take the rows of a panel (n_slices, n_symbols, n_features) that teach something.

        Head and tail are counted in instants with any such row, so that a warm-up changes nothing.
        """
        n_features = features.shape[2]
        rows, positions = usable_rows(
            np.ascontiguousarray(features, dtype=np.float64).reshape(-1, n_features),
            np.asarray(target, dtype=np.float64).reshape(-1),
            weight.reshape(-1),
        )
        instants, number = np.unique(positions // target.shape[1], return_inverse=True)
        head_end, tail_start = purged_tail(instants.size)
        return cls(rows, rows.take(number < head_end), rows.take(number >= tail_start))


def purged_tail(n_instants: int) -> tuple[int, int]:
    """Return the end of the head and the start of the tail of so many instants.

    The tail is the last fifth. A twentieth (at least one) before it belongs to neither, so that labels that
    look ahead from the head do not see the tail; models are not told how far labels look.

    Examples
    --------
    >>> purged_tail(1000)
    (750, 800)
    """
    start = n_instants - math.ceil(_TAIL_SHARE * n_instants)
    return max(0, start - max(1, math.ceil(_GAP_SHARE * n_instants))), start


class Watch:
    """Tells a monitor how a fit goes.

    Parameters
    ----------
    monitor : callable
        See `trader.core.protocols.FitMonitor`.
    train : Rows
        What is learnt from.
    held_out : Rows, optional
        Later rows that the fit does not see.

    Attributes
    ----------
    ended_at : int or None
        The step after which the monitor ended the fit.
    """

    def __init__(self, monitor: FitMonitor, train: Rows, held_out: Rows | None = None) -> None:
        self.ended_at: int | None = None
        self._monitor = monitor
        self.train = train
        self.held_out = held_out

    def step(self, number: int, total: int, scores: Callable[[FloatArray], FloatArray]) -> bool:
        """Tell of step `number` (from 1) of `total` what the losses of `scores` are; False ends the fit."""
        held_out = None if self.held_out is None else self.held_out.loss(scores(self.held_out.features))
        return self.tell(number, total, self.train.loss(scores(self.train.features)), held_out)

    def tell(self, number: int, total: int, train_loss: float, validation_loss: float | None) -> bool:
        """Tell of losses that are known already; False ends the fit."""
        metrics = {"train_loss": train_loss}
        if validation_loss is not None:
            metrics["validation_loss"] = validation_loss
        if not self._monitor(number, total, metrics):
            self.ended_at = number
        return self.ended_at is None
