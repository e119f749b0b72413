"""What value at risk said of a portfolio along its way, and what came the bar after."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from risk.var.historical import historical
from trader.core.errors import DataError

__all__ = ["RiskHistory", "risk_history"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RiskHistory:
    """Forecasts of each bar from what was held before it; every array has shape (n_bars,).

    Parameters
    ----------
    level : float
    bar : ndarray of int64
        Place of each bar that was forecast.
    returns : ndarray
        What the holdings made in it, costs and trades aside.
    var, es : ndarray
        Said before it, losses positive.
    """

    level: float
    bar: NDArray[np.int64]
    returns: FloatArray
    var: FloatArray
    es: FloatArray

    @property
    def exceeded(self) -> NDArray[np.bool_]:
        """Bars whose loss was beyond the value at risk."""
        return np.asarray(-self.returns > self.var, np.bool_)


def risk_history(
    prices: FloatArray, weights: FloatArray, *, window: int = 500, min_bars: int = 100, level: float = 0.99
) -> RiskHistory:
    """Forecast each bar by historical simulation of what was held at the end of the bar before.

    Parameters
    ----------
    prices : ndarray of shape (n_bars, n_assets)
        Last known prices; NaN before the first.
    weights : ndarray of shape (n_bars, n_assets)
        Held at the end of each bar, fractions of equity.
    window : int, default=500
        Bars that a forecast looks back at most.
    min_bars : int, default=100
        Bars that every name held must have behind it; bars before that are left out, as are those in which nothing is
        held.
    level : float, default=0.99

    Raises
    ------
    DataError
        If the shapes differ.
    """
    if np.shape(prices) != np.shape(weights):
        raise DataError(f"weights has shape {np.shape(weights)}; {np.shape(prices)}, that of prices, is needed")
    returns = prices[1:] / prices[:-1] - 1.0
    finite = np.isfinite(returns)
    known = np.cumsum(finite, axis=0)
    returns = np.where(finite, returns, 0.0)
    rows = []
    for bar in range(max(min_bars, 1), len(prices) - 1):
        held = np.flatnonzero(weights[bar])
        if not len(held):
            continue
        n_bars = min(int(known[bar - 1, held].min()), window)
        if n_bars < min_bars:
            continue
        # Returns up to `bar` are those in rows before `bar`; what comes is row `bar`.
        w = weights[bar, held]
        past = returns[bar - n_bars : bar, held] @ w
        rows.append((bar + 1, float(returns[bar, held] @ w), *historical(past, level)))
    table = np.array(rows, np.float64).reshape(-1, 4).T
    return RiskHistory(level, table[0].astype(np.int64), table[1], table[2], table[3])
