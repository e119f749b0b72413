"""Exposure to factors, by regression of returns on theirs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.panel import ReturnPanel
from trader.core.errors import DataError

__all__ = ["FactorExposure", "factor_exposure", "matched"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class FactorExposure:
    """Regressions of each asset, and of the portfolio, on factor returns.

    Parameters
    ----------
    factors, assets : tuple of str
    loadings : ndarray of shape (n_assets, n_factors)
        Return of an asset per return of a factor, the others held.
    r_squared : ndarray of shape (n_assets,)
        NaN for an asset that never moved.
    portfolio : ndarray of shape (n_factors,)
        Loadings of the portfolio.
    t_statistic : ndarray of shape (n_factors,)
        Of the portfolio's loadings, by ordinary least squares.
    factor_share : float
        Share of the portfolio's variance that the factors explain; the rest is specific.
    contribution : ndarray of shape (n_factors,)
        Share of the portfolio's variance that is each factor's; they add to `factor_share`.
    n_observations : int
        Periods that both have.
    """

    factors: tuple[str, ...]
    assets: tuple[str, ...]
    loadings: FloatArray
    r_squared: FloatArray
    portfolio: FloatArray
    t_statistic: FloatArray
    factor_share: float
    contribution: FloatArray
    n_observations: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "n_observations": self.n_observations,
            "factor_share": self.factor_share,
            "factors": {
                name: {"loading": loading, "t_statistic": t, "variance_share": share}
                for name, loading, t, share in zip(
                    self.factors,
                    self.portfolio.tolist(),
                    self.t_statistic.tolist(),
                    self.contribution.tolist(),
                    strict=True,
                )
            },
            "assets": {
                asset: {"r_squared": fit, "loadings": dict(zip(self.factors, row, strict=True))}
                for asset, fit, row in zip(self.assets, self.r_squared.tolist(), self.loadings.tolist(), strict=True)
            },
        }


def factor_exposure(panel: ReturnPanel, weights: FloatArray, factors: ReturnPanel) -> FactorExposure:
    """Regress assets on factors by ordinary least squares with an intercept, on the days that both have.

    Parameters
    ----------
    panel : ReturnPanel
    weights : ndarray of shape (n_assets,)
    factors : ReturnPanel
        With one factor, the market, the loadings are betas.

    Raises
    ------
    DataError
        If fewer common days than factors and ten are left, or the factors depend on each other linearly.
    """
    y, x = matched(panel, factors)
    n, k = x.shape
    if n < k + 10:
        raise DataError(f"factors share {n} days with the returns; at least {k + 10} are needed for {k} factors")
    design = np.column_stack([np.ones(n), x])
    if np.linalg.matrix_rank(design) < k + 1:
        raise DataError(f"factors {', '.join(factors.names)} depend on each other; leave one out")
    both = np.column_stack([y, y @ weights])
    coefficients, *_ = np.linalg.lstsq(design, both, rcond=None)
    residual = both - design @ coefficients
    total = np.square(both - both.mean(axis=0)).sum(axis=0)
    left = np.square(residual).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = np.where(total > 0.0, 1.0 - left / total, np.nan)
        error = np.sqrt(left[-1] / (n - k - 1) * np.diag(np.linalg.inv(design.T @ design)))
        t_statistic = coefficients[1:, -1] / error[1:]
    own = coefficients[1:, -1]
    explained = np.atleast_2d(np.cov(x, rowvar=False)) @ own * own
    variance = float(np.var(both[:, -1], ddof=1))
    share = explained / variance if variance > 0.0 else np.full(k, np.nan)
    return FactorExposure(
        factors.names,
        panel.names,
        loadings=coefficients[1:, :-1].T.copy(),
        r_squared=fit[:-1],
        portfolio=own.copy(),
        t_statistic=t_statistic,
        factor_share=float(share.sum()),
        contribution=share,
        n_observations=n,
    )


def matched(panel: ReturnPanel, other: ReturnPanel) -> tuple[FloatArray, FloatArray]:
    """Return the returns of both on their common days, shapes (n_common, n_assets) and (n_common, n_others).

    Days are compared, not hours: two series may stamp the same session differently.
    """
    days, other_days = (which.stamps.astype("datetime64[D]") for which in (panel, other))
    _, rows, other_rows = np.intersect1d(days, other_days, return_indices=True)
    return panel.returns[rows], other.returns[other_rows]
