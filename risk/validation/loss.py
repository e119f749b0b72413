"""Losses that the true value at risk and expected shortfall minimise: which of two forecasts is better."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk.results import check_level
from risk.validation.coverage import exceedances
from trader.core.errors import DataError

__all__ = ["joint_losses", "quantile_losses"]

FloatArray = NDArray[np.float64]


def quantile_losses(returns: ArrayLike, var: ArrayLike, level: float = 0.99) -> FloatArray:
    """Return the quantile (pinball) loss of each period: its mean is smallest for the true value at risk.

    ``(r + VaR) (1 − level − [r < −VaR])``, shape (n_periods,), in the unit of returns.

    Raises
    ------
    DataError
        If shapes differ or a number is not finite.
    """
    alpha = 1.0 - check_level(level)
    hits = exceedances(returns, var)
    distance = np.asarray(returns, np.float64) + np.asarray(var, np.float64)
    return np.asarray(distance * (alpha - hits), np.float64)


def joint_losses(returns: ArrayLike, var: ArrayLike, es: ArrayLike, level: float = 0.99) -> FloatArray:
    """Return the FZ0 loss of each period [1]_: its mean is smallest for the true pair of VaR and ES.

    Shape (n_periods,); differences between methods do not depend on the unit of returns.

    Raises
    ------
    DataError
        If shapes differ, a number is not finite or an ES is not above 0.

    References
    ----------
    .. [1] Patton, Ziegel and Chen (2019), "Dynamic semiparametric models for expected shortfall", equation 6.
    """
    alpha = 1.0 - check_level(level)
    hits = exceedances(returns, var)
    limit, shortfall = np.asarray(var, np.float64), np.asarray(es, np.float64)
    if shortfall.shape != limit.shape or not (np.isfinite(shortfall) & (shortfall > 0.0)).all():
        raise DataError(f"es has shape {shortfall.shape}, or values not above 0; {limit.shape} is needed")
    beyond = hits * (-np.asarray(returns, np.float64) - limit)
    return np.asarray(beyond / (alpha * shortfall) + limit / shortfall + np.log(shortfall) - 1.0, np.float64)
