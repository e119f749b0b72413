"""Shapley values by the definition, for models of few features."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

NAMES = ("momentum_12_1", "return_5d", "c", "d", "e")

Rows = Callable[[np.ndarray], np.ndarray]


def shapley_by_definition(score: Rows, row: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
    """Sum over all coalitions: marginal gains of the mean score over hybrids with each background row."""
    d = row.size
    worth = {}
    for size in range(d + 1):
        for coalition in itertools.combinations(range(d), size):
            keep = np.isin(np.arange(d), coalition)
            worth[coalition] = score(np.where(keep, row, background)).mean()
    values = np.zeros(d)
    for j in range(d):
        for coalition in (c for c in worth if j not in c):
            weight = 1.0 / (d * math.comb(d - 1, len(coalition)))
            values[j] += weight * (worth[tuple(sorted((*coalition, j)))] - worth[coalition])
    return values, float(worth[()])
