"""The Hill estimator of a power tail, with what shows that it is biased."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from risk.results import check_level, check_sample
from trader.core.errors import DataError

__all__ = ["HillTail", "hill", "hill_shapes"]

FloatArray = NDArray[np.float64]

_LEAST = 100


@dataclasses.dataclass(frozen=True, slots=True)
class HillTail:
    """A tail that falls as a power: ``P(loss > x) ~ x ** -index``.

    Parameters
    ----------
    shape : float
        ξ, one over the index.
    low, high : float
        Of the shape at the confidence asked for, as if there were no bias.
    corrected : float
        Shape without the part that grows with the number of losses used [1]_.
    n_used, n_observations : int
        Losses in the tail, and all.
    threshold : float
        The largest loss that is not in the tail.
    plateau : tuple of int
        Numbers of losses between which the estimate moves least; the larger is used.
    warnings : tuple of str

    References
    ----------
    .. [1] Huisman, Koedijk, Kool and Palm (2001), "Tail-index estimates in small samples".
    """

    shape: float
    low: float
    high: float
    corrected: float
    n_used: int
    n_observations: int
    threshold: float
    plateau: tuple[int, int]
    warnings: tuple[str, ...] = ()

    @property
    def index(self) -> float:
        """Tail index: moments of this order and above do not exist."""
        return 1.0 / self.shape

    def quantile(self, level: float) -> float:
        """Return the loss that is exceeded with chance ``1 - level`` (Weissman); `level` lies in the tail.

        Raises
        ------
        DataError
            If the level lies below the threshold.
        """
        rarity = (1.0 - check_level(level)) * self.n_observations / self.n_used
        if rarity > 1.0:
            least = 1.0 - self.n_used / self.n_observations
            raise DataError(f"level={level} is below the threshold; {least:.4f} or more is allowed")
        return self.threshold * math.exp(-self.shape * math.log(rarity))

    def shortfall(self, level: float) -> float:
        """Return the mean loss beyond `quantile`; infinite for a shape of 1 or more."""
        return self.quantile(level) / (1.0 - self.shape) if self.shape < 1.0 else math.inf


def hill_shapes(losses: FloatArray, n_largest: int) -> FloatArray:
    """Return Hill's shape with the 1, 2, … `n_largest` worst losses, shape (n_largest,): what a Hill plot shows.

    ``mean(log(x_i)) − log(x_{k+1})`` over the k worst.

    Raises
    ------
    DataError
        If fewer than ``n_largest + 1`` losses are above 0 or a number is not finite.
    """
    values = check_sample(losses, 2, "losses")
    n_positive = int(np.count_nonzero(values > 0.0))
    if not 1 <= n_largest < n_positive:
        raise DataError(f"n_largest={n_largest} is not allowed; {n_positive} losses are above 0, 1 to that less 1 are")
    logs = np.log(np.sort(values)[::-1][: n_largest + 1])
    return np.asarray(np.cumsum(logs[:-1]) / np.arange(1, n_largest + 1) - logs[1:], np.float64)


def hill(losses: FloatArray, n_used: int | None = None, *, confidence: float = 0.95) -> HillTail:
    """Estimate a power tail.

    Parameters
    ----------
    losses : ndarray of shape (n_periods,)
        Positive is lost; the tail's must be above 0.
    n_used : int, optional
        Losses in the tail. By default the end of the plateau: among stretches from k to 1.5 k losses, from 1 % (at
        least 20) to 15 % of all, the one over which the shape varies least for its standard error.
    confidence : float, default=0.95

    Raises
    ------
    DataError
        If there are fewer than 100 losses, too few are above 0 or an argument is not allowed.
    """
    values = check_sample(losses, _LEAST, "losses")
    if not 0.0 < confidence < 1.0:
        raise DataError(f"confidence={confidence} is not allowed; above 0 and below 1 is")
    n_positive = int(np.count_nonzero(values > 0.0))
    most = min(max(int(0.15 * values.size), 40), n_positive - 1)
    most = most if n_used is None else max(most, n_used)
    shapes = hill_shapes(values, most)
    if not (shapes[min(9, most - 1) :] > 0.0).all():
        raise DataError("the worst losses are all the same; a power cannot be fitted to them")
    first, last = _plateau(shapes, max(20, values.size // 100))
    used = last if n_used is None else n_used
    shape = float(shapes[used - 1])
    reach = float(special.ndtri(0.5 + confidence / 2.0)) * shape / math.sqrt(used)
    corrected = _without_bias(shapes)
    warnings = []
    if not shape - reach <= corrected <= shape + reach:
        warnings.append(
            f"the shape moves with the number of losses used: {shape:.2f} here, {corrected:.2f} without that trend"
        )
    if shape >= 1.0:
        warnings.append(f"the tail has shape {shape:.2f}: from 1 on its mean, and so the shortfall, is infinite")
    threshold = float(np.partition(values, values.size - used - 1)[values.size - used - 1])
    return HillTail(
        shape, shape - reach, shape + reach, corrected, used, values.size, threshold, (first, last), tuple(warnings)
    )


def _plateau(shapes: FloatArray, least: int) -> tuple[int, int]:
    """Return the stretch of numbers of losses over which the shape moves least."""
    best, chosen = math.inf, (min(least, shapes.size), shapes.size)
    for first in range(least, int(shapes.size / 1.5) + 1):
        last = int(1.5 * first)
        stretch = shapes[first - 1 : last]
        # Estimates of few losses move more by chance alone: as 1 / sqrt(k).
        moved = float(stretch.std() / stretch.mean()) * math.sqrt(first)
        if moved < best:
            best, chosen = moved, (first, last)
    return chosen


def _without_bias(shapes: FloatArray) -> float:
    """Return the intercept of the shapes regressed on the number of losses, which weighs by its root."""
    k = np.arange(1.0, shapes.size + 1.0)
    design = np.column_stack([np.ones(shapes.size), k]) * np.sqrt(k)[:, None]
    (intercept, _), *_ = np.linalg.lstsq(design, shapes * np.sqrt(k), rcond=None)
    return float(intercept)
