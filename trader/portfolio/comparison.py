"""A strategy's returns beside a benchmark's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.portfolio.drawdown import drawdown_series
from trader.portfolio.returns import annual_return, annual_volatility, period_returns
from trader.validation.bootstrap import bootstrap_interval
from trader.validation.sharpe import sharpe_ratio

__all__ = ["Comparison", "Interval", "compare"]

FloatArray = NDArray[np.float64]
Interval = tuple[float, float]
"""Low and high end; NaN where they cannot be estimated."""

_MIN_FOR_INTERVAL = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """What a benchmark earned, and the strategy relative to it. Ratios and returns are annual.

    Parameters
    ----------
    name : str
        Of the benchmark.
    total_return, annual_return, annual_volatility, sharpe, max_drawdown : float
        The benchmark's own.
    beta : float
        Slope of the strategy's returns on the benchmark's; NaN if the benchmark never moved.
    alpha : float
        Annual mean return that beta does not explain (risk-free rate 0).
    correlation : float
        NaN if either never moved.
    active_return : float
        Arithmetic mean of the difference of returns, per year.
    active_return_interval : (float, float)
        Stationary-bootstrap interval of `active_return`; NaN below 20 returns.
    tracking_error : float
        Volatility of the difference.
    information_ratio : float
        Active return over tracking error; NaN without tracking error.
    sharpe_difference : float
        Strategy's Sharpe ratio less the benchmark's.
    sharpe_difference_interval : (float, float)
        Stationary-bootstrap interval that resamples both returns together.
    """

    name: str
    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe: float
    max_drawdown: float
    beta: float
    alpha: float
    correlation: float
    active_return: float
    active_return_interval: Interval
    tracking_error: float
    information_ratio: float
    sharpe_difference: float
    sharpe_difference_interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


def compare(
    name: str,
    returns: FloatArray,
    benchmark_equity: FloatArray,
    *,
    periods_per_year: float,
    level: float = 0.95,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare the returns of a strategy with a benchmark's equity at the same instants.

    Parameters
    ----------
    returns : ndarray of shape (n_returns,)
        Of the strategy; shorter than the benchmark's after ruin, whose later returns are then left out.
    benchmark_equity : ndarray of shape (n_instants,)
        Positive; `n_instants` is at least `n_returns + 1`.
    level : float, default 0.95
        Coverage of the intervals.

    References
    ----------
    Ledoit and Wolf (2008), "Robust performance hypothesis testing with the Sharpe ratio", for resampling the
    pairs of returns by blocks.
    """
    own = benchmark_equity[: returns.size + 1]
    bench = period_returns(own)
    active = returns - bench
    error = annual_volatility(active, periods_per_year)
    active_return = float(active.mean() * periods_per_year) if active.size else float("nan")
    beta, alpha, correlation = _regression(returns, bench, periods_per_year)
    intervals = _intervals(returns, bench, periods_per_year, level, n_resamples, seed)
    sharpe = sharpe_ratio(bench, periods_per_year)
    return Comparison(
        name=name,
        total_return=float(own[-1] / own[0] - 1.0),
        annual_return=annual_return(bench, periods_per_year),
        annual_volatility=annual_volatility(bench, periods_per_year),
        sharpe=sharpe,
        max_drawdown=float(drawdown_series(own).max()),
        beta=beta,
        alpha=alpha,
        correlation=correlation,
        active_return=active_return,
        active_return_interval=intervals["active_return"],
        tracking_error=error,
        information_ratio=active_return / error if error > 1e-12 else float("nan"),
        sharpe_difference=sharpe_ratio(returns, periods_per_year) - sharpe,
        sharpe_difference_interval=intervals["sharpe_difference"],
    )


def _regression(returns: FloatArray, bench: FloatArray, periods_per_year: float) -> tuple[float, float, float]:
    """Return beta, annual alpha and correlation; NaN where a series does not move."""
    nan = float("nan")
    if returns.size < 2 or np.ptp(bench) == 0.0:
        return nan, nan, nan
    covariance = np.cov(returns, bench, ddof=1)
    beta = float(covariance[0, 1] / covariance[1, 1])
    alpha = float((returns.mean() - beta * bench.mean()) * periods_per_year)
    if np.ptp(returns) == 0.0:
        return beta, alpha, nan
    return beta, alpha, float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def _intervals(
    returns: FloatArray, bench: FloatArray, periods_per_year: float, level: float, n_resamples: int, seed: int
) -> Mapping[str, Interval]:
    """Return the intervals of the active return and of the difference of Sharpe ratios."""
    nothing = (float("nan"), float("nan"))
    if returns.size < _MIN_FOR_INTERVAL:
        return {"active_return": nothing, "sharpe_difference": nothing}

    def mean_active(pairs: FloatArray) -> float:
        return float((pairs[:, 0] - pairs[:, 1]).mean() * periods_per_year)

    def sharpe_difference(pairs: FloatArray) -> float:
        return sharpe_ratio(pairs[:, 0], periods_per_year) - sharpe_ratio(pairs[:, 1], periods_per_year)

    pairs = np.column_stack([returns, bench])
    return {
        "active_return": bootstrap_interval(mean_active, pairs, level, n_resamples, seed),
        "sharpe_difference": bootstrap_interval(sharpe_difference, pairs, level, n_resamples, seed),
    }
