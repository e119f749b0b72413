"""What stands for an asset that has no returns of its own: a stated regression on factors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.stress.history import ReturnHistory
from trader.core.errors import DataError

__all__ = ["Proxy", "common_periods", "fit_proxy"]

FloatArray = NDArray[np.float64]

_LEAST = 30
_LEAST_A_FACTOR = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Proxy:
    """Least squares of an asset's returns on factors, with a constant that is not used.

    Parameters
    ----------
    asset : str
    factors : tuple of str
    coefficients : tuple of float
        Return per unit of each factor.
    r2 : float
        Share of the variance explained; what is not moves as if it stood still.
    n : int
        Periods that asset and factors have in common.
    """

    asset: str
    factors: tuple[str, ...]
    coefficients: tuple[float, ...]
    r2: float
    n: int

    def apply(self, moves: FloatArray) -> FloatArray:
        """Return the asset's returns for moves of the factors, shape (..., n_factors)."""
        return np.asarray(moves @ np.array(self.coefficients), np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "asset": self.asset,
            "coefficients": dict(zip(self.factors, self.coefficients, strict=True)),
            "r2": self.r2,
            "n": self.n,
        }


def common_periods(
    assets: ReturnHistory, names: Sequence[str], factors: ReturnHistory, factor_names: Sequence[str]
) -> tuple[FloatArray, FloatArray]:
    """Return the returns of assets and of factors on the days on which all have one, shape (n, n_names) each."""
    _, ours, theirs = np.intersect1d(assets.days, factors.days, assume_unique=True, return_indices=True)
    y = assets.returns[ours][:, [assets.names.index(name) for name in names]]
    x = factors.returns[theirs][:, [factors.names.index(name) for name in factor_names]]
    known = np.isfinite(y).all(axis=1) & np.isfinite(x).all(axis=1)
    return y[known], x[known]


def fit_proxy(assets: ReturnHistory, asset: str, factors: ReturnHistory, names: Sequence[str]) -> Proxy:
    """Regress an asset on the named factors.

    Collinear factors share what they explain by least norm.

    Raises
    ------
    DataError
        If asset and factors have fewer than 30 periods in common, or than 10 a factor.
    """
    y, x = common_periods(assets, [asset], factors, names)
    needed = max(_LEAST, _LEAST_A_FACTOR * len(names))
    if len(y) < needed:
        raise DataError(f"{asset} and {', '.join(names)} have {len(y)} periods in common; at least {needed} are needed")
    centred, target = x - x.mean(axis=0), y[:, 0] - y[:, 0].mean()
    # Yields and returns differ in size by a hundred: in units of their own deviation, no factor is dropped for it.
    scale = centred.std(axis=0)
    scale[scale == 0.0] = 1.0
    found = np.linalg.lstsq(centred / scale, target, rcond=None)[0] / scale
    total = float(target @ target)
    left = target - centred @ found
    r2 = 1.0 - float(left @ left) / total if total > 0.0 else 0.0
    return Proxy(asset, tuple(names), tuple(found.tolist()), r2, len(y))
