"""From equity to returns, and the plain statistics of returns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "annual_return",
    "annual_volatility",
    "day_returns",
    "moments",
    "period_returns",
    "rolling_sharpe",
    "sortino_ratio",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_DAY_NS = 86_400 * 10**9


def period_returns(equity: FloatArray) -> FloatArray:
    """Return simple returns between consecutive instants, shape (n - 1,), fewer after ruin.

    Equity at or below zero is ruin: the return of that period is -1 and the series ends there.

    >>> period_returns(np.array([100.0, 110.0, -5.0, 7.0])).round(3).tolist()
    [0.1, -1.0]
    """
    ruin = np.flatnonzero(equity <= 0.0)
    alive = np.maximum(equity[: ruin[0] + 1] if ruin.size else equity, 0.0)
    returns: FloatArray = alive[1:] / alive[:-1] - 1.0
    return returns


def day_returns(ts_ns: IntArray, equity: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return the days (UTC midnight, nanoseconds) and their returns, close to close.

    The first day counts, from its first equity, when it holds more than one instant.
    """
    if not ts_ns.size:
        return ts_ns, equity
    day = ts_ns // _DAY_NS
    last = np.flatnonzero(np.append(np.diff(day) > 0, True))
    rows = last if last[0] == 0 else np.concatenate(([0], last))
    returns = period_returns(equity[rows])
    return day[rows[1 : returns.size + 1]] * _DAY_NS, returns


def annual_return(returns: FloatArray, periods_per_year: float) -> float:
    """Return the compound annual growth rate; NaN without returns, -1 after ruin, infinite beyond what floats hold."""
    if not returns.size:
        return float("nan")
    growth = float(np.prod(1.0 + returns))
    with np.errstate(over="ignore"):
        return float(np.float64(growth) ** (periods_per_year / returns.size) - 1.0)


def annual_volatility(returns: FloatArray, periods_per_year: float) -> float:
    """Return the sample standard deviation (n - 1) times the root of `periods_per_year`; NaN below two returns."""
    if returns.size < 2:
        return float("nan")
    return float(np.std(returns, ddof=1) * np.sqrt(periods_per_year))


def sortino_ratio(returns: FloatArray, periods_per_year: float) -> float:
    """Return mean return over downside deviation, annualised; NaN without a loss.

    The downside deviation is the root mean square of returns below zero over *all* periods (Sortino and van
    der Meer, 1991), the target being 0.
    """
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2))) if returns.size else 0.0
    if downside == 0.0:
        return float("nan")
    return float(returns.mean() / downside * np.sqrt(periods_per_year))


def moments(returns: FloatArray) -> tuple[float, float]:
    """Return skewness and excess kurtosis, by population moments; NaN without dispersion."""
    if returns.size < 2:
        return float("nan"), float("nan")
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    # Rounding leaves equal returns a variance of the order of the square of machine precision.
    if variance <= (1e-15 * max(1.0, float(np.abs(returns).max()))) ** 2:
        return float("nan"), float("nan")
    return float(np.mean(centred**3)) / variance**1.5, float(np.mean(centred**4)) / variance**2 - 3.0


def rolling_sharpe(returns: FloatArray, window: int, periods_per_year: float) -> FloatArray:
    """Return the annual Sharpe ratio of the last `window` returns, shape of `returns`.

    NaN in the first `window - 1` places and where the window has no dispersion.
    """
    out = np.full(returns.size, np.nan)
    if returns.size < window or window < 2:
        return out
    views = np.lib.stride_tricks.sliding_window_view(returns, window)
    mean, deviation = views.mean(axis=1), views.std(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        out[window - 1 :] = np.where(deviation > 1e-15, mean / deviation * np.sqrt(periods_per_year), np.nan)
    return out
