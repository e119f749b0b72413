"""The sample in the middle, a generalised Pareto distribution beyond a threshold."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from risk.tail.gpd import GpdTail, fit_tail
from risk.var.historical import historical

__all__ = ["SplicedTail", "fit_spliced"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class SplicedTail:
    """Returns as they were seen, but for the worst, which follow a fitted tail.

    Levels below the threshold, where the tail says nothing, are answered by the sample alone.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
    tail : GpdTail
        Of their losses.
    """

    returns: FloatArray
    tail: GpdTail

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `risk.var.distribution.Distribution`."""
        return self.tail.warnings

    def var_es(self, level: float) -> tuple[float, float]:
        """See `risk.var.distribution.Distribution`."""
        if 1.0 - level > self.tail.chance:
            return historical(self.returns, level)
        return self.tail.quantile(level), self.tail.shortfall(level)

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """See `risk.var.distribution.Distribution`: a bootstrap whose losses beyond the threshold are drawn anew."""
        drawn = self.returns[generator.integers(0, self.returns.size, size)]
        beyond = drawn < -self.tail.threshold
        drawn[beyond] = -self.tail.exceed(1.0 - generator.random(int(np.count_nonzero(beyond))))
        return drawn


def fit_spliced(returns: FloatArray, fraction: float = 0.1) -> SplicedTail:
    """Fit the tail of the worst `fraction` of returns; errors as `fit_tail`."""
    return SplicedTail(returns, fit_tail(-returns, fraction))
