"""What the simulated market is made of: parameters of the symbols, of the day and of the regimes."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "IMBALANCE_STD",
    "MEAN_ABSOLUTE_SIGNAL",
    "SESSION_MINUTES",
    "DayShape",
    "MarketLaw",
    "SymbolLaw",
    "draw_symbols",
    "generator",
]

FloatArray = NDArray[np.float64]

SESSION_MINUTES = 390
IMBALANCE_STD = 1 / 3
"""Imbalance is 2 B - 1 with B ~ Beta(4, 4): symmetric, inside (-1, 1), variance 1/9."""
MEAN_ABSOLUTE_SIGNAL = 105 / 128
"""E|z| of z = imbalance / IMBALANCE_STD: 3 * 35/32 * 2 * integral of x (1 - x^2)^3 over (0, 1)."""


@dataclasses.dataclass(frozen=True, slots=True)
class MarketLaw:
    """Constants of the market as a whole. Returns are logarithmic.

    Regimes multiply volatility; they change between days by a Markov chain.
    """

    regime_multipliers: tuple[float, ...] = (0.65, 1.0, 2.2)
    regime_stay: tuple[float, ...] = (0.985, 0.98, 0.95)
    """Probability of staying to the next day; leaving goes to a neighbouring regime."""
    tail_df: float = 5.0
    """Degrees of freedom of the Student-t shocks, of the market and of each symbol."""
    jumps_per_day: float = 0.02
    """Expected jumps of a symbol in a day."""
    jump_share: float = 0.05
    """Share of the variance that jumps carry."""
    overnight_share: float = 0.2
    """Share of a day's variance between the close and the next open."""
    annual_drift: float = 0.05

    def transition(self) -> FloatArray:
        """Return the matrix of daily regime changes, shape (n_regimes, n_regimes), rows summing to one."""
        n = len(self.regime_stay)
        matrix = np.zeros((n, n))
        for here, stay in enumerate(self.regime_stay):
            neighbours = [there for there in (here - 1, here + 1) if 0 <= there < n]
            matrix[here, neighbours] = (1 - stay) / len(neighbours)
            matrix[here, here] = stay
        return matrix

    def stationary(self) -> FloatArray:
        """Return the long-run probability of each regime, shape (n_regimes,)."""
        matrix = self.transition()
        n = matrix.shape[0]
        equations = np.vstack([matrix.T - np.eye(n), np.ones(n)])
        return np.asarray(np.linalg.lstsq(equations, np.r_[np.zeros(n), 1.0], rcond=None)[0])

    def daily_multipliers(self, n_days: int, rng: np.random.Generator) -> FloatArray:
        """Return a path of volatility multipliers, shape (n_days,), begun in the stationary law.

        The path is scaled to a mean square of one: regimes last for months, and otherwise a market's volatility, and
        with it the planted correlation, would depend on which of them it happened to meet.
        """
        cumulative = np.cumsum(self.transition(), axis=1)
        regime = int(np.searchsorted(np.cumsum(self.stationary()), rng.random()))
        path = np.empty(n_days, np.int64)
        for day, draw in enumerate(rng.random(n_days)):
            path[day] = regime
            regime = min(int(np.searchsorted(cumulative[regime], draw)), len(self.regime_stay) - 1)
        multipliers = np.array(self.regime_multipliers)[path]
        return np.asarray(multipliers / np.sqrt(np.mean(multipliers**2)))


@dataclasses.dataclass(frozen=True, slots=True)
class SymbolLaw:
    """Constants of the symbols, each of shape (n_symbols,)."""

    first_price: FloatArray
    daily_volatility: FloatArray
    market_loading: FloatArray
    """Correlation of a symbol's shock with the market's."""
    daily_volume: FloatArray
    spread_bps: FloatArray
    trade_size: FloatArray


@dataclasses.dataclass(frozen=True, slots=True)
class DayShape:
    """How a day is cut into bars, each of shape (n_bars,).

    `edges` has shape (n_bars + 1,), minutes after the open. Volatility and volume are high at the open and the close
    and low at noon: the density at the fraction x of the session is proportional to 1 + c (2 x - 1)^2.
    """

    edges: FloatArray
    variance_share: FloatArray
    """Of a day's variance, the overnight part counted to the first bar; sums to one."""
    overnight_part: FloatArray
    """Of the bar's own variance: what falls before its first price."""
    volume_share: FloatArray

    @classmethod
    def of(cls, bar_minutes: int, overnight_share: float) -> DayShape:
        """Cut the session into bars of `bar_minutes`; the last one is shorter if they do not divide it."""
        edges = np.append(np.arange(0, SESSION_MINUTES, bar_minutes), SESSION_MINUTES).astype(np.float64)
        variance = _u_shape(edges / SESSION_MINUTES, 1.5) * (1 - overnight_share)
        variance[0] += overnight_share
        overnight = np.zeros(variance.size)
        overnight[0] = overnight_share / variance[0]
        return cls(edges, variance, overnight, _u_shape(edges / SESSION_MINUTES, 3.0))


def _u_shape(fractions: FloatArray, curvature: float) -> FloatArray:
    integral = fractions + curvature * (2 * fractions - 1) ** 3 / 6
    return np.asarray(np.diff(integral) / (integral[-1] - integral[0]))


def draw_symbols(n_symbols: int, rng: np.random.Generator) -> SymbolLaw:
    """Draw the constants of the symbols."""
    return SymbolLaw(
        first_price=np.exp(rng.uniform(np.log(20.0), np.log(200.0), n_symbols)),
        daily_volatility=rng.uniform(0.010, 0.025, n_symbols),
        market_loading=rng.uniform(0.35, 0.75, n_symbols),
        daily_volume=np.exp(rng.normal(np.log(3e6), 0.7, n_symbols)),
        spread_bps=rng.uniform(1.0, 6.0, n_symbols),
        trade_size=rng.uniform(80.0, 250.0, n_symbols),
    )


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the random stream of one purpose: streams of different keys are independent."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
