"""The batch forms' rolling statistics, by pandas: written apart from the incremental ones they are compared with.

All take x of shape (n,) without NaN and return shape (n,), NaN until the window is full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["exponential", "only_where", "rolling", "shifted", "undefined_where", "wilder"]

FloatArray = NDArray[np.float64]

_SHORT = 2048
"""Windows up to here are taken two-pass, in time proportional to their length."""
_CHUNK = 1 << 20
_OF_SPREAD = {"std": 0.0, "var": 0.0, "skew": np.nan}


def series(x: FloatArray) -> pd.Series:
    """Return x for pandas, which is imported here: live engines do without it."""
    import pandas as pd

    return pd.Series(x)


def rolling(x: FloatArray, window: int, statistic: str, **options: int) -> FloatArray:
    """Return a statistic (`mean`, `sum`, `std`, `var`, `max`, `min`, `skew`) of the last `window` values.

    Of equal values the spread is 0 and the skewness undefined; pandas gives its rounding error.
    """
    values = series(x).rolling(window)
    if statistic in ("std", "var") and window <= _SHORT:
        result = _two_pass(x, window, statistic, options.get("ddof", 1))
    else:
        result = np.asarray(getattr(values, statistic)(**options), np.float64)
    if statistic in _OF_SPREAD:
        result = np.where(values.max() == values.min(), _OF_SPREAD[statistic], result)
    return result


def _two_pass(x: FloatArray, window: int, statistic: str, ddof: int) -> FloatArray:
    """Return the spread of each window about its own mean: exact where pandas' running one has lost digits."""
    out = np.full(x.size, np.nan)
    if x.size >= window:
        windows = np.lib.stride_tricks.sliding_window_view(x, window)
        rows = max(1, _CHUNK // window)
        for start in range(0, len(windows), rows):
            first = start + window - 1
            out[first : first + rows] = getattr(windows[start : start + rows], statistic)(axis=1, ddof=ddof)
    return out


def shifted(x: FloatArray, steps: int) -> FloatArray:
    """Return x `steps` before."""
    out = np.full(x.size, np.nan)
    if steps < x.size:
        out[steps:] = x[: x.size - steps]
    return out


def exponential(x: FloatArray, alpha: float, *, adjust: bool = False, least: int = 0) -> FloatArray:
    """Return the exponentially weighted mean; `adjust` divides by the weights given so far."""
    return np.asarray(series(x).ewm(alpha=alpha, adjust=adjust, min_periods=least).mean(), np.float64)


def wilder(x: FloatArray, window: int) -> FloatArray:
    """Return Wilder's average: the mean of the first `window` values, then smoothed with weight 1 / `window`."""
    out = np.full(x.size, np.nan)
    if x.size >= window:
        seeded = np.concatenate(([x[:window].mean()], x[window:]))
        out[window - 1 :] = exponential(seeded, 1.0 / window)
    return out


def undefined_where(condition: NDArray[np.bool_], x: FloatArray) -> FloatArray:
    """Return x, NaN where the condition holds."""
    return np.where(condition, np.nan, x)


def only_where(condition: NDArray[np.bool_], rows: FloatArray) -> FloatArray:
    """Return the rows, shape (n_true, n_features), at the places where the condition holds, NaN elsewhere."""
    out = np.full((condition.size, rows.shape[1]), np.nan)
    out[condition] = rows
    return out
