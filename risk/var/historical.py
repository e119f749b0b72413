"""The past as the distribution: each period as likely as any other, or the likelier the younger."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from risk.results import check_level, check_sample
from trader.core.errors import DataError

__all__ = ["Empirical", "age_weights", "historical", "historical_each", "weighted_historical"]

FloatArray = NDArray[np.float64]

_TIE = 1e-9


def historical(returns: FloatArray, level: float = 0.99) -> tuple[float, float]:
    """Return value at risk and expected shortfall of returns that are equally likely.

    Parameters
    ----------
    returns : ndarray of shape (n_periods,)
        Finite; any order.
    level : float, default=0.99

    Returns
    -------
    var, es : float
        The smallest loss exceeded with a chance of at most ``1 - level``, and the mean of the worst ``1 - level`` of
        the distribution, the boundary's loss counted by the share that belongs to it [1]_. With 1,000 periods and .99:
        the 11th worst loss and the mean of the 10 worst.

    Raises
    ------
    DataError
        If there is no period, a number is not finite or the level is not allowed.

    References
    ----------
    .. [1] Rockafellar and Uryasev (2002), "Conditional value-at-risk for general loss distributions".

    Examples
    --------
    >>> var, es = historical(-np.arange(1.0, 101.0) / 1000, 0.95)
    >>> round(var, 6), round(es, 6)
    (0.095, 0.098)
    """
    values = check_sample(returns, 1)
    mass = (1.0 - check_level(level)) * values.size
    n_worst = math.floor(mass + _TIE * values.size)
    worst = np.partition(values, n_worst)[: n_worst + 1]
    boundary = float(worst[n_worst])
    beyond = float(worst[:n_worst].sum())
    return -boundary, -(beyond + (mass - n_worst) * boundary) / mass


def historical_each(returns: FloatArray, level: float = 0.99) -> tuple[FloatArray, FloatArray]:
    """Return `historical` of many series at once.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_series)
        Finite; any order.
    level : float, default=0.99

    Returns
    -------
    var, es : ndarray of shape (n_series,)
    """
    n_periods = len(returns)
    mass = (1.0 - check_level(level)) * n_periods
    n_worst = math.floor(mass + _TIE * n_periods)
    worst = np.partition(np.ascontiguousarray(returns.T), n_worst, axis=1)[:, : n_worst + 1]
    boundary, beyond = worst[:, n_worst], worst[:, :n_worst].sum(axis=1)
    return -boundary, -(beyond + (mass - n_worst) * boundary) / mass


def age_weights(n_periods: int, decay: float = 0.99) -> FloatArray:
    """Return weights that fall by `decay` for each period of age and add to 1, oldest first [1]_.

    Raises
    ------
    DataError
        If the decay is not above 0 and below 1.

    References
    ----------
    .. [1] Boudoukh, Richardson and Whitelaw (1998), "The best of both worlds".
    """
    if not 0.0 < decay < 1.0:
        raise DataError(f"decay={decay} is not allowed; above 0 and below 1 is")
    weights = decay ** np.arange(n_periods - 1, -1, -1, dtype=np.float64)
    return np.asarray(weights / weights.sum(), np.float64)


def weighted_historical(returns: FloatArray, weights: FloatArray, level: float = 0.99) -> tuple[float, float]:
    """Return value at risk and expected shortfall of returns with given chances; else as `historical`.

    Parameters
    ----------
    returns, weights : ndarray of shape (n_periods,)
        Finite; weights at or above 0, adding to 1.
    level : float, default=0.99
    """
    values = check_sample(returns, 1)
    alpha = 1.0 - check_level(level)
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    # The boundary is the first whose own weight reaches beyond alpha; rounding is not allowed to decide a tie.
    boundary = min(int(np.searchsorted(reached, alpha + _TIE, side="right")), values.size - 1)
    worst = values[order[: boundary + 1]]
    below = float(reached[boundary - 1]) if boundary else 0.0
    beyond = float(worst[:boundary] @ weights[order[:boundary]])
    return -float(worst[-1]), -(beyond + (alpha - below) * float(worst[-1])) / alpha


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Empirical:
    """A distribution of returns that were seen, or drawn.

    Parameters
    ----------
    returns : ndarray of shape (n,)
    weights : ndarray of shape (n,), optional
        Chances that add to 1; None for equal ones.
    notes : tuple of str
        Warnings of whoever made the sample.
    """

    returns: FloatArray
    weights: FloatArray | None = None
    notes: tuple[str, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Distribution`."""
        return self.notes

    def var_es(self, level: float) -> tuple[float, float]:
        """See `Distribution`."""
        if self.weights is None:
            return historical(self.returns, level)
        return weighted_historical(self.returns, self.weights, level)

    def n_effective(self) -> float:
        """Return how many equally likely returns would be as informative (Kish)."""
        return float(self.returns.size if self.weights is None else 1.0 / np.square(self.weights).sum())

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """See `Distribution`: a bootstrap."""
        if self.weights is None:
            return self.returns[generator.integers(0, self.returns.size, size)]
        return np.asarray(generator.choice(self.returns, size, p=self.weights), np.float64)
