"""Mean, variance and long-run variance of a stream, in a state that does not grow with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from trader.core.errors import DataError
from trader.validation.experiments.results import FloatArray, finite_series

__all__ = ["StreamingMoments"]


@dataclass(slots=True)
class _Level:
    """Blocks of one length: sums of their sums, and a block that waits for its neighbour."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    waiting: float | None = None


class StreamingMoments:
    """Accumulate moments of a series in amortised constant time an observation.

    Blocks of 1, 2, 4, 8, … observations are kept as counts, sums and sums of squares: one short row each time the
    stream doubles, 20 rows for a million observations. The long-run variance comes from the blocks of about
    ``sqrt(n)`` observations, so it follows the dependence without being told of it.

    Notes
    -----
    Assumptions: stationary, finite variance, short memory. The batch-means estimate at lengths b and 2b is
    extrapolated, ``2 V(2b) - V(b)``, which removes the bias of order 1/b [1]_. Under autocorrelation (2,000 runs of n
    = 500, t3 innovations, seed 11) its mean is 1.05, .99 and .67 of the truth at AR(0), AR(.6) and AR(.9), where the
    blocks of 16 are too short; longer series have longer blocks. Adding a batch gives the bits that adding its values
    one by one gives.

    References
    ----------
    .. [1] Vats and Flegal (2022), "Lugsail lag windows for estimating time-average covariance matrices",
       Biometrika 109(3).

    Examples
    --------
    >>> moments = StreamingMoments()
    >>> moments.add([1.0, 2.0, 3.0, 4.0])
    >>> moments.n, moments.mean, round(moments.variance, 4)
    (4, 2.5, 1.6667)
    """

    def __init__(self) -> None:
        self._origin = 0.0
        self._levels = [_Level()]

    @property
    def n(self) -> int:
        """Observations so far."""
        return self._levels[0].count

    @property
    def mean(self) -> float:
        """Mean so far; NaN before the first observation."""
        return self._origin + self._levels[0].total / self.n if self.n else math.nan

    @property
    def variance(self) -> float:
        """Variance with ``n - 1`` in the denominator; NaN for fewer than two observations."""
        if self.n < 2:
            return math.nan
        level = self._levels[0]
        return max(0.0, level.squares - level.total**2 / self.n) / (self.n - 1)

    @property
    def long_run_variance(self) -> float:
        """Estimate of ``n Var(mean)``; NaN for fewer than 64 observations."""
        if self.n < 64:
            return math.nan
        level = int(math.log2(self.n) / 2.0)
        short, double = self._batch_variance(level - 1), self._batch_variance(level)
        # The extrapolation is only wanted upwards: noise must not make dependent data look better than they do.
        return max(2.0 * double - short, double)

    def add(self, values: ArrayLike) -> None:
        """Take further observations in order of time.

        Parameters
        ----------
        values : array_like of shape (n_new,)
            May be empty; no NaN.
        """
        series = finite_series("values", values)
        if series.size == 0:
            return
        if self.n == 0:
            # Squares of deviations from the first value do not cancel where the mean is large.
            self._origin = float(series[0])
        blocks, depth = series - self._origin, 0
        while blocks.size:
            if depth == len(self._levels):
                self._levels.append(_Level())
            blocks = self._absorb(self._levels[depth], blocks)
            depth += 1

    def state(self) -> dict[str, Any]:
        """Return everything `restore` needs, as JSON can hold it."""
        rows = [[level.count, level.total, level.squares, level.waiting] for level in self._levels]
        return {"origin": self._origin, "levels": rows}

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> StreamingMoments:
        """Return the accumulator that `state` was taken from."""
        if not state.get("levels") or "origin" not in state:
            raise DataError(f"state with keys {sorted(state)} is not allowed; it must come from state()")
        moments = cls()
        moments._origin = float(state["origin"])
        moments._levels = [_Level(*row) for row in state["levels"]]
        return moments

    def _batch_variance(self, depth: int) -> float:
        level, length = self._levels[depth], 1 << depth
        return max(0.0, level.squares - level.total**2 / level.count) / (level.count - 1) / length

    @staticmethod
    def _absorb(level: _Level, blocks: FloatArray) -> FloatArray:
        """Add blocks to their level and return the blocks of twice the length that they complete."""
        # Accumulated in order, unlike a pairwise sum, so that the size of a batch changes no bit.
        level.total = float(np.cumsum(np.concatenate([[level.total], blocks]))[-1])
        level.squares = float(np.cumsum(np.concatenate([[level.squares], blocks**2]))[-1])
        level.count += blocks.size
        if level.waiting is not None:
            blocks = np.concatenate([[level.waiting], blocks])
        level.waiting = float(blocks[-1]) if blocks.size % 2 else None
        pairs = blocks[: blocks.size // 2 * 2].reshape(-1, 2)
        joined: FloatArray = pairs[:, 0] + pairs[:, 1]
        return joined
