"""What a run earned, after costs, and how sure one may be of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.orders import FillBatch
from trader.portfolio.comparison import Comparison, Interval, compare
from trader.portfolio.drawdown import Drawdown, max_drawdown
from trader.portfolio.returns import (
    annual_return,
    annual_volatility,
    day_returns,
    moments,
    period_returns,
    sortino_ratio,
)
from trader.portfolio.trading import Costs, Exposure, cost_breakdown, exposure, exposure_summary
from trader.validation.bootstrap import bootstrap_interval
from trader.validation.ic import hit_rate
from trader.validation.sharpe import deflated_sharpe, probabilistic_sharpe, sharpe_ratio

__all__ = ["Performance", "performance"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NAN = float("nan")
_MIN_FOR_INTERVAL = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """The figures of a run. Returns are fractions, after all costs; NaN is "not defined", never zero.

    Parameters
    ----------
    start_ns, end_ns : int
        First and last instant; `start_ns` is when the initial equity stood.
    n_periods : int
        Returns between instants.
    n_days : int
        Returns between days.
    periods_per_year : float
        By which everything annual was scaled.
    initial_equity, final_equity, pnl : float
        In currency.
    ruined_ns : int or None
        When equity first fell to zero or below; statistics of returns end there, with a return of -1.
    total_return, annual_return : float
        Over the run, and compounded per year.
    annual_volatility, sharpe, sortino : float
        The risk-free rate is 0.
    sharpe_interval : (float, float)
        By stationary bootstrap; NaN below 20 returns.
    interval_level : float
        Coverage of all intervals.
    calmar : float
        Annual return over the deepest drawdown; NaN without one.
    drawdown : Drawdown
    skew, excess_kurtosis : float
        Of period returns, by population moments.
    best_day, worst_day : float
        Largest and smallest return of a UTC day.
    hit_rate_days : float
        Share of days with a return that gained, among those with a return other than 0.
    hit_rate_signals : float
        Share of scores with the sign of the outcome, all names.
    probabilistic_sharpe : float
        Probability that the true Sharpe ratio is above 0.
    deflated_sharpe : float
        Probability that it is above what the best of `n_trials` worthless strategies would show.
    n_trials : int
    exposure : Exposure
    turnover : float
        Value traded per year, both sides, over mean equity.
    n_fills : int
    costs : Costs
    benchmarks : tuple of Comparison
    """

    start_ns: int
    end_ns: int
    n_periods: int
    n_days: int
    periods_per_year: float
    initial_equity: float
    final_equity: float
    pnl: float
    ruined_ns: int | None
    total_return: float
    annual_return: float
    annual_volatility: float
    sharpe: float
    sharpe_interval: Interval
    interval_level: float
    sortino: float
    calmar: float
    drawdown: Drawdown
    skew: float
    excess_kurtosis: float
    best_day: float
    worst_day: float
    hit_rate_days: float
    hit_rate_signals: float
    probabilistic_sharpe: float
    deflated_sharpe: float
    n_trials: int
    exposure: Exposure
    turnover: float
    n_fills: int
    costs: Costs
    benchmarks: tuple[Comparison, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, nested as the parts are; NaN stays NaN."""
        return dataclasses.asdict(self)


