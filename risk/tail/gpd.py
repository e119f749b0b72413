"""Losses beyond a threshold as a generalised Pareto distribution: quantiles and shortfalls rarer than the sample."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from risk.results import check_level, check_sample
from trader.core.errors import DataError

__all__ = ["GpdTail", "fit_gpd", "fit_tail", "gpd_log_likelihood", "mean_rise", "rise"]

FloatArray = NDArray[np.float64]

_LEAST_EXCEEDANCES = 20
_GRID = np.concatenate(
    [np.linspace(-3.0, -0.3, 8), np.linspace(-0.15, 0.15, 4), np.linspace(0.3, 8.0, 16), np.linspace(9.0, 60.0, 18)]
)
_FLAT = 1e-7


@dataclasses.dataclass(frozen=True, slots=True)
class GpdTail:
    """The distribution of losses beyond a threshold.

    Parameters
    ----------
    threshold : float
        Losses above it are the tail.
    shape : float
        ξ; above 0 the tail is a power with index 1 / ξ, and from 1 on it has no mean.
    scale : float
        β, in the unit of losses.
    n_exceedances, n_observations : int
        Losses above the threshold, and all.

    Examples
    --------
    >>> tail = GpdTail(threshold=0.02, shape=0.2, scale=0.01, n_exceedances=50, n_observations=1000)
    >>> round(tail.quantile(0.99), 4), round(tail.shortfall(0.99), 4)
    (0.039, 0.0562)
    """

    threshold: float
    shape: float
    scale: float
    n_exceedances: int
    n_observations: int

    @property
    def chance(self) -> float:
        """Chance of a loss above the threshold."""
        return self.n_exceedances / self.n_observations

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the tail may not be believed."""
        found = []
        if self.shape >= 1.0:
            found.append(f"the tail has shape {self.shape:.2f}: from 1 on its mean, and so the shortfall, is infinite")
        elif self.shape >= 0.5:
            found.append(f"the tail has shape {self.shape:.2f}: from .5 on its variance is infinite")
        elif self.shape <= -0.5:
            found.append(f"the tail has shape {self.shape:.2f}: below −.5 maximum likelihood is not regular")
        return tuple(found)

    def quantile(self, level: float) -> float:
        """Return the loss that is exceeded with chance ``1 - level``.

        Raises
        ------
        DataError
            If the level lies below the threshold, where the tail says nothing.
        """
        return self.threshold + self.scale * rise(self.shape, self._rarity(level))

    def shortfall(self, level: float) -> float:
        """Return the mean loss beyond `quantile`; infinite for a shape of 1 or more."""
        if self.shape >= 1.0:
            return math.inf
        return self.threshold + self.scale * mean_rise(self.shape, self._rarity(level))

    def exceed(self, u: FloatArray) -> FloatArray:
        """Return the losses above the threshold that are exceeded, by those above it, with chances `u` in (0, 1]."""
        if abs(self.shape) < _FLAT:
            return np.asarray(self.threshold - self.scale * np.log(u), np.float64)
        return np.asarray(self.threshold + self.scale * np.expm1(-self.shape * np.log(u)) / self.shape, np.float64)

    def _rarity(self, level: float) -> float:
        rarity = (1.0 - check_level(level)) / self.chance
        if rarity > 1.0 + 1e-9:
            raise DataError(
                f"level={level} is below the threshold, which {self.chance:.3f} of the losses exceed; "
                f"{1.0 - self.chance:.3f} or more is allowed"
            )
        return min(rarity, 1.0)


