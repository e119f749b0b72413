"""Losses from the highest equity so far."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drawdown", "drawdown_series", "max_drawdown"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest loss from a peak.

    Parameters
    ----------
    depth : float
        Loss relative to the peak, as a fraction at or above 0; 0.25 is a quarter lost.
    peak_ns, trough_ns : int or None
        When it began and when it was deepest, UTC nanoseconds; None when equity never fell.
    recovery_ns : int or None
        First time equity was back at the peak; None when it has not been.
    longest_days : float
        Longest time under water of any drawdown, in days; one not yet recovered counts to the last instant.
    """

    depth: float
    peak_ns: int | None
    trough_ns: int | None
    recovery_ns: int | None
    longest_days: float


def drawdown_series(equity: FloatArray) -> FloatArray:
    """Return the loss from the running peak at each instant, shape (n,), as fractions at or above 0.

    Equity must be finite and start above 0; at or below zero the drawdown is 1 or more.

    >>> drawdown_series(np.array([100.0, 120.0, 90.0, 130.0])).tolist()
    [0.0, 0.0, 0.25, 0.0]
    """
    peak = np.maximum.accumulate(equity)
    series: FloatArray = 1.0 - equity / peak
    return series


def max_drawdown(ts_ns: IntArray, equity: FloatArray) -> Drawdown:
    """Return the deepest drawdown, the first of equals.

    Parameters
    ----------
    ts_ns : ndarray of shape (n,)
        Strictly increasing, UTC nanoseconds.
    equity : ndarray of shape (n,)
        Finite, the first above 0.
    """
    series = drawdown_series(equity)
    trough = int(np.argmax(series)) if series.size else 0
    longest = _longest_under_water_days(ts_ns, series)
    if not series.size or series[trough] <= 0.0:
        return Drawdown(0.0, None, None, None, longest)
    top = equity[: trough + 1].max()
    # The last touch of the peak: a plateau before the fall is not yet a drawdown.
    peak = int(np.flatnonzero(equity[: trough + 1] == top)[-1])
    back = np.flatnonzero(equity[trough:] >= top)
    recovery = int(ts_ns[trough + back[0]]) if back.size else None
    return Drawdown(float(series[trough]), int(ts_ns[peak]), int(ts_ns[trough]), recovery, longest)


def _longest_under_water_days(ts_ns: IntArray, series: FloatArray) -> float:
    """Return the longest time between a peak and the recovery from it (or the end)."""
    dry = np.flatnonzero(series <= 0.0)
    if not dry.size:
        return 0.0
    # A gap of one row between two peaks is no time under water.
    ends = np.append(dry[1:], series.size - 1)
    spans = np.where(ends - dry > 1, ts_ns[ends] - ts_ns[dry], 0)
    if dry[-1] < series.size - 1:
        spans[-1] = ts_ns[-1] - ts_ns[dry[-1]]
    return float(spans.max()) / 86_400e9
