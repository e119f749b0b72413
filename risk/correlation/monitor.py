"""Correlations kept up to date, a row of returns at a time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.correlation.kernels import ewma_step, rolling_step
from risk.correlation.rolling import matrix_of, new_arrays, pair_indices
from trader.core.errors import DataError
from trader.core.snapshot import pack, restore_into

__all__ = ["CorrelationMonitor", "CorrelationReading", "read_matrix"]

FloatArray = NDArray[np.float64]

_NAMES = ("n_seen", "rows", "shift", "suffix", "prefix")


@dataclasses.dataclass(frozen=True, slots=True)
class CorrelationReading:
    r"""A correlation matrix in a few numbers; NaN where fewer than two assets vary.

    Parameters
    ----------
    n_assets : int
        Assets that vary.
    mean, lowest, highest : float
        Over pairs.
    largest_share : float
        The largest eigenvalue's share of the whole: the part of all (standardised) variance in one direction.
    effective_rank : float
        Exponential of the entropy of the eigenvalues' shares: n if nothing is correlated, 1 if all is (Roy & Vetterli
        2007).
    diversification_ratio : float
        Sum of volatilities over the portfolio's for equal risk in each asset,
        :math:`\sqrt{n / (1 + (n-1) \bar\rho)}`; its square counts independent bets (Choueifaty & Coignard 2008).
    warnings : tuple of str
        Such as assets that do not vary.
    """

    n_assets: int
    mean: float
    lowest: float
    highest: float
    largest_share: float
    effective_rank: float
    diversification_ratio: float
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self) | {"warnings": list(self.warnings)}


class CorrelationMonitor:
    """Correlations of all pairs, rolling or exponentially weighted, brought forward by one row at a time.

    Rolling ones equal those of `rolling_correlations` to the bit. Exponential ones are about a mean of zero, as
    RiskMetrics and `trader.portfolio.volatility.EwmaRisk` have them.

    Parameters
    ----------
    names : sequence of str
        The assets, at least two.
    window : int, default=60
        Periods of the rolling window, at least 3.
    decay : float, optional
        Above 0 and below 1: what the past weighs after a period, instead of a window.

    Examples
    --------
    >>> monitor = CorrelationMonitor(["A", "B"], window=3)
    >>> for row in ([0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [3.0, 4.0]):
    ...     pairs = monitor.update(np.array(row))
    >>> pairs.round(4).tolist(), round(monitor.reading().diversification_ratio, 3)
    ([0.866], 1.035)
    """

    def __init__(self, names: Sequence[str], window: int = 60, decay: float | None = None) -> None:
        self.names = tuple(names)
        if len(self.names) < 2:
            raise DataError(f"names holds {len(self.names)}; 2 or more assets are needed")
        if decay is None and window < 3:
            raise DataError(f"window={window} is not allowed; 3 or more is")
        if decay is not None and not 0.0 < decay < 1.0:
            raise DataError(f"decay={decay} is not allowed; above 0 and below 1 is")
        self._decay = decay
        n = len(self.names)
        # An exponential one needs no rows: its one array of sums is the last.
        self._arrays = new_arrays(n, window if decay is None else 0)
        self.pairs: FloatArray = np.full(n * (n - 1) // 2, np.nan)
        """Correlations in the order of `pair_indices`; NaN before the window is full, or for a constant asset."""

    @property
    def n_seen(self) -> int:
        """Rows taken so far."""
        return int(self._arrays[0][0])

    def update(self, returns: FloatArray) -> FloatArray:
        """Take the returns of one period, shape (n_assets,), and return `pairs`, which the next call overwrites.

        Raises
        ------
        DataError
            If a return is missing or the shape is another; nothing is taken in then.
        """
        row = np.array(returns, np.float64)
        taken = row.shape == (len(self.names),)
        if taken and self._decay is None:
            taken = rolling_step(row, *self._arrays, self.pairs)
        elif taken:
            taken = ewma_step(row, self._decay, self._arrays[4], self.pairs)
            self._arrays[0][0] += taken
        if not taken:
            raise DataError(f"returns {row} are not allowed; {len(self.names)} finite numbers are needed")
        return self.pairs

    def extend(self, returns: FloatArray) -> None:
        """Take several rows, shape (n_periods, n_assets), oldest first."""
        for row in returns:
            self.update(row)

    def matrix(self) -> FloatArray:
        """Return the correlation matrix, shape (n_assets, n_assets)."""
        return matrix_of(self.pairs, len(self.names))

    def reading(self) -> CorrelationReading:
        """Sum the matrix up."""
        return read_matrix(self.matrix(), self.names)

    def pair(self, first: str, second: str) -> float:
        """Return the correlation of two assets."""
        if first not in self.names or second not in self.names:
            raise DataError(f"pair {first!r}, {second!r} is not here; there are {', '.join(self.names)}")
        return float(self.matrix()[self.names.index(first), self.names.index(second)])

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        arrays = {name: pack(array) for name, array in zip(_NAMES, self._arrays, strict=True)}
        return {"names": list(self.names), "decay": self._decay, "pairs": pack(self.pairs)} | arrays

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        DataError
            If it is of other assets, another window or another decay.
        """
        if list(state["names"]) != list(self.names) or state["decay"] != self._decay:
            raise DataError(f"state is of {state['names']}, decay={state['decay']}; this monitor is of {self.names}")
        for name, array in zip(_NAMES, self._arrays, strict=True):
            restore_into(array, state[name], name)
        restore_into(self.pairs, state["pairs"], "pairs")


def read_matrix(correlation: FloatArray, names: Sequence[str]) -> CorrelationReading:
    """Sum up a correlation matrix (n, n); assets whose correlations are NaN are left out, and named in the warnings."""
    n_all = len(correlation)
    off_diagonal = np.where(np.eye(n_all, dtype=bool), np.nan, correlation)
    varies = np.asarray(np.isfinite(off_diagonal).any(axis=1), np.bool_)
    constant = [name for name, good in zip(names, varies.tolist(), strict=True) if not good]
    warnings = (f"{', '.join(constant)} did not vary; left out",) if constant else ()
    kept = correlation[np.ix_(varies, varies)]
    n = len(kept)
    if n < 2:
        nan = float("nan")
        return CorrelationReading(n, nan, nan, nan, nan, nan, nan, warnings)
    pairs = kept[pair_indices(n)]
    shares = np.maximum(np.linalg.eigvalsh(kept), 0.0)
    shares = shares[shares > 0.0] / shares.sum()
    mean = float(pairs.mean())
    variance = 1.0 + (n - 1) * mean
    return CorrelationReading(
        n,
        mean,
        float(pairs.min()),
        float(pairs.max()),
        float(shares.max()),
        float(np.exp(-(shares * np.log(shares)).sum())),
        float(np.sqrt(n / variance)) if variance > 0.0 else float("inf"),
        warnings,
    )
