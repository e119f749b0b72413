"""Simulated returns with known correlations, heavy tails and volatility that clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["garch_returns"]

FloatArray = NDArray[np.float64]

_BURN = 200


def garch_returns(
    n_periods: int,
    n_assets: int,
    seed: int,
    *,
    correlation: float | FloatArray = 0.35,
    degrees: float = 4.0,
    autocorrelation: float = 0.1,
) -> FloatArray:
    """Return AR(1) returns of GARCH(1,1) volatility and Student-t shocks, shape (n_periods, n_assets).

    `correlation`, of the shocks, is one number or one a period; half the seeds have tails that assets share.
    """
    rng = np.random.default_rng(seed)
    rho = np.concatenate([np.full(_BURN, np.ravel(correlation)[0]), np.broadcast_to(correlation, (n_periods,))])
    common, own = rng.normal(size=(n_periods + _BURN, 1)), rng.normal(size=(n_periods + _BURN, n_assets))
    normal = np.sqrt(rho)[:, None] * common + np.sqrt(1.0 - rho)[:, None] * own
    width = 1 if seed % 2 else n_assets
    shocks = normal * np.sqrt((degrees - 2.0) / rng.chisquare(degrees, (n_periods + _BURN, width)))
    variance, level = np.ones(n_assets), np.zeros(n_assets)
    returns = np.empty_like(shocks)
    for t, shock in enumerate(shocks):
        move = np.sqrt(variance) * shock
        variance = 0.01 + 0.09 * move**2 + 0.9 * variance
        level = autocorrelation * level + move
        returns[t] = level
    return np.maximum(0.01 * returns[_BURN:], -0.99)
