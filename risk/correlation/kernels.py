"""Compiled correlations of all pairs over a moving window; `risk.correlation.rolling` states what they are.

A window is the end of one block of rows and the beginning of the next: its sums are a suffix sum of the block before
plus a running sum of the block at hand. Nothing is ever subtracted, so an outlier that leaves leaves nothing behind.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["ewma_step", "filter_regimes", "rolling_all", "rolling_step", "standardise"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CANCELLED = 1e-6
"""Share of the sum of squares below which a sum of squared deviations is recomputed from the window itself."""

CONSTANT = 1e-12
"""Deviation relative to the level below which a series counts as constant; its correlations are NaN."""


@njit(cache=True)
def products(values: FloatArray, sums: FloatArray) -> None:
    """Add values (n,) and their products to sums (n + n (n + 1) / 2,): first moments, then rows of the upper half."""
    n = values.size
    at = n
    for i in range(n):
        value = values[i]
        sums[i] += value
        others, totals = values[i:], sums[at : at + n - i]
        for j in range(n - i):
            totals[j] += value * others[j]
        at += n - i


@njit(cache=True)
def directly(window: FloatArray, out: FloatArray) -> None:
    """Write the correlations of a window (n_rows, n) in two passes."""
    n_rows, n = window.shape
    deviations = np.empty((n, n_rows))
    scale = np.empty(n)
    for i in range(n):
        mean, square_sum = 0.0, 0.0
        for t in range(n_rows):
            mean += window[t, i] / n_rows
        for t in range(n_rows):
            deviations[i, t] = window[t, i] - mean
            square_sum += deviations[i, t] ** 2
        constant = square_sum <= n_rows * (CONSTANT * mean) ** 2
        scale[i] = np.nan if constant else 1.0 / np.sqrt(square_sum)
    at = 0
    for i in range(n):
        for j in range(i + 1, n):
            total = 0.0
            for t in range(n_rows):
                total += deviations[i, t] * deviations[j, t]
            out[at] = min(max(total * scale[i] * scale[j], -1.0), 1.0) if scale[i] * scale[j] > 0.0 else np.nan
            at += 1


@njit(cache=True)
def finite(row: FloatArray) -> bool:
    """Return whether all numbers of a row are finite, and their sum too."""
    total = 0.0
    for i in range(row.size):
        total += row[i]
    return bool(np.isfinite(total))


@njit(cache=True)
def rolling_step(
    row: FloatArray,
    n_seen: IntArray,
    rows: FloatArray,
    shift: FloatArray,
    suffix: FloatArray,
    prefix: FloatArray,
    out: FloatArray,
) -> bool:
    """Take one row (n,) and write the correlations (n (n - 1) / 2,) of the newest window; NaN before it is full.

    Returns False, and takes nothing in, if a number is not finite.

    `rows` (2 window, n) holds the block before and the block at hand; `shift` (n,) is taken off every row before it
    is summed; `suffix` (window + 1, n_sums) and `prefix` (n_sums,) are sums as `products` lays them out.
    """
    if not finite(row):
        return False
    n = row.size
    window = suffix.shape[0] - 1
    at = n_seen[0] % window
    centred = np.empty(n)
    for i in range(n):
        if n_seen[0] == 0:
            shift[i] = row[i]
        rows[window + at, i] = row[i]
        centred[i] = row[i] - shift[i]
    products(centred, prefix)
    n_seen[0] += 1
    if n_seen[0] < window:
        for k in range(out.size):
            out[k] = np.nan
    else:
        correlate(suffix[at + 1], prefix, rows[at + 1 : at + 1 + window], out)
    if at == window - 1:
        next_block(rows, shift, suffix, prefix)
    return True


@njit(cache=True)
def next_block(rows: FloatArray, shift: FloatArray, suffix: FloatArray, prefix: FloatArray) -> None:
    """Make the block at hand the one before: shift it to its own mean, and sum it from its end."""
    window, n = rows.shape[0] // 2, rows.shape[1]
    centred = np.empty(n)
    for i in range(n):
        mean = 0.0
        for t in range(window):
            rows[t, i] = rows[window + t, i]
            mean += rows[t, i] / window
        shift[i] = mean
    for k in range(prefix.size):
        prefix[k] = 0.0
        suffix[window, k] = 0.0
    for t in range(window - 1, -1, -1):
        older, newer = suffix[t], suffix[t + 1]
        for k in range(prefix.size):
            older[k] = newer[k]
        for i in range(n):
            centred[i] = rows[t, i] - shift[i]
        products(centred, older)


@njit(cache=True)
def correlate(older: FloatArray, newer: FloatArray, window: FloatArray, out: FloatArray) -> None:
    """Write the correlations of the window whose sums are `older` plus `newer`."""
    n_rows, n = window.shape
    scale = np.empty(n)
    mean = np.empty(n)
    at = n
    for i in range(n):
        mean[i] = (older[i] + newer[i]) / n_rows
        square_sum = older[at] + newer[at]
        spread = square_sum - n_rows * mean[i] ** 2
        if spread <= CANCELLED * square_sum or spread <= n_rows * (10.0 * CONSTANT * window[0, i]) ** 2:
            directly(window, out)
            return
        scale[i] = 1.0 / np.sqrt(spread)
        at += n - i
    at, to = n, 0
    for i in range(n - 1):
        level, unit = n_rows * mean[i], scale[i]
        before, after = older[at + 1 : at + n - i], newer[at + 1 : at + n - i]
        means, units, written = mean[i + 1 :], scale[i + 1 :], out[to : to + n - i - 1]
        for j in range(n - i - 1):
            found = (before[j] + after[j] - level * means[j]) * unit * units[j]
            written[j] = min(max(found, -1.0), 1.0)
        at += n - i
        to += n - i - 1


@njit(cache=True)
def rolling_all(
    returns: FloatArray,
    n_seen: IntArray,
    rows: FloatArray,
    shift: FloatArray,
    suffix: FloatArray,
    prefix: FloatArray,
    out: FloatArray,
) -> None:
    """Take rows (n_rows, n) and write the correlations of every full window, (n_rows - window + 1, n_pairs)."""
    window = suffix.shape[0] - 1
    for t in range(returns.shape[0]):
        rolling_step(returns[t], n_seen, rows, shift, suffix, prefix, out[max(t - window + 1, 0)])


@njit(cache=True)
def ewma_step(row: FloatArray, decay: float, sums: FloatArray, out: FloatArray) -> bool:
    """Take one row (n,), weigh the sums before it by `decay`, and write the correlations about a mean of zero.

    Returns False, and takes nothing in, if a number is not finite.
    """
    if not finite(row):
        return False
    n = row.size
    for k in range(sums.size):
        sums[k] *= decay
    products(row, sums)
    scale = np.empty(n)
    at = n
    for i in range(n):
        scale[i] = 1.0 / np.sqrt(sums[at]) if sums[at] > 0.0 else np.nan
        at += n - i
    at, to = n, 0
    for i in range(n - 1):
        unit = scale[i]
        totals, units, written = sums[at + 1 : at + n - i], scale[i + 1 :], out[to : to + n - i - 1]
        for j in range(n - i - 1):
            written[j] = totals[j] * unit * units[j]
        at += n - i
        to += n - i - 1
    return True


@njit(cache=True)
def filter_regimes(log_density: FloatArray, stay_low: float, stay_high: float, high: FloatArray, start: float) -> float:
    """Write the probability of the high regime given all rows so far, (n_rows,); return the log-likelihood.

    `log_density` (n_rows, 2) is of the low and the high regime; `start` the probability of the high one before.
    """
    total = 0.0
    probability = start
    for t in range(log_density.shape[0]):
        prior = (1.0 - probability) * (1.0 - stay_low) + probability * stay_high
        top = max(log_density[t, 0], log_density[t, 1])
        below = (1.0 - prior) * np.exp(log_density[t, 0] - top)
        above = prior * np.exp(log_density[t, 1] - top)
        total += top + np.log(below + above)
        probability = above / (below + above)
        high[t] = probability
    return total


@njit(cache=True)
def standardise(returns: FloatArray, variance: FloatArray, decay: float, floor: float, out: FloatArray) -> None:
    """Write returns (n_rows, n) over the volatility that was known before each; bring `variance` (n,) forward.

    A variance below `floor` times the mean one of the row counts as that: what stands still has not become riskless.
    """
    n_rows, n = returns.shape
    for t in range(n_rows):
        mean = 0.0
        for i in range(n):
            mean += variance[i] / n
        for i in range(n):
            value = returns[t, i]
            out[t, i] = value / np.sqrt(max(variance[i], floor * mean))
            variance[i] = decay * variance[i] + (1.0 - decay) * value * value
