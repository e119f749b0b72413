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


def series(x: FloatArray) -> pd.Series:
    """Return x for pandas, which is imported here: live engines do without it."""
    import pandas as pd

    return pd.Series(x)


def rolling(x: FloatArray, window: int, statistic: str, **options: int) -> FloatArray:
    """Return a statistic (`mean`, `sum`, `std`, `max`, `min`, `skew`) of the last `window` values."""
    return np.asarray(getattr(series(x).rolling(window), statistic)(**options), np.float64)


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
