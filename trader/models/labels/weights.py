"""How much a label should count where labels share returns (López de Prado 2018, chapter 4).

The label of instant t and a symbol is made of the returns of the bars ``t + delay + 1`` to ``touch[t]``. Labels of
one symbol that span a common bar are not independent; those of different symbols are made of different returns.
Panels have shape (n_slices, n_symbols); a label is known where its touch is not negative.

References
----------
.. [1] López de Prado (2018), "Advances in Financial Machine Learning", chapter 4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.models.targets import ENTRY_DELAY

__all__ = [
    "average_uniqueness",
    "concurrency",
    "return_attribution",
    "sample_weights",
    "time_decay",
    "vertical_touch",
]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def vertical_touch(known: BoolArray, horizon: int, delay: int = ENTRY_DELAY) -> IntArray:
    """Return the last instant of labels of a fixed horizon, such as `scaled_target`; -1 where `known` is False."""
    instants = np.arange(known.shape[0])[:, None] + delay + horizon
    return np.where(known, instants, -1)


def concurrency(touch: IntArray, delay: int = ENTRY_DELAY) -> IntArray:
    """Return how many labels of the symbol are made of each bar's return.

    Parameters
    ----------
    touch : ndarray of shape (n_slices, n_symbols)
        Last bar of each label; -1 where there is none.
    delay : int
        Bars from signal to entry.

    Examples
    --------
    >>> concurrency(np.array([[2], [4], [-1], [5], [-1], [-1]]), delay=0)[:, 0].tolist()
    [0, 1, 2, 1, 2, 1]
    """
    first, last, symbol = _spans(touch, delay)
    changes = np.zeros((touch.shape[0] + 1, touch.shape[1]), np.int64)
    np.add.at(changes, (first, symbol), 1)
    np.add.at(changes, (last + 1, symbol), -1)
    counts: IntArray = np.cumsum(changes, axis=0)[:-1]
    return counts


def average_uniqueness(touch: IntArray, delay: int = ENTRY_DELAY) -> FloatArray:
    """Return the mean over a label's bars of one over the concurrency: 1 for a label that shares no return.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols)
        In (0, 1]; NaN where there is no label.

    Examples
    --------
    >>> average_uniqueness(np.array([[2], [4], [-1], [5], [-1], [-1]]), delay=0)[:, 0].tolist()
    [0.75, 0.6666666666666666, nan, 0.75, nan, nan]
    """
    first, last, symbol = _spans(touch, delay)
    shares = 1.0 / np.maximum(concurrency(touch, delay), 1)
    result = np.full(touch.shape, np.nan)
    # Differences of running sums may pass the bound by an ulp.
    result[touch >= 0] = np.minimum(_sums(shares, first, last, symbol) / (last - first + 1), 1.0)
    return result


def return_attribution(closes: FloatArray, touch: IntArray, delay: int = ENTRY_DELAY) -> FloatArray:
    """Return the size of the log return that a label can claim for itself.

    ``|sum of r / c|`` over the label's bars, c the concurrency; scaled to a mean of 1. A bar without a close has
    no return; the next one that has a close carries the whole move.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols)
        Not negative; NaN where there is no label. All 1 if no price moved.
    """
    if closes.shape != touch.shape:
        raise DataError(f"closes have shape {closes.shape}; labels of {touch.shape} need the same")
    first, last, symbol = _spans(touch, delay)
    own = _log_returns(closes) / np.maximum(concurrency(touch, delay), 1)
    result = np.full(touch.shape, np.nan)
    size = np.abs(_sums(own, first, last, symbol))
    result[touch >= 0] = size / size.mean() if size.any() else 1.0
    return result


def time_decay(uniqueness: FloatArray, oldest: float) -> FloatArray:
    """Return factors that fall with age, where age is counted in unique labels and not in time.

    The factor is linear in the sum of uniqueness up to the instant, over all symbols, and 1 at the last.

    Parameters
    ----------
    uniqueness : ndarray of shape (n_slices, n_symbols)
        Of `average_uniqueness`; NaN where there is no label.
    oldest : float
        1 is no decay; between 0 and 1 the factor that a label of no age would have before the first one; between
        -1 and 0 the share of the labels that count nothing.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols)
        In [0, 1]; NaN where there is no label.

    Examples
    --------
    >>> time_decay(np.ones((4, 1)), oldest=0.0)[:, 0].tolist(), time_decay(np.ones((4, 1)), oldest=-0.5)[:, 0].tolist()
    ([0.25, 0.5, 0.75, 1.0], [0.0, 0.0, 0.5, 1.0])
    """
    if not -1.0 < oldest <= 1.0:
        raise DataError(f"oldest={oldest} is not allowed; it must be above -1 and at most 1")
    age = np.cumsum(np.nansum(uniqueness, axis=1))
    if not age.size or age[-1] == 0.0:
        return np.full(uniqueness.shape, np.nan)
    share = age / age[-1]
    factor = oldest + (1.0 - oldest) * share if oldest >= 0 else 1.0 - (1.0 - share) / (1.0 + oldest)
    decayed: FloatArray = np.where(np.isnan(uniqueness), np.nan, np.maximum(factor, 0.0)[:, None])
    return decayed


def sample_weights(
    touch: IntArray, *, closes: FloatArray | None = None, oldest: float = 1.0, delay: int = ENTRY_DELAY
) -> FloatArray:
    """Return weights for `Model.fit_panel`: uniqueness, or attributed return, times decay.

    Parameters
    ----------
    touch : ndarray of shape (n_slices, n_symbols)
        Last bar of each label, as `triple_barrier` or `vertical_touch` gives it.
    closes : ndarray of shape (n_slices, n_symbols), optional
        Weighs labels by `return_attribution` of these prices; None by `average_uniqueness`.
    oldest : float, default=1.0
        As in `time_decay`.
    delay : int
        Bars from signal to entry.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols)
        Mean 1 over the labels; 0 where there is none.
    """
    uniqueness = average_uniqueness(touch, delay)
    base = uniqueness if closes is None else return_attribution(closes, touch, delay)
    weights = np.nan_to_num(base * time_decay(uniqueness, oldest))
    total = weights.sum()
    return weights * (np.count_nonzero(touch >= 0) / total) if total > 0.0 else weights


def _spans(touch: IntArray, delay: int) -> tuple[IntArray, IntArray, IntArray]:
    """Return first bar, last bar and symbol of every label, each of shape (n_labels,), in order of the panel."""
    instant, symbol = np.nonzero(touch >= 0)
    first, last = instant + delay + 1, touch[instant, symbol]
    if np.any(last < first) or np.any(last >= touch.shape[0]):
        raise DataError(
            f"touch must lie after the entry, {delay} bars after the instant, and before {touch.shape[0]} slices end"
        )
    return first, last, symbol


def _sums(values: FloatArray, first: IntArray, last: IntArray, symbol: IntArray) -> FloatArray:
    """Return the sum of `values` over the bars of each label."""
    running = np.zeros((values.shape[0] + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=running[1:])
    sums: FloatArray = running[last + 1, symbol] - running[first, symbol]
    return sums


def _log_returns(closes: FloatArray) -> FloatArray:
    """Return log returns since the last known close; 0 where there is none."""
    place = np.where(np.isfinite(closes), np.arange(closes.shape[0])[:, None], 0)
    latest = np.log(np.take_along_axis(closes, np.maximum.accumulate(place, axis=0), axis=0))
    returns = np.zeros(closes.shape)
    returns[1:] = np.nan_to_num(np.diff(latest, axis=0))
    return returns
