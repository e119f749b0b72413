"""Compiled loops of the labels. Panels have shape (n_slices, n_symbols)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["draw_sequentially", "first_touch"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@njit(cache=True)
def first_touch(
    closes: FloatArray,
    highs: FloatArray,
    lows: FloatArray,
    width: FloatArray,
    side: FloatArray,
    profit: float,
    stop: float,
    horizon: int,
    delay: int,
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return label, instant and return of the first barrier that each bet touches.

    `profit` and `stop` are in units of `width`, infinite where there is none. The label of the vertical barrier
    is 0; everything is NaN (the instant -1) where the bet or its end is unknown.
    """
    n_slices, n_symbols = closes.shape
    label = np.full(closes.shape, np.nan)
    touch = np.full(closes.shape, -1, np.int64)
    earned = np.full(closes.shape, np.nan)
    for t in range(n_slices - delay - horizon):
        for s in range(n_symbols):
            entry = closes[t + delay, s]
            unit = width[t, s]
            bet = side[t, s]
            known = np.isfinite(closes[t, s]) and np.isfinite(entry) and np.isfinite(unit) and np.isfinite(bet)
            if not known or unit <= 0.0 or bet == 0.0:
                continue
            direction = 1.0 if bet > 0.0 else -1.0
            above, below = profit * unit, -stop * unit
            for i in range(t + delay + 1, t + delay + horizon + 1):
                close = closes[i, s]
                if not np.isfinite(close):
                    continue
                high = highs[i, s] if np.isfinite(highs[i, s]) else close
                low = lows[i, s] if np.isfinite(lows[i, s]) else close
                one, other = direction * (high / entry - 1.0), direction * (low / entry - 1.0)
                best, worst = max(one, other), min(one, other)
                if worst <= below:
                    # The whole bar may lie beyond the barrier: its nearest price is the first that could be had.
                    label[t, s], touch[t, s], earned[t, s] = -1.0, i, min(below, best)
                    break
                if best >= above:
                    label[t, s], touch[t, s], earned[t, s] = 1.0, i, max(above, worst)
                    break
            last = t + delay + horizon
            if touch[t, s] < 0 and np.isfinite(closes[last, s]):
                label[t, s], touch[t, s] = 0.0, last
                earned[t, s] = direction * (closes[last, s] / entry - 1.0)
    return label, touch, earned


@njit(cache=True)
def draw_sequentially(first: IntArray, last: IntArray, n_bars: int, uniform: FloatArray) -> IntArray:
    """Draw labels one after the other, each with a chance in proportion to how unique it would be among the drawn.

    Labels are in order of `first`; label i covers the bars `first[i]` to `last[i]`. Only labels that share a bar
    with the one just drawn change.
    """
    n = first.size
    longest = 0
    for i in range(n):
        longest = max(longest, last[i] - first[i])
    covered = np.zeros(n_bars, np.int64)
    chance = np.ones(n)
    drawn = np.empty(uniform.size, np.int64)
    for k in range(uniform.size):
        total = 0.0
        for i in range(n):
            total += chance[i]
        target = uniform[k] * total
        pick = n - 1
        for i in range(n):
            target -= chance[i]
            if target < 0.0:
                pick = i
                break
        drawn[k] = pick
        for bar in range(first[pick], last[pick] + 1):
            covered[bar] += 1
        for i in range(np.searchsorted(first, first[pick] - longest), n):
            if first[i] > last[pick]:
                break
            if last[i] >= first[pick]:
                share = 0.0
                for bar in range(first[i], last[i] + 1):
                    share += 1.0 / (covered[bar] + 1)
                chance[i] = share / (last[i] - first[i] + 1)
    return drawn
