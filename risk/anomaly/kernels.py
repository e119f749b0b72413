"""Compiled recursions of the detectors: running scales and control charts."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["chart", "rescale"]

FloatArray = NDArray[np.float64]


@njit(cache=True)
def rescale(values: FloatArray, level: FloatArray, deviation: FloatArray, decay: float, cut: float) -> FloatArray:
    """Return values (n_rows, n) less their running level over their running mean absolute deviation (n,) before them.

    Both are brought forward with each value cut at `cut` deviations, so that an anomaly hardly becomes the norm. The
    result is cut at ±100. A deviation of 0 counts as the smallest that can be told from 0.
    """
    n_rows, n = values.shape
    out = np.empty((n_rows, n))
    for t in range(n_rows):
        for j in range(n):
            unit = max(deviation[j], 1e-12 * abs(level[j]), 1e-300)
            away = (values[t, j] - level[j]) / unit
            out[t, j] = min(max(away, -100.0), 100.0)
            away = min(max(away, -cut), cut)
            level[j] += (1.0 - decay) * away * unit
            deviation[j] = decay * unit + (1.0 - decay) * abs(away) * unit
    return out


@njit(cache=True)
def chart(values: FloatArray, above: FloatArray, below: FloatArray, weight: float, slack: float) -> FloatArray:
    """Return statistics of control charts, (n_rows, n): the larger of the upper and the lower side.

    The sides (n,) are brought forward: ``above = max(0, (1 - weight) * above + value - slack)`` and its mirror image
    with weight 0 is CUSUM with allowance `slack`; with weight above 0 and no slack both sides are one exponential sum.
    """
    n_rows, n = values.shape
    out = np.empty((n_rows, n))
    for t in range(n_rows):
        for j in range(n):
            if weight > 0.0:
                above[j] = (1.0 - weight) * above[j] + weight * values[t, j]
                below[j] = -above[j]
            else:
                above[j] = max(0.0, above[j] + values[t, j] - slack)
                below[j] = max(0.0, below[j] - values[t, j] - slack)
            out[t, j] = max(above[j], below[j])
    return out
