"""Figures of each of many windows at once, a block of windows at a time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["RollingMoments", "rolling_by_age", "rolling_historical", "rolling_moments"]

FloatArray = NDArray[np.float64]

_BLOCK = 512
_TIE = 1e-9


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RollingMoments:
    """Moments of each window, shape (n_windows,); the deviation has ``n - 1`` in its denominator."""

    mean: FloatArray
    deviation: FloatArray
    skewness: FloatArray
    excess_kurtosis: FloatArray


def rolling_moments(returns: FloatArray, window: int) -> RollingMoments:
    """Return the moments of the `window` periods before each period from `window` on.

    Raises
    ------
    DataError
        If the returns of a window do not vary.
    """
    found = []
    for block in _blocks(returns, window):
        mean = block.mean(axis=1)
        deviations = block - mean[:, None]
        squares = deviations * deviations
        variance = squares.mean(axis=1)
        if not (variance > 0.0).all():
            raise DataError(f"returns do not vary in one of the windows of {window} periods; use a longer window")
        third = np.einsum("ij,ij->i", squares, deviations) / window
        fourth = np.einsum("ij,ij->i", squares, squares) / window
        unbiased = np.sqrt(variance * window / (window - 1))
        found.append((mean, unbiased, third / variance**1.5, fourth / variance**2 - 3.0))
    return RollingMoments(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def rolling_historical(returns: FloatArray, window: int, level: float) -> tuple[FloatArray, FloatArray]:
    """Return `risk.var.historical.historical` of the `window` periods before each period from `window` on."""
    mass = (1.0 - level) * window
    n_worst = math.floor(mass + _TIE * window)
    found = []
    for block in _blocks(returns, window):
        worst = np.partition(block, n_worst, axis=1)[:, : n_worst + 1]
        boundary = worst[:, n_worst]
        found.append((-boundary, -(worst[:, :n_worst].sum(axis=1) + (mass - n_worst) * boundary) / mass))
    return _joined(found)


def rolling_by_age(
    returns: FloatArray, window: int, level: float, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return `weighted_historical` of the `window` periods before each period from `window` on."""
    alpha = 1.0 - level
    found = []
    for block in _blocks(returns, window):
        order = np.argsort(block, axis=1)
        values = np.take_along_axis(block, order, axis=1)
        chances = weights[order]
        reached = np.cumsum(chances, axis=1)
        boundary = np.minimum((reached <= alpha + _TIE).sum(axis=1), window - 1)
        rows = np.arange(len(block))
        var = -values[rows, boundary]
        beyond = np.cumsum(values * chances, axis=1)
        inside = boundary > 0
        below = np.where(inside, reached[rows, boundary - 1], 0.0)
        summed = np.where(inside, beyond[rows, boundary - 1], 0.0)
        found.append((var, -(summed - (alpha - below) * var) / alpha))
    return _joined(found)


def _blocks(returns: FloatArray, window: int) -> Iterator[FloatArray]:
    """Yield windows, shape (up to 512, window); the last period is in none, as nothing comes after it."""
    windows = np.lib.stride_tricks.sliding_window_view(returns[:-1], window)
    for first in range(0, len(windows), _BLOCK):
        yield windows[first : first + _BLOCK]


def _joined(found: list[tuple[FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    return np.concatenate([var for var, _ in found]), np.concatenate([es for _, es in found])
