"""The stationary bootstrap: intervals for statistics of dependent data."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["bootstrap_interval", "optimal_block_length", "resampled_counts", "stationary_indices"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_CHUNK = 256


def bootstrap_interval(
    statistic: Callable[[FloatArray], float],
    data: FloatArray,
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 0,
    block_length: float | None = None,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic under the stationary bootstrap.

    Parameters
    ----------
    statistic : callable
        From an array shaped like `data` to a number.
    data : ndarray of shape (n,) or (n, n_series)
        In order of time; the rows of several series are drawn together, which keeps their dependence.
    level : float, default=0.95
        Share of resamples inside, between 0 and 1.
    n_resamples : int, default=2000
    seed : int, default=0
    block_length : float, optional
        Mean length of a block, at least 1; None estimates it, the longest over the series.

    Returns
    -------
    low, high : float
        NaN for fewer than two rows, or where the statistic is undefined for every resample; resamples for which
        it is NaN are left out.

    Examples
    --------
    >>> data = np.random.default_rng(1).normal(size=400)
    >>> low, high = bootstrap_interval(np.mean, data, seed=1)
    >>> bool(low < data.mean() < high)
    True
    """
    values = np.asarray(data, dtype=np.float64)
    if not 0 < level < 1:
        raise DataError(f"level={level} is not allowed; it must lie between 0 and 1")
    if n_resamples < 1:
        raise DataError(f"n_resamples={n_resamples} is not allowed; it must be at least 1")
    if values.shape[0] < 2:
        return math.nan, math.nan
    if block_length is None:
        columns = values.reshape(values.shape[0], -1).T
        block_length = max(optimal_block_length(column) for column in columns)
    found = np.array(
        [
            statistic(values[rows])
            for indices in _chunks(values.shape[0], block_length, n_resamples, seed)
            for rows in indices
        ]
    )
    found = found[np.isfinite(found)]
    if found.size == 0:
        return math.nan, math.nan
    low, high = np.quantile(found, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def stationary_indices(n: int, block_length: float, n_resamples: int, rng: np.random.Generator) -> IntArray:
    """Return rows of resamples: blocks of geometric length from random starts, wrapped at the end [1]_.

    Parameters
    ----------
    n : int
        Length of the data.
    block_length : float
        Mean length of a block, at least 1; 1 draws independently.
    n_resamples : int
    rng : Generator

    Returns
    -------
    ndarray of shape (n_resamples, n)
        Positions in 0 to n - 1.

    References
    ----------
    .. [1] Politis and Romano (1994), "The stationary bootstrap", JASA 89.
    """
    if not block_length >= 1:
        raise DataError(f"block_length={block_length} is not allowed; it must be at least 1")
    shape = (n_resamples, n)
    starts = rng.integers(n, size=shape)
    begins = rng.random(shape) < 1.0 / block_length
    begins[:, 0] = True
    position = np.arange(n)
    begin = np.maximum.accumulate(np.where(begins, position, 0), axis=1)
    indices: IntArray = (np.take_along_axis(starts, begin, axis=1) + position - begin) % n
    return indices


def resampled_counts(n: int, block_length: float, n_resamples: int, seed: int) -> Iterator[FloatArray]:
    """Yield how often each position is drawn in each resample, in parts of shape (n_part, n).

    Statistics of sums over positions need no more: the sums of all resamples of a part are one matrix product.

    Parameters
    ----------
    n, block_length, n_resamples
        As in `stationary_indices`.
    seed : int

    Examples
    --------
    >>> [part.sum(axis=1).tolist() for part in resampled_counts(5, 2.0, 3, seed=0)]
    [[5.0, 5.0, 5.0]]
    """
    for indices in _chunks(n, block_length, n_resamples, seed):
        offset = n * np.arange(indices.shape[0])[:, None]
        counts = np.bincount((indices + offset).ravel(), minlength=n * indices.shape[0])
        yield counts.reshape(indices.shape[0], n).astype(np.float64)


def optimal_block_length(series: FloatArray) -> float:
    """Return the mean block length for the stationary bootstrap of a mean, by the rule of Politis and White [1]_.

    Parameters
    ----------
    series : ndarray of shape (n,)
        No NaN.

    Returns
    -------
    float
        At least 1, and at most ``ceil(min(3 sqrt(n), n / 3))``; 1 for fewer than 8 values or a constant.

    Notes
    -----
    The flat-top window ends at twice the first lag after which `max(5, log10 n)` autocorrelations are all
    within ``2 sqrt(log10(n) / n)``.

    References
    ----------
    .. [1] Politis and White (2004), "Automatic block-length selection for the dependent bootstrap", with the
       correction of Patton, Politis and White (2009), Econometric Reviews 28(4).
    """
    x = np.asarray(series, dtype=np.float64)
    n = x.size
    deviations = x - x.mean() if n else x
    variance = float(deviations @ deviations) / n if n else 0.0
    if n < 8 or variance <= 1e-28 * float(np.max(np.abs(x))) ** 2:
        return 1.0
    run = max(5, int(math.log10(n)))
    longest = min(math.ceil(math.sqrt(n)) + run, n - 2)
    covariance = np.array([deviations[lag:] @ deviations[: n - lag] for lag in range(longest + 1)]) / n
    window = min(2 * max(_last_significant_lag(deviations, covariance, run), 1), longest)
    lags = np.arange(1, window + 1)
    weights = np.minimum(1.0, 2.0 * (1.0 - lags / window))
    spectral = covariance[0] + 2.0 * float(weights @ covariance[1 : window + 1])
    slope = 2.0 * float((weights * lags) @ covariance[1 : window + 1])
    if spectral == 0.0:
        return 1.0
    length = (slope**2 / spectral**2 * n) ** (1.0 / 3.0)
    return float(min(max(length, 1.0), math.ceil(min(3.0 * math.sqrt(n), n / 3.0))))


def _last_significant_lag(deviations: FloatArray, covariance: FloatArray, run: int) -> int:
    """Return the lag before the first `run` insignificant autocorrelations; the longest lag if there is none."""
    n = deviations.size
    squares = np.cumsum(deviations**2)
    lags = np.arange(covariance.size)
    # Each autocorrelation is scaled by the two parts it is made of, which sum over n - lag - 1 terms.
    later = squares[-1] - squares[lags]
    earlier = squares[n - lags - 2]
    scale = np.sqrt(later * earlier)
    # A part without variation, as in a series of rare events, says nothing of dependence.
    correlation = np.divide(np.abs(covariance) * n, scale, out=np.zeros_like(scale), where=scale > 0.0)
    insignificant = correlation < 2.0 * math.sqrt(math.log10(n) / n)
    for lag in range(run, covariance.size):
        if insignificant[lag - run : lag].all():
            return lag - run
    return covariance.size - 1


def _chunks(n: int, block_length: float, n_resamples: int, seed: int) -> Iterator[IntArray]:
    """Yield the resamples in parts, so that memory stays small."""
    rng = np.random.default_rng(seed)
    for done in range(0, n_resamples, _CHUNK):
        yield stationary_indices(n, block_length, min(_CHUNK, n_resamples - done), rng)
