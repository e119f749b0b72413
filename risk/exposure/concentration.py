"""How many independent bets a portfolio really is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["Concentration", "concentration", "effective_bets", "herfindahl"]

FloatArray = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, slots=True)
class Concentration:
    """Measures of diversification; NaN where the portfolio has no risk.

    Parameters
    ----------
    herfindahl : float
        Sum of squared shares of gross exposure: 1 for a single name, 1/n for n equal ones; 0 if nothing is held.
    effective_names : float
        Its inverse.
    diversification_ratio : float
        Weighted mean volatility over the portfolio's; 1 where nothing diversifies (Choueifaty & Coignard 2008).
    effective_bets : float
        Exponential of the entropy of the shares of variance of uncorrelated principal portfolios (Meucci 2009).
    """

    herfindahl: float
    effective_names: float
    diversification_ratio: float
    effective_bets: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)


def herfindahl(weights: FloatArray) -> float:
    """Return the sum of squared shares of gross exposure, weights (n_assets,); 0 if nothing is held."""
    gross = float(np.abs(weights).sum())
    return float(np.square(weights).sum()) / gross**2 if gross > 0.0 else 0.0


def concentration(weights: FloatArray, covariance: FloatArray) -> Concentration:
    """Measure how diversified weights (n_assets,) are under a covariance (n_assets, n_assets).

    Raises
    ------
    DataError
        If the shapes do not match.

    Examples
    --------
    >>> found = concentration(np.full(4, 0.25), np.eye(4) * 0.04)
    >>> found.herfindahl, round(found.effective_names, 6), round(found.diversification_ratio, 6)
    (0.25, 4.0, 2.0)
    """
    w = np.asarray(weights, np.float64)
    if np.shape(covariance) != (len(w), len(w)):
        raise DataError(f"covariance has shape {np.shape(covariance)}; ({len(w)}, {len(w)}) is needed")
    share = herfindahl(w)
    variance = float(w @ covariance @ w)
    alone = float(np.abs(w) @ np.sqrt(np.diag(covariance)))
    ratio = alone / np.sqrt(variance) if variance > 0.0 else np.nan
    return Concentration(share, 1.0 / share if share else 0.0, float(ratio), effective_bets(w, covariance))


def effective_bets(weights: FloatArray, covariance: FloatArray) -> float:
    """Return the effective number of uncorrelated bets: 1 for one principal portfolio, n if n share the variance.

    References
    ----------
    Meucci, "Managing diversification", *Risk* 22(5), 2009.

    Examples
    --------
    >>> round(effective_bets(np.full(4, 0.25), np.diag([1.0, 2.0, 3.0, 4.0])), 3)
    3.596
    """
    values, vectors = np.linalg.eigh(covariance)
    parts = np.square(vectors.T @ weights) * np.maximum(values, 0.0)
    total = float(parts.sum())
    if not total > 0.0:
        return float("nan")
    shares = parts[parts > 0.0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))
