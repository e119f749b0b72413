"""P&L as a function of factors: ladders, grids, and the function itself where it is linear."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from risk.stress.history import ReturnHistory
from risk.stress.proxy import Proxy, fit_proxy
from trader.core.errors import DataError

__all__ = ["LinearBook", "Revalue", "grid", "ladder"]

FloatArray = NDArray[np.float64]
Revalue = Callable[[FloatArray], FloatArray]
"""From moves of the factors, shape (n, n_factors), to P&L, shape (n,): any pricing will do."""


@dataclasses.dataclass(frozen=True, slots=True)
class LinearBook:
    """A portfolio whose P&L is linear in factors.

    Parameters
    ----------
    factors : tuple of str
    exposures : tuple of float
        P&L, as a fraction of value, per unit of each factor.
    proxies : tuple of Proxy, default=()
        The regressions that it comes from.

    Examples
    --------
    >>> book = LinearBook(("equity", "rates"), (0.8, -2.0))
    >>> book(np.array([[-0.1, 0.01]])).round(3).tolist()
    [-0.1]
    """

    factors: tuple[str, ...]
    exposures: tuple[float, ...]
    proxies: tuple[Proxy, ...] = ()

    @classmethod
    def of(cls, history: ReturnHistory, weights: Mapping[str, float], factors: ReturnHistory) -> LinearBook:
        """Regress each asset with a weight on all factors, and add up.

        Raises
        ------
        DataError
            As `fit_proxy`, or if no asset has a weight: an exposure that is not known is not taken as zero.
        """
        proxies = tuple(
            fit_proxy(history, name, factors, factors.names) for name, weight in weights.items() if weight != 0.0
        )
        if not proxies:
            raise DataError("weights are all zero; at least one is needed")
        exposures = sum(weights[proxy.asset] * np.array(proxy.coefficients) for proxy in proxies)
        return cls(factors.names, tuple(np.asarray(exposures).tolist()), proxies)

    def __call__(self, moves: FloatArray) -> FloatArray:
        """Return the P&L of moves, shape (n, n_factors)."""
        return np.asarray(moves @ np.array(self.exposures), np.float64)


def ladder(revalue: Revalue, factors: Sequence[str], factor: str, sizes: ArrayLike) -> FloatArray:
    """Return the P&L of each size of one factor's move, the others standing still, shape (n_sizes,).

    Raises
    ------
    DataError
        If the factor is unknown or a size is not finite.
    """
    place, steps = _place(factors, factor), _sizes(sizes)
    moves = np.zeros((steps.size, len(factors)))
    moves[:, place] = steps
    return np.asarray(revalue(moves), np.float64)


def grid(
    revalue: Revalue, factors: Sequence[str], rows: tuple[str, ArrayLike], columns: tuple[str, ArrayLike]
) -> FloatArray:
    """Return the P&L of each pair of moves of two factors, shape (n_rows, n_columns).

    Raises
    ------
    DataError
        If a factor is unknown, both are the same, or a size is not finite.
    """
    one, other = _place(factors, rows[0]), _place(factors, columns[0])
    if one == other:
        raise DataError(f"factor {rows[0]!r} is given twice; a grid needs two")
    down, across = _sizes(rows[1]), _sizes(columns[1])
    moves = np.zeros((down.size, across.size, len(factors)))
    moves[..., one], moves[..., other] = down[:, None], across[None, :]
    return np.asarray(revalue(moves.reshape(-1, len(factors))), np.float64).reshape(down.size, across.size)


def _place(factors: Sequence[str], factor: str) -> int:
    if factor not in factors:
        raise DataError(f"factor {factor!r} is not known; there are {', '.join(factors)}")
    return list(factors).index(factor)


def _sizes(sizes: ArrayLike) -> FloatArray:
    found = np.atleast_1d(np.asarray(sizes, np.float64))
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise DataError(f"sizes={sizes!r} is not allowed; finite numbers are needed")
    return found
