"""Returns over the volatility that was known before them, so that calm and wild days count alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from risk.correlation.kernels import standardise
from trader.core.errors import DataError

__all__ = ["N_BEGIN", "Devolatiliser", "devolatilised"]

FloatArray = NDArray[np.float64]

N_BEGIN = 20
"""Rows whose mean square is the first variance."""

_FLOOR = 1e-4


class Devolatiliser:
    """Divides each row of returns by exponentially weighted volatilities of the rows before it.

    Volatilities are about a mean of zero; one below a hundredth of the mean of all counts as that.

    Parameters
    ----------
    begin : ndarray of shape (n_rows, n_assets)
        Returns whose mean squares are the first variances.
    halflife : float
        In periods, above 0.

    Raises
    ------
    DataError
        If there are no rows, a return is not finite, none varies or the half-life is not allowed.
    """

    def __init__(self, begin: FloatArray, halflife: float) -> None:
        values = np.asarray(begin, np.float64)
        if values.ndim != 2 or not values.size or not np.isfinite(values).all():
            raise DataError(f"begin has shape {values.shape}; at least 1 row of finite returns is needed")
        if not halflife > 0.0:
            raise DataError(f"halflife={halflife} is not allowed; above 0 is")
        self.variance: FloatArray = np.mean(values**2, axis=0)
        """Of each asset, shape (n_assets,); of the next row."""
        if not self.variance.any():
            raise DataError("returns are all 0 in the first periods; without any volatility there is no correlation")
        self._decay = float(0.5 ** (1.0 / halflife))

    def __call__(self, returns: FloatArray) -> FloatArray:
        """Return rows (n_rows, n_assets) over their volatilities, and take them in."""
        values = np.array(returns, np.float64)
        out = np.empty_like(values)
        standardise(values, self.variance, self._decay, _FLOOR, out)
        return out


def devolatilised(returns: FloatArray, halflife: float = 20.0) -> FloatArray:
    """Return returns (n_periods, n_assets) over the volatility known before each; errors as `Devolatiliser`.

    The first variance is that of the first 20 periods: these alone know what comes after them.
    """
    return Devolatiliser(np.asarray(returns)[:N_BEGIN], halflife)(returns)
