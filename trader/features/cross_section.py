"""Cross-sectional features: where a symbol stands among all symbols at one instant."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.features.jit import compiled, compiled_loop

__all__ = ["RANKED", "STANDARDISED", "CrossSection", "all_features"]

FloatArray = NDArray[np.float64]

RANKED: tuple[str, ...] = (
    "return_1d",
    "return_5d",
    "return_21d",
    "return_63d",
    "momentum_12_1",
    "volatility_21d",
    "drawdown_252d",
    "volume_z_21d",
    "amihud_21d",
)
"""Features that are ranked, where they exist."""

STANDARDISED: tuple[str, ...] = ("return_1d", "return_5d", "return_21d")
"""Features that are standardised, where they exist."""


class CrossSection:
    """Ranks and z-scores over the symbols of each instant; stateless.

    `rank_{feature}` = (rank - ½) / n - ½ among the n finite values, smallest first, ties averaged: evenly spaced in
    (-½, ½), 0 in the middle. `z_{feature}` = (value - mean) / standard deviation (n - 1) of the finite values, NaN
    where they are all equal. A value that is not finite stays NaN and counts for nobody.

    Parameters
    ----------
    names : sequence of str
        The per-symbol features, in their order.
    n_symbols : int
        All symbols: shards are joined before.
    """

    def __init__(self, names: tuple[str, ...], n_symbols: int) -> None:
        self._shape = n_symbols, len(names)
        ranked = [name for name in RANKED if name in names]
        standardised = [name for name in STANDARDISED if name in names]
        self.names: tuple[str, ...] = (
            *(f"rank_{name}" for name in ranked),
            *(f"z_{name}" for name in standardised),
        )
        self._ranked = np.array([names.index(name) for name in ranked], np.int64)
        self._standardised = np.array([names.index(name) for name in standardised], np.int64)

    def apply(self, features: FloatArray) -> FloatArray:
        """Return the cross-sectional features, shape (n_slices, n_symbols, len(self.names)).

        Parameters
        ----------
        features : ndarray of shape (n_slices, n_symbols, n_features)
            Per-symbol features, in the order of the constructor's names.

        Raises
        ------
        DataError
            If the shape is another.
        """
        if features.ndim != 3 or features.shape[1:] != self._shape:
            raise DataError(
                f"features have shape {features.shape}; (n_slices, {self._shape[0]}, {self._shape[1]}) is needed"
            )
        out = np.empty((features.shape[0], self._shape[0], len(self.names)))
        if not (features.flags.c_contiguous and features.flags.writeable):
            features = features.copy()  # the loop is compiled for one memory layout
        _cross_section(features, self._ranked, self._standardised, out)
        return out


def all_features(features: FloatArray, cross_section: CrossSection) -> FloatArray:
    """Return per-symbol features, then cross-sectional ones; the names are in the same order."""
    return np.concatenate((features, cross_section.apply(features)), axis=2)


_COUNTED = 256  # up to so many symbols, comparing all pairs is faster than sorting


@compiled
def _count_ranks(values: FloatArray, out: FloatArray) -> None:
    n = 0
    for value in values:
        n += 1 if math.isfinite(value) else 0
    for s in range(values.size):
        below = 0.0
        for value in values:
            # One for each smaller value, half for each equal one, itself included; NaN is neither.
            below += (0.5 if value < values[s] else 0.0) + (0.5 if value <= values[s] else 0.0)
        out[s] = below / n - 0.5 if math.isfinite(values[s]) else np.nan


@compiled
def _sort_ranks(values: FloatArray, out: FloatArray) -> None:
    order = np.argsort(values)  # NaN last
    n = 0
    for value in values:
        n += 1 if math.isfinite(value) else 0
    out[:] = np.nan
    first = 0
    while first < n:
        stop = first + 1
        while stop < n and values[order[stop]] == values[order[first]]:
            stop += 1
        for k in range(first, stop):
            out[order[k]] = 0.5 * (first + stop) / n - 0.5
        first = stop


@compiled
def _score(values: FloatArray, out: FloatArray) -> None:
    n, total, low, high = 0, 0.0, np.inf, -np.inf
    for value in values:
        if math.isfinite(value):
            n += 1
            total += value
            low, high = min(low, value), max(high, value)
    mean = total / n
    squares = 0.0
    for value in values:
        if math.isfinite(value):
            squares += (value - mean) ** 2
    # Equal values may differ from their mean by rounding.
    spread = math.sqrt(squares / (n - 1.0)) if high > low else np.nan
    for s in range(values.size):
        out[s] = (values[s] - mean) / spread


@compiled_loop
def _cross_section(
    features: FloatArray, ranked: NDArray[np.int64], standardised: NDArray[np.int64], out: FloatArray
) -> None:
    n_slices, n_symbols = features.shape[:2]
    values = np.empty(n_symbols)
    result = np.empty(n_symbols)
    for t in range(n_slices):
        for i in range(ranked.size + standardised.size):
            column = ranked[i] if i < ranked.size else standardised[i - ranked.size]
            for s in range(n_symbols):
                value = features[t, s, column]
                values[s] = value if math.isfinite(value) else np.nan
            if i >= ranked.size:
                _score(values, result)
            elif n_symbols <= _COUNTED:
                _count_ranks(values, result)
            else:
                _sort_ranks(values, result)
            for s in range(n_symbols):
                out[t, s, i] = result[s]