def fit_tail(losses: FloatArray, fraction: float = 0.1) -> GpdTail:
    """Fit the worst `fraction` of losses by maximum likelihood.

    The threshold is the largest loss that does not belong to them.

    Parameters
    ----------
    losses : ndarray of shape (n_periods,)
        Positive is lost; finite.
    fraction : float, default=0.1

    Raises
    ------
    DataError
        If the fraction is not between 0 and .5, or fewer than 20 losses lie above the threshold.
    """
    if not 0.0 < fraction <= 0.5:
        raise DataError(f"fraction={fraction} is not allowed; above 0 and up to .5 is")
    values = check_sample(losses, 2, "losses")
    n_tail = round(fraction * values.size)
    if not _LEAST_EXCEEDANCES <= n_tail < values.size:
        raise DataError(
            f"fraction={fraction} of {values.size} losses is {n_tail}; at least {_LEAST_EXCEEDANCES} are needed"
        )
    worst = np.partition(values, values.size - n_tail - 1)[values.size - n_tail - 1 :]
    threshold = float(worst[0])
    excesses = worst[1:] - threshold
    excesses = excesses[excesses > 0.0]  # losses that tie with the threshold do not exceed it
    if excesses.size < _LEAST_EXCEEDANCES:
        raise DataError(f"losses hold {excesses.size} above {threshold:.4g}; at least {_LEAST_EXCEEDANCES} are needed")
    shape, scale = fit_gpd(excesses)
    return GpdTail(threshold, shape, scale, excesses.size, values.size)


def fit_gpd(excesses: FloatArray) -> tuple[float, float]:
    """Return shape and scale of excesses by maximum likelihood [1]_.

    The likelihood is profiled: given ``ξ / β``, the best ξ is a mean, which leaves one dimension to search.

    Parameters
    ----------
    excesses : ndarray of shape (n,)
        Above 0.

    References
    ----------
    .. [1] Grimshaw (1993), "Computing maximum likelihood estimates for the generalized Pareto distribution".
    """
    unit = float(excesses.mean())
    x = excesses / unit
    largest = float(x.max())

    def lack(turn: float) -> float:
        return float(_profile(np.array([turn]), x, largest)[0])

    on_grid = _profile(_GRID, x, largest)
    best = int(np.argmin(on_grid))
    low, high = _GRID[max(best - 1, 0)], _GRID[min(best + 1, _GRID.size - 1)]
    found = optimize.minimize_scalar(lack, bounds=(low, high), method="bounded", options={"xatol": 1e-7})
    theta = math.expm1(float(found.x)) / largest
    if abs(theta) < _FLAT:
        return 0.0, unit
    shape = float(np.log1p(theta * x).mean())
    return shape, unit * shape / theta


def gpd_log_likelihood(excesses: FloatArray, shape: float, scale: float) -> float:
    """Return the log likelihood of excesses; minus infinity where one cannot be."""
    if not scale > 0.0:
        return -math.inf
    if abs(shape) < _FLAT:
        return float(-excesses.size * math.log(scale) - excesses.sum() / scale)
    inner = 1.0 + shape / scale * excesses
    if inner.min() <= 0.0:
        return -math.inf
    return float(-excesses.size * math.log(scale) - (1.0 / shape + 1.0) * np.log(inner).sum())


def _profile(turns: FloatArray, x: FloatArray, largest: float) -> FloatArray:
    """Return the mean negative log likelihood for each ``log(1 + ξ / β · largest)``; any number is allowed."""
    theta = np.expm1(turns) / largest
    shape = np.log1p(theta[:, None] * x).mean(axis=1)
    flat = np.abs(theta) < _FLAT
    scale = np.where(flat, 1.0, shape / np.where(flat, 1.0, theta))
    return np.asarray(np.log(scale) + shape + 1.0, np.float64)


def rise(shape: float, rarity: float) -> float:
    """Return how many scales above the threshold a loss of this rarity lies."""
    return -math.log(rarity) if abs(shape) < _FLAT else math.expm1(-shape * math.log(rarity)) / shape


def mean_rise(shape: float, rarity: float) -> float:
    """Return the mean of `rise` over everything rarer."""
    return (rise(shape, rarity) + 1.0) / (1.0 - shape)
