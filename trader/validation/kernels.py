"""Compiled loops of the statistics."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["weighted_auc"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@njit(cache=True)
def weighted_auc(
    instant: IntArray, up: NDArray[np.bool_], last_of_tie: NDArray[np.bool_], counts: FloatArray
) -> FloatArray:
    """Return the area under the ROC curve of each resample of the instants.

    Parameters
    ----------
    instant, up, last_of_tie : ndarray of shape (n_rows,)
        Instant and outcome of the rows in order of their score, and whether the next row has another score.
    counts : ndarray of shape (n_resamples, n_instants)
        How often an instant was drawn.

    Returns
    -------
    ndarray of shape (n_resamples,)
        NaN where a resample holds one outcome only.
    """
    result = np.empty(counts.shape[0])
    for k in range(counts.shape[0]):
        downs = ups = won = tied_ups = tied_downs = 0.0
        for row in range(instant.size):
            weight = counts[k, instant[row]]
            if up[row]:
                tied_ups += weight
            else:
                tied_downs += weight
            if last_of_tie[row]:
                won += tied_ups * (downs + 0.5 * tied_downs)
                ups += tied_ups
                downs += tied_downs
                tied_ups = tied_downs = 0.0
        result[k] = won / (ups * downs) if ups > 0.0 and downs > 0.0 else np.nan
    return result
