"""What is kept of the paths' losses: little, mergeable in any order, and the same bits whatever the order."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["KEPT", "LossTally", "n_kept"]

FloatArray = NDArray[np.float64]

KEPT = 1 << 20
"""Worst losses that are kept at most; a tail with more is counted in bins."""

_BINS = 1 << 17
_REACH = 12.0
"""Bins are even in asinh(loss / scale) up to this: ±81,000 scales; what lies beyond counts in the last bin."""
_Z95 = 1.959963984540054


def n_kept(n_paths: int, levels: Sequence[float]) -> int:
    """Return how many of the worst losses VaR, its interval and ES need; 0 if they are too many to keep."""
    tail = 1.0 - min(levels)
    needed = min(math.ceil(n_paths * tail + 2.0 * math.sqrt(n_paths * tail)) + 2, n_paths)
    return needed if needed <= KEPT else 0


@dataclasses.dataclass(slots=True)
class LossTally:
    """Losses of many paths, as their worst ones or as counts in bins.

    Parameters
    ----------
    kept : int
        Worst losses to keep, then VaR and ES are exact; 0 counts in 131,072 bins instead, whose half width is
        .01 % of a loss, or of `scale` for smaller ones.
    scale : float
        Size of a usual loss, positive.
    floor : float, optional
        Losses below are not among the worst of all, as some tally that this one will be merged with holds enough
        worse ones; they are counted and not kept.

    Examples
    --------
    >>> tally = LossTally(kept=10, scale=1.0)
    >>> tally.add(np.arange(100.0))
    >>> tally.var(0.95), tally.es(0.95)
    (94.0, 97.0)
    """

    kept: int
    scale: float
    n: int = 0
    highest: float = -math.inf
    worst: FloatArray = dataclasses.field(default_factory=lambda: np.empty(0))
    counts: NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.empty(0, np.int64))
    sums: list[float] = dataclasses.field(default_factory=list)
    squares: list[float] = dataclasses.field(default_factory=list)
    floor: float = -math.inf
    waiting: list[FloatArray] = dataclasses.field(default_factory=list)
    n_waiting: int = 0

    def __post_init__(self) -> None:
        if not self.kept and not self.counts.size:
            self.counts = np.zeros(_BINS, np.int64)

    def add(self, losses: FloatArray) -> None:
        """Add the finite losses of a chunk of paths."""
        self.n += losses.size
        self.highest = max(self.highest, float(losses.max()))
        self.sums.append(float(losses.sum()))
        self.squares.append(float(losses @ losses))
        if self.kept:
            self._keep(losses)
        else:
            place = (np.arcsinh(losses / self.scale) + _REACH) * (_BINS / (2.0 * _REACH))
            np.add.at(self.counts, np.clip(place, 0, _BINS - 1).astype(np.int64), 1)

    def merge(self, other: LossTally) -> None:
        """Add what another tally of the same size and scale holds.

        Raises
        ------
        DataError
            If they differ in either.
        """
        if (self.kept, self.scale) != (other.kept, other.scale):
            raise DataError(f"tallies of {self.kept}, {self.scale} and {other.kept}, {other.scale} do not merge")
        self.n += other.n
        self.highest = max(self.highest, other.highest)
        self.sums += other.sums
        self.squares += other.squares
        if self.kept:
            self.floor = max(self.floor, other.floor)
            for losses in (other.worst, *other.waiting):
                self._keep(losses)
        else:
            self.counts += other.counts

    def trim(self) -> None:
        """Keep no more than the worst; before a tally is read, or sent elsewhere."""
        if self.waiting:
            worst = np.concatenate([self.worst, *self.waiting])
            self.waiting, self.n_waiting = [], 0
            if worst.size > self.kept:
                worst.partition(worst.size - self.kept)  # in place: a copy would be the most memory of all
                worst = worst[-self.kept :]
            self.worst = worst
        if self.worst.size >= self.kept > 0:
            self.floor = max(self.floor, float(self.worst.min()))

    def _keep(self, losses: FloatArray) -> None:
        if self.floor > -math.inf:
            losses = losses[losses >= self.floor]
        self.waiting.append(losses)
        self.n_waiting += losses.size
        # Putting arrays together costs as much as they are long: it waits until it is worth it, or memory.
        if self.n_waiting > max(self.kept // 8, 1 << 16):
            self.trim()

    @property
    def exact(self) -> bool:
        """Whether figures are those of the losses themselves, not of bins."""
        return self.kept > 0

    @property
    def mean(self) -> float:
        """Mean loss."""
        return math.fsum(self.sums) / self.n

    @property
    def deviation(self) -> float:
        """Standard deviation of the losses."""
        return math.sqrt(max(math.fsum(self.squares) / self.n - self.mean**2, 0.0))

    def var(self, level: float) -> float:
        """Return the smallest loss that at least a share `level` of the paths does not exceed."""
        return self._at(self._rank(level))

    def var_interval(self, level: float) -> tuple[float, float]:
        """Return a 95 % interval of `var` from ranks: what other seeds would give; valid for independent paths."""
        reach = _Z95 * math.sqrt(self.n * level * (1.0 - level))
        rank = self._rank(level)
        return self._at(max(math.floor(rank - reach), 1)), self._at(min(math.ceil(rank + reach), self.n))

    def es(self, level: float) -> float:
        """Return the mean of the worst share `1 - level`; the path at its edge counts in part."""
        tail = self.n * (1.0 - level)
        var, beyond = self.var(level), self.n - self._rank(level)
        if self.exact:
            self.trim()
            total = math.fsum(np.sort(self.worst)[self.worst.size - beyond :])
        else:
            total = self._binned_tail(beyond)
        return max((total + (tail - beyond) * var) / tail, var)

    def _rank(self, level: float) -> int:
        """Return which loss, counted from the smallest and from 1, is the VaR."""
        return min(max(math.ceil(self.n * level - 1e-9 * self.n), 1), self.n)

    def _at(self, rank: int) -> float:
        from_top = self.n - rank
        if self.exact:
            self.trim()
            place = self.worst.size - 1 - min(from_top, self.worst.size - 1)
            return float(np.partition(self.worst, place)[place])
        upto = np.cumsum(self.counts)
        cell = int(np.searchsorted(upto, rank))
        share = (rank - 0.5 - (upto[cell] - self.counts[cell])) / self.counts[cell]
        return self._loss(cell + float(share))

    def _binned_tail(self, beyond: int) -> float:
        """Return the sum of the `beyond` greatest losses, each taken as the middle of its bin."""
        above = np.cumsum(self.counts[::-1])[::-1]
        taken = np.minimum(above, beyond) - np.minimum(np.append(above[1:], 0), beyond)
        cells = np.flatnonzero(taken)
        return math.fsum(
            self._loss(cell + 0.5) * n for cell, n in zip(cells.tolist(), taken[cells].tolist(), strict=True)
        )

    def _loss(self, place: float) -> float:
        loss = self.scale * math.sinh(place * (2.0 * _REACH / _BINS) - _REACH)
        return min(loss, self.highest)