def performance(
    ts_ns: IntArray,
    equity: FloatArray,
    *,
    positions: FloatArray,
    prices: FloatArray,
    fills: FillBatch,
    score: FloatArray | None = None,
    outcome: FloatArray | None = None,
    periods_per_year: float = 252.0,
    n_trials: int = 1,
    seed: int = 0,
    level: float = 0.95,
    n_resamples: int = 1000,
    benchmarks: Mapping[str, FloatArray] = MappingProxyType({}),
) -> Performance:
    """Return the performance of a run.

    Parameters
    ----------
    ts_ns : ndarray of shape (n_instants,)
        Strictly increasing, UTC nanoseconds.
    equity : ndarray of shape (n_instants,)
        After costs; finite. The first is the capital the run began with, and is above 0.
    positions, prices : ndarray of shape (n_instants, n_symbols)
        Units held and last known prices at those instants; prices may be NaN where nothing is held.
    fills : FillBatch
        All executions of the run.
    score, outcome : ndarray of shape (n_instants, n_symbols), optional
        Scores of the ensemble and what they are judged by, such as the returns that followed; NaN is left out.
    periods_per_year : float, default 252
        Instants per year.
    n_trials : int, default 1
        Strategies tried before this one was kept.
    seed : int
        Of the bootstrap.
    benchmarks : mapping of str to ndarray of shape (n_instants,)
        Equity of each benchmark at the same instants.

    Raises
    ------
    DataError
        If there is no instant, stamps do not increase, shapes differ, or equity is not finite or does not
        start above 0.

    References
    ----------
    Bailey and López de Prado (2012), "The Sharpe ratio efficient frontier"; (2014), "The deflated Sharpe
    ratio". Politis and Romano (1994), "The stationary bootstrap".
    """
    _check(ts_ns, equity, positions, prices, benchmarks)
    returns = period_returns(equity)
    _, days = day_returns(ts_ns, equity)
    initial, final = float(equity[0]), float(equity[-1])
    ruin = np.flatnonzero(equity <= 0.0)
    drawdown = max_drawdown(ts_ns, equity)
    growth = annual_return(returns, periods_per_year)
    skew, kurtosis = moments(returns)
    moved = days[days != 0.0]
    gross, net = exposure(positions, prices, equity)
    costs = cost_breakdown(fills, final - initial)
    resampling: dict[str, Any] = {"level": level, "n_resamples": n_resamples, "seed": seed}
    return Performance(
        start_ns=int(ts_ns[0]),
        end_ns=int(ts_ns[-1]),
        n_periods=int(returns.size),
        n_days=int(days.size),
        periods_per_year=float(periods_per_year),
        initial_equity=initial,
        final_equity=final,
        pnl=final - initial,
        ruined_ns=int(ts_ns[ruin[0]]) if ruin.size else None,
        total_return=-1.0 if ruin.size else final / initial - 1.0,
        annual_return=growth,
        annual_volatility=annual_volatility(returns, periods_per_year),
        sharpe=sharpe_ratio(returns, periods_per_year),
        sharpe_interval=_sharpe_interval(returns, periods_per_year, resampling),
        interval_level=level,
        sortino=sortino_ratio(returns, periods_per_year),
        calmar=growth / drawdown.depth if drawdown.depth > 0.0 else _NAN,
        drawdown=drawdown,
        skew=skew,
        excess_kurtosis=kurtosis,
        best_day=float(days.max()) if days.size else _NAN,
        worst_day=float(days.min()) if days.size else _NAN,
        hit_rate_days=float(np.mean(moved > 0.0)) if moved.size else _NAN,
        hit_rate_signals=_NAN if score is None or outcome is None else hit_rate(score, outcome),
        probabilistic_sharpe=probabilistic_sharpe(returns),
        deflated_sharpe=deflated_sharpe(returns, n_trials),
        n_trials=n_trials,
        exposure=exposure_summary(gross, net),
        turnover=_turnover(costs.traded_value, equity, periods_per_year),
        n_fills=len(fills),
        costs=costs,
        benchmarks=tuple(
            compare(name, returns, curve, periods_per_year=periods_per_year, **resampling)
            for name, curve in benchmarks.items()
        ),
    )


def _check(
    ts_ns: IntArray, equity: FloatArray, positions: FloatArray, prices: FloatArray, benchmarks: Mapping[str, FloatArray]
) -> None:
    """Refuse what no figure could be made of."""
    if not ts_ns.size or ts_ns.shape != equity.shape:
        raise DataError(f"ts_ns has shape {ts_ns.shape}, equity {equity.shape}; equal and at least one row are needed")
    if not (np.diff(ts_ns) > 0).all():
        raise DataError("ts_ns must be strictly increasing")
    if not np.isfinite(equity).all() or equity[0] <= 0.0:
        raise DataError(f"equity must be finite and start above 0; it starts at {equity[0]}")
    if positions.shape != prices.shape or positions.shape[0] != ts_ns.size:
        raise DataError(
            f"positions {positions.shape} and prices {prices.shape} need one row per instant ({ts_ns.size})"
        )
    for name, curve in benchmarks.items():
        if curve.shape != equity.shape:
            raise DataError(f"benchmark {name!r} has shape {curve.shape}; equity has {equity.shape}")


def _sharpe_interval(returns: FloatArray, periods_per_year: float, resampling: Mapping[str, Any]) -> Interval:
    if returns.size < _MIN_FOR_INTERVAL:
        return _NAN, _NAN
    return bootstrap_interval(lambda sample: sharpe_ratio(sample, periods_per_year), returns, **resampling)


def _turnover(traded_value: float, equity: FloatArray, periods_per_year: float) -> float:
    """Return value traded per year over mean equity; NaN for a single instant or where that mean is not above 0."""
    mean = float(equity.mean())
    if equity.size < 2 or mean <= 0.0:
        return _NAN
    return traded_value / mean * periods_per_year / (equity.size - 1)
