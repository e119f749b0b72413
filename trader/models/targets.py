"""What the models learn to predict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = [
    "ENTRY_DELAY",
    "MIN_CROSS_SECTION",
    "VOLATILITY_WINDOW",
    "demeaned",
    "forward_returns",
    "scaled_target",
    "trailing_volatility",
]

FloatArray = NDArray[np.float64]

ENTRY_DELAY = 1
"""Bars from a signal to the first price it can trade at: decided on the close of bar t, filled in bar t+1."""

MIN_CROSS_SECTION = 5
"""Fewest symbols with a known target for which a cross-sectional mean is taken out."""

VOLATILITY_WINDOW = 60
"""Bars over which `trailing_volatility` looks back."""


def forward_returns(closes: FloatArray, horizon: int, delay: int = ENTRY_DELAY) -> FloatArray:
    """Return the simple return from `delay` bars ahead to `delay + horizon` bars ahead.

    Parameters
    ----------
    closes : ndarray of shape (n_slices, n_symbols)
        NaN where a symbol has no bar.
    horizon, delay : int
        Bars, at least 1 and 0.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols)
        NaN where an end of the window or the close of the instant itself is unknown, which includes the last
        `delay + horizon` instants.

    Examples
    --------
    >>> forward_returns(np.array([[1.0], [2.0], [3.0], [6.0]]), horizon=1)[:, 0].tolist()
    [0.5, 1.0, nan, nan]
    """
    if horizon < 1 or delay < 0:
        raise DataError(f"horizon={horizon}, delay={delay} are not allowed; at least 1 and 0 are")
    result = np.full(closes.shape, np.nan)
    known = closes.shape[0] - delay - horizon
    if known > 0:
        entry, leave = closes[delay : delay + known], closes[delay + horizon :]
        result[:known] = np.where(np.isfinite(closes[:known]), leave / entry - 1.0, np.nan)
    return result


def trailing_volatility(closes: FloatArray, window: int = VOLATILITY_WINDOW, min_returns: int = 20) -> FloatArray:
    """Return the root mean square log return of the last `window` bars, per bar.

    Parameters
    ----------
    closes : ndarray of shape (n_slices, n_symbols)
        A return is known where the closes of two consecutive instants are.
    window : int, default=60
    min_returns : int, default=20
        Known returns in the window that are needed.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols)
        Known at the close of the instant; NaN where too few returns are, or the price did not move.
    """
    squares = np.zeros(closes.shape)
    squares[1:] = np.diff(np.log(closes), axis=0) ** 2
    known = np.isfinite(squares)
    known[:1] = False
    sums = _rolling_sum(np.where(known, squares, 0.0), window)
    counts = _rolling_sum(known.astype(np.float64), window)
    usable = (counts >= min_returns) & (sums > 0.0)
    mean_square: FloatArray = np.divide(sums, counts, out=np.full(closes.shape, np.nan), where=usable)
    return np.sqrt(mean_square)


def scaled_target(closes: FloatArray, horizon: int, *, demean: bool = True) -> FloatArray:
    """Return the forward return in units of the symbol's own volatility over the horizon.

    ``(close[t+1+h] / close[t+1] - 1) / (volatility[t] * sqrt(h))``, the volatility as `trailing_volatility`
    knows it at t. The entry price is that of t+1 because a signal made on the close of t fills there at the
    earliest.

    Parameters
    ----------
    closes : ndarray of shape (n_slices, n_symbols)
    horizon : int
        Bars.
    demean : bool, default=True
        Take out each instant's mean over symbols, the part no choice among them can earn. Instants with fewer
        than five known targets are left as they are.

    Returns
    -------
    ndarray of shape (n_slices, n_symbols)
        NaN where unknown.
    """
    target: FloatArray = forward_returns(closes, horizon) / (trailing_volatility(closes) * np.sqrt(horizon))
    return demeaned(target) if demean else target


def demeaned(target: FloatArray) -> FloatArray:
    """Return targets (n_slices, n_symbols) less the mean of their instant, where five or more are known."""
    known = np.isfinite(target)
    counts = known.sum(axis=1, keepdims=True)
    means = np.where(known, target, 0.0).sum(axis=1, keepdims=True) / np.maximum(counts, 1)
    less: FloatArray = np.where(counts >= MIN_CROSS_SECTION, target - means, target)
    return less


def _rolling_sum(values: FloatArray, window: int) -> FloatArray:
    """Return sums of the last `window` rows, each added afresh so that a large row leaves no rounding behind."""
    padded = np.concatenate([np.zeros((window, values.shape[1])), values])
    sums: FloatArray = np.lib.stride_tricks.sliding_window_view(padded, window, axis=0).sum(axis=-1)
    return sums[1:]
