"""What the methods share about one portfolio, computed once."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.covariance import covariance, covariance_warnings
from risk.panel import ReturnPanel
from risk.var.distribution import overlapping_returns
from risk.var.filtered import GarchFilter, fit_filter
from risk.var.parametric import StudentT, fit_student_t
from trader.core.errors import DataError

__all__ = ["Sample"]

FloatArray = NDArray[np.float64]


class Sample:
    """A portfolio's past, and fits to it that several methods need.

    Parameters
    ----------
    panel : ReturnPanel
    weights : ndarray of shape (n_assets,)
        Fractions of value.
    covariance_method : str, default="sample"
        For the normal and the drawn methods; see `risk.covariance`.
    decay : float, default=0.94
        Of the exponentially weighted variance.
    age_decay : float, default=0.99
        Of the age-weighted sample.
    tail_fraction : float, default=0.1
        Share of losses in a fitted tail.
    n_paths : int, default=10_000
        Draws.
    seed : int, default=0
    """

    def __init__(
        self,
        panel: ReturnPanel,
        weights: FloatArray,
        *,
        covariance_method: str = "sample",
        decay: float = 0.94,
        age_decay: float = 0.99,
        tail_fraction: float = 0.1,
        n_paths: int = 10_000,
        seed: int = 0,
    ) -> None:
        self._options: dict[str, Any] = {
            "covariance_method": covariance_method,
            "decay": decay,
            "age_decay": age_decay,
            "tail_fraction": tail_fraction,
            "n_paths": n_paths,
            "seed": seed,
        }
        self.panel = panel
        self.weights = np.asarray(weights, np.float64)
        self.covariance_method = covariance_method
        self.decay = decay
        self.age_decay = age_decay
        self.tail_fraction = tail_fraction
        self.n_paths = n_paths
        self.seed = seed
        self.series = panel.portfolio(self.weights)
        """The portfolio's returns, shape (n_periods,)."""

    @classmethod
    def of_series(cls, returns: FloatArray, **options: Any) -> Sample:
        """Return the sample of one series of returns, shape (n_periods,); options as the class has them."""
        column = np.ascontiguousarray(returns, np.float64)[:, None]
        stamps = np.arange(len(column)).astype("datetime64[D]").astype("datetime64[ns]")
        return cls(ReturnPanel(("portfolio",), column, stamps), np.ones(1), **options)

    def overlapping(self, horizon: int) -> Sample:
        """Return the sample of overlapping returns of `horizon` periods: weights are those of their beginning."""
        columns = [overlapping_returns(column, horizon) for column in self.panel.returns.T]
        panel = ReturnPanel(
            self.panel.names, np.column_stack(columns), self.panel.stamps[horizon - 1 :], self.panel.dropped
        )
        return Sample(panel, self.weights, **self._options)

    def of_position(self, asset: int) -> Sample:
        """Return the sample of one position alone, the rest in cash."""
        panel = ReturnPanel(
            self.panel.names[asset : asset + 1],
            self.panel.returns[:, asset : asset + 1],
            self.panel.stamps,
            self.panel.dropped,
        )
        return Sample(panel, self.weights[asset : asset + 1], **self._options)

    @property
    def varies(self) -> bool:
        """Whether the portfolio's returns differ by more than rounding."""
        return float(np.ptp(self.series)) > 1e-14 * abs(float(self.series[0]))

    def check_varies(self) -> None:
        """Raise `DataError` if the portfolio's returns do not vary, so that nothing can be fitted to them."""
        if not self.varies:
            raise DataError("returns of the portfolio do not vary; only the historical methods take them")

    @functools.cached_property
    def means(self) -> FloatArray:
        """Mean return of each asset, shape (n_assets,); zeros if the covariance is exponentially weighted."""
        if self.covariance_method == "ewma":
            return np.zeros(self.panel.n_assets)
        return np.asarray(self.panel.returns.mean(axis=0), np.float64)

    @functools.cached_property
    def covariance(self) -> FloatArray:
        """Covariance of the assets, shape (n_assets, n_assets)."""
        self.check_varies()
        return covariance(self.panel.returns, self.covariance_method, decay=self.decay)

    @functools.cached_property
    def covariance_notes(self) -> tuple[str, ...]:
        """What speaks against the covariance."""
        return covariance_warnings(self.covariance, self.panel.n_periods)

    @functools.cached_property
    def student_t(self) -> StudentT:
        """A t fitted to the portfolio's returns."""
        self.check_varies()
        return fit_student_t(self.series)

    @functools.cached_property
    def garch(self) -> GarchFilter:
        """A volatility filter fitted to the portfolio's returns."""
        self.check_varies()
        return fit_filter(self.series)
