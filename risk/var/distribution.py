"""What every method is made of: a distribution of the portfolio's return, and how one reaches a horizon."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from risk.results import check_level, check_sample
from trader.core.errors import DataError

__all__ = ["Distribution", "PathDistribution", "check_draws", "compound", "overlapping_returns", "simulate"]

FloatArray = NDArray[np.float64]


class Distribution(Protocol):
    """The return of the next period, as a method sees it."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why it may not be believed."""
        ...

    def var_es(self, level: float) -> tuple[float, float]:
        """Return value at risk and expected shortfall, losses as positive fractions."""
        ...

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """Return independent returns of single periods."""
        ...


@runtime_checkable
class PathDistribution(Protocol):
    """A distribution whose periods depend on one another, as volatility that clusters does."""

    def paths(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """Return successive returns, shape (n_paths, horizon)."""
        ...


def check_draws(n_paths: int, level: float) -> None:
    """Raise `DataError` if fewer than 10 of `n_paths` draws are expected beyond a level."""
    if n_paths * (1.0 - check_level(level)) < 10.0 - 1e-6:
        raise DataError(
            f"n_paths={n_paths} leaves fewer than 10 draws beyond level {level}; "
            f"{math.ceil(10.0 / (1.0 - level) - 1e-6)} or more are allowed"
        )


def compound(returns: FloatArray) -> FloatArray:
    """Return what successive returns along the last axis make together.

    A period cannot lose more than everything: returns below −1, which a normal distribution can draw, count as −1.
    """
    return np.asarray(np.prod(1.0 + np.maximum(returns, -1.0), axis=-1) - 1.0, np.float64)


def simulate(
    distribution: Distribution, horizon: int, n_paths: int = 10_000, seed: int | np.random.SeedSequence = 0
) -> FloatArray:
    """Return compounded returns over a horizon, shape (n_paths,).

    Periods are drawn independently unless the distribution has paths of its own.
    """
    generator = np.random.default_rng(seed)
    size = (n_paths, horizon)
    if isinstance(distribution, PathDistribution):
        return compound(distribution.paths(generator, size))
    return compound(distribution.draw(generator, size))


def overlapping_returns(returns: FloatArray, horizon: int) -> FloatArray:
    """Return the compounded return of each `horizon` successive periods, shape (n_periods − horizon + 1,).

    Neighbours share all but one period, so they hold about ``n_periods / horizon`` independent ones.

    Raises
    ------
    DataError
        If there are fewer periods than two horizons.
    """
    values = check_sample(returns, 2 * horizon)
    return compound(np.lib.stride_tricks.sliding_window_view(values, horizon))
