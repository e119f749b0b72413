"""Losses that come from a covariance or from selling, not from moves of factors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from risk.stress.scenario import Scenario
from trader.core.errors import DataError

__all__ = ["correlation_loss", "liquidity_cost", "push_correlations"]

FloatArray = NDArray[np.float64]

_LEAST = 30


def push_correlations(covariance: FloatArray, share: float, volatility: float = 1.0) -> FloatArray:
    """Return the covariance with correlations moved a share of the way to one, and volatilities multiplied.

    Parameters
    ----------
    covariance : ndarray of shape (n, n)
    share : float
        0 to 1; the result is a covariance for each of them.
    volatility : float, default=1.0
    """
    deviations = np.sqrt(np.diag(covariance)) * volatility
    pushed = (1.0 - share) * covariance * volatility**2 + share * np.outer(deviations, deviations)
    return np.asarray(pushed, np.float64)


def correlation_loss(returns: FloatArray, weights: FloatArray, scenario: Scenario) -> tuple[FloatArray, list[str]]:
    """Return each asset's part of the normal one-period VaR under the pushed covariance, and warnings.

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_assets)
    weights : ndarray of shape (n_assets,)
    scenario : Scenario
        Of kind `correlation`.

    Returns
    -------
    parts : ndarray of shape (n_assets,)
        They add to the VaR (Euler).
    warnings : list of str

    Raises
    ------
    DataError
        If fewer than 30 periods are complete, or the portfolio has no variance.
    """
    covariance = _covariance(returns)
    pushed = push_correlations(covariance, scenario.correlation, scenario.volatility)
    variance = float(weights @ pushed @ weights)
    # Perfectly hedged by the assumption itself: what is left is rounding, and no share of it can be told.
    if variance <= 1e-14 * float(np.abs(weights) @ pushed @ np.abs(weights)):
        return np.zeros_like(weights), ["long and short cancel under these correlations: no loss, which is no comfort"]
    z = float(special.ndtri(scenario.level))
    warnings = []
    if variance < float(weights @ covariance @ weights) * scenario.volatility**2:
        warnings.append("shorts hedge better when correlations rise: the loss is smaller than with those of today")
    return z * weights * (pushed @ weights) / np.sqrt(variance), warnings


def liquidity_cost(
    returns: FloatArray, weights: FloatArray, scenario: Scenario, volumes: FloatArray | None
) -> tuple[FloatArray, list[str]]:
    """Return what selling each asset costs, as fractions of the portfolio's value, and warnings.

    Half the spread is lost at once. With volumes, positions are sold evenly over the days that takes, and what is left
    moves by a standard deviation against the seller: σ √(days / 3).

    Parameters
    ----------
    returns : ndarray of shape (n_periods, n_assets)
        Daily.
    weights : ndarray of shape (n_assets,)
    scenario : Scenario
        Of kind `liquidity`.
    volumes : ndarray of shape (n_assets,), optional
        Value traded a day, in units of the portfolio's value.

    Raises
    ------
    DataError
        If a volume is not positive, or fewer than 30 periods are complete where volumes are given.
    """
    size = np.abs(weights)
    cost = size * scenario.spread / 2.0
    if volumes is None:
        return cost, ["no volumes are given: only the spread is counted, not the time that selling takes"]
    if not (volumes > 0.0).all():
        raise DataError(f"volumes hold {volumes.min()}; positive ones are needed")
    days = size / (scenario.participation * volumes)
    cost = cost + size * np.sqrt(np.diag(_covariance(returns)) * days / 3.0)
    slow = int(np.count_nonzero(days > 5.0))
    return cost, [f"{slow} positions take more than 5 days to sell, the slowest {days.max():.0f}"] if slow else []


def _covariance(returns: FloatArray) -> FloatArray:
    if len(returns) < _LEAST:
        raise DataError(f"{len(returns)} periods are complete for all assets; at least {_LEAST} are needed")
    return np.atleast_2d(np.cov(returns, rowvar=False))
