"""Running estimates of volatility and covariance with exponentially decaying weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.snapshot import pack, restore_into
from trader.portfolio.kernels import MomentArrays, update_moments

__all__ = ["EwmaRisk"]

FloatArray = NDArray[np.float64]


class EwmaRisk:
    r"""Exponentially weighted second moments of returns, with mean zero, as RiskMetrics has them.

    With decay :math:`\lambda = 2^{-1/h}` for half-life :math:`h`,

    .. math:: \sigma_i^2 = \sum_k \lambda^k r_{i,t-k}^2 \Big/ \sum_k \lambda^k, \qquad
              \rho_{ij} = C_{ij} / \sqrt{C_{ii} C_{jj}}, \quad
              C_{ij} = \sum_k \lambda^k r_{i,t-k}\, r_{j,t-k}.

    Dividing by the sum of the weights removes the bias of a short history.

    Parameters
    ----------
    n_symbols : int
    halflife : float
        In bars.
    min_observations : int, default=10
        A symbol with fewer returns has no volatility yet.

    Notes
    -----
    A missing return (NaN) does not age the symbol's variance, and counts as zero in the co-moments: the
    correlation matrix is a rescaled sum of outer products, so it stays positive semi-definite with any pattern
    of missing values.

    References
    ----------
    J.P. Morgan/Reuters, *RiskMetrics Technical Document*, 4th ed., 1996, section 5.2.
    """

    def __init__(self, n_symbols: int, halflife: float, *, min_observations: int = 10) -> None:
        self._decay = 0.5 ** (1.0 / halflife)
        self._min_observations = min_observations
        self._square_sum: FloatArray = np.zeros(n_symbols)
        self._weight_sum: FloatArray = np.zeros(n_symbols)
        self._count: NDArray[np.int64] = np.zeros(n_symbols, np.int64)
        self.co_moment: FloatArray = np.zeros((n_symbols, n_symbols))
        """Weighted sums of products of returns, shape (n_symbols, n_symbols); only ratios have a meaning."""
        self.volatility: FloatArray = np.full(n_symbols, np.nan)
        """Volatility per bar, shape (n_symbols,); NaN before `min_observations` returns."""

    @property
    def arrays(self) -> MomentArrays:
        """What a compiled loop adds returns to."""
        return MomentArrays(
            self._decay,
            self._square_sum,
            self._weight_sum,
            self._count,
            self.co_moment,
            self._min_observations,
            self.volatility,
        )

    def update(self, returns: FloatArray) -> None:
        """Take the returns of one instant, shape (n_symbols,), NaN where there is none."""
        update_moments(returns, *self.arrays)

    def correlation(self) -> FloatArray:
        """Return the correlation matrix, shape (n_symbols, n_symbols); NaN for a symbol that never moved."""
        scale = np.sqrt(np.diag(self.co_moment))
        scale[scale == 0.0] = np.nan
        correlation: FloatArray = self.co_moment / np.outer(scale, scale)
        return correlation

    def covariance(self) -> FloatArray:
        """Return the covariance matrix per bar, shape (n_symbols, n_symbols); NaN where either part is."""
        return self.correlation() * np.outer(self.volatility, self.volatility)

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {
            "square_sum": pack(self._square_sum),
            "weight_sum": pack(self._weight_sum),
            "count": pack(self._count),
            "co_moment": pack(self.co_moment),
            "volatility": pack(self.volatility),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        restore_into(self._square_sum, state["square_sum"], "square_sum")
        restore_into(self._weight_sum, state["weight_sum"], "weight_sum")
        restore_into(self._count, state["count"], "count")
        restore_into(self.co_moment, state["co_moment"], "co_moment")
        restore_into(self.volatility, state["volatility"], "volatility")
