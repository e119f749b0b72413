"""Draws of the next period: normal, Student-t or with replacement from the past."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from risk.var.distribution import Distribution, check_draws
from risk.var.historical import historical
from risk.var.parametric import Normal
from trader.core.errors import DataError

__all__ = ["Drawn", "portfolio_normal"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A distribution known by draws of it.

    Parameters
    ----------
    base : Distribution
        What is drawn from.
    n_paths : int, default=10_000
        Draws.
    seed : int, default=0
        The same seed gives the same figures.
    """

    base: Distribution
    n_paths: int = 10_000
    seed: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """See `Distribution`; too few draws beyond the level are for the caller to avoid."""
        return self.base.warnings

    def var_es(self, level: float) -> tuple[float, float]:
        """See `Distribution`.

        Raises
        ------
        DataError
            If fewer than 10 draws are expected beyond the level.
        """
        check_draws(self.n_paths, level)
        return historical(self.base.draw(np.random.default_rng(self.seed), (1, self.n_paths))[0], level)

    def draw(self, generator: np.random.Generator, size: tuple[int, int]) -> FloatArray:
        """See `Distribution`."""
        return self.base.draw(generator, size)


def portfolio_normal(weights: FloatArray, means: FloatArray, covariance: FloatArray) -> Normal:
    """Return the portfolio's distribution if assets are multivariate normal.

    It is normal along the weights, so one number a path is drawn, not one an asset: the law is the same.

    Raises
    ------
    DataError
        If the portfolio does not vary.
    """
    variance = float(weights @ covariance @ weights)
    if not variance > 0.0:
        raise DataError("the portfolio does not vary; its variance must be above 0")
    return Normal(float(weights @ means), math.sqrt(variance))
