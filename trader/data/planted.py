"""Markets with a planted signal, and the best forecast that can be made of them: the proof that a model learns.

A return of symbol i, in units of its long-run volatility, is

    y[t, i] = rho * g * sign[i] * y[t - lag, leader[i]]  +  sqrt(1 - rho^2 sign[i]^2) * m * e[t, i]

with g = 1 or -1 by the state of the market or symbol at `t - lag`, and m the volatility of the regime at t. The
noise e has variance one, Student-t shocks, GARCH(1,1) volatility [1]_, and is correlated within two sectors. Four
laws (`trader.data.simulation.signals`) choose leaders, signs and states.

References
----------
.. [1] Bollerslev (1986), "Generalized autoregressive conditional heteroskedasticity", Journal of Econometrics 31.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.market import BAR_FIELDS, BarPanel, Universe
from trader.data.simulated import session_stamps
from trader.data.simulation.blocks import bridge_extremes
from trader.data.simulation.law import SESSION_MINUTES, DayShape, SymbolLaw, draw_symbols, generator
from trader.data.simulation.signals import SECTOR_CORRELATION, SIGNALS, SignalLaw, sector_of
from trader.settings import PlantedSettings

__all__ = ["PlantedMarket", "plant"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SYMBOLS, _LAW, _STATES, _SECTORS, _OWN, _HIGHS, _LOWS, _ACTIVITY = range(10, 18)
_BURN_IN = 500
_TAIL_DF = 6.0
_GARCH_SHOCK, _GARCH_MEMORY = 0.06, 0.92
_ACTIVITY_STD = 0.3


@dataclasses.dataclass(frozen=True, slots=True)
class PlantedMarket:
    """A market whose expected returns are known; `plant` draws one.

    Parameters
    ----------
    panel : BarPanel
        Open, high, low, close and volume of every symbol at every instant.
    universe : Universe
    law : SignalLaw
        Who follows whom.
    coefficient : float
        `rho` above.
    lag : int
    volatility : ndarray of shape (n_symbols,)
        Long-run standard deviation of the log return of a bar.
    moves : ndarray of shape (n_past + n_instants, n_symbols)
        Log returns over `volatility`; the first rows are the past of the first instant.
    states : ndarray of shape (n_past + n_instants, n_symbols)
        Of the law, hidden from whoever sees the bars alone.
    """

    panel: BarPanel
    universe: Universe
    law: SignalLaw
    coefficient: float
    lag: int
    volatility: FloatArray
    moves: FloatArray
    states: IntArray

    def oracle(self, horizon: int = 1, delay: int = 1) -> FloatArray:
        """Return the mean of the log return from `delay` to `delay + horizon` bars ahead, given all until now.

        It knows the law, the state of the market and every return up to the instant, and nothing later.

        Parameters
        ----------
        horizon, delay : int
            Bars; at least 1 and 0. With ``delay >= lag`` little is left to know.

        Returns
        -------
        ndarray of shape (n_instants, n_symbols)
            Known at every instant, for it is an expectation.
        """
        if horizon < 1 or delay < 0:
            raise DataError(f"horizon={horizon}, delay={delay} are not allowed; at least 1 and 0 are")
        means = self._conditional_means(delay + horizon)
        total: FloatArray = self.volatility * np.sum(means[delay:], axis=0)
        return total

    def _conditional_means(self, n_ahead: int) -> list[FloatArray]:
        """Return the mean of `moves` 1 to `n_ahead` bars after each instant.

        The recursion carries the mean split by the state it comes with: parts[i][s] is the mean of
        ``moves[t + i] * (state[t + i] == s)``.
        """
        law, n_past = self.law, self.moves.shape[0] - len(self.panel)
        n_states = law.gains.size
        here = self.states[n_past:]
        parts: list[list[FloatArray]] = []
        far = np.linalg.matrix_power(law.transition, self.lag)
        for ahead in range(1, n_ahead + 1):
            if ahead <= self.lag:
                rows = slice(n_past + ahead - self.lag, self.moves.shape[0] + ahead - self.lag)
                gain = law.gains[self.states[rows]]
                mean = self.coefficient * gain * law.sign * self.moves[rows][:, law.leader]
                chance = np.linalg.matrix_power(law.transition, ahead)
                parts.append([mean * chance[here, state] for state in range(n_states)])
            else:
                before = [part[:, law.leader] for part in parts[ahead - self.lag - 1]]
                parts.append(
                    [
                        self.coefficient
                        * law.sign
                        * sum((law.gains[s] * far[s, state] * before[s] for s in range(n_states)), np.zeros(here.shape))
                        for state in range(n_states)
                    ]
                )
        return [np.sum(split, axis=0) for split in parts]


def plant(settings: PlantedSettings, *, seed: int) -> PlantedMarket:
    """Draw a market.

    Parameters
    ----------
    settings : PlantedSettings
        The signal, its strength and the size of the market.
    seed : int
        Equal seeds and settings give equal bits; a longer market begins with the shorter one.

    Raises
    ------
    DataError
        If so few symbols cannot carry a signal of that strength.
    """
    n_symbols, n_instants = settings.n_symbols, settings.n_days
    n_rows = _BURN_IN + n_instants
    symbols = draw_symbols(n_symbols, generator(seed, _SYMBOLS))
    law = SIGNALS[settings.signal](n_symbols, generator(seed, _LAW))
    coefficient = law.coefficient(settings.strength)
    states = law.draw_states(n_rows, generator(seed, _STATES))
    noise, spread = _garch(_shocks(n_rows, n_symbols, seed))
    scale = law.noise_scale(coefficient) * law.turbulence[states]
    moves = _follow(law, coefficient, settings.lag, states, scale * noise)
    shown = slice(_BURN_IN, None)
    panel = _panel(symbols, moves[shown], (scale * spread)[shown], law.activity[states[shown]], seed)
    width = max(2, len(str(n_symbols - 1)))
    return PlantedMarket(
        panel=panel,
        universe=Universe(tuple(f"SIM{i:0{width}d}" for i in range(n_symbols))),
        law=law,
        coefficient=coefficient,
        lag=settings.lag,
        volatility=symbols.daily_volatility,
        moves=moves,
        states=states,
    )


def _shocks(n_rows: int, n_symbols: int, seed: int) -> FloatArray:
    """Return Student-t shocks of variance one, correlated within sectors."""
    unit = np.sqrt((_TAIL_DF - 2) / _TAIL_DF)
    sectors = generator(seed, _SECTORS).standard_t(_TAIL_DF, (n_rows, 2))[:, sector_of(n_symbols)]
    own = generator(seed, _OWN).standard_t(_TAIL_DF, (n_rows, n_symbols))
    mixed: FloatArray = unit * (np.sqrt(SECTOR_CORRELATION) * sectors + np.sqrt(1 - SECTOR_CORRELATION) * own)
    return mixed


def _garch(shocks: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return noise of variance one with clustered volatility, and that volatility."""
    variance = np.ones(shocks.shape)
    growth = _GARCH_SHOCK * shocks**2 + _GARCH_MEMORY
    base = 1 - _GARCH_SHOCK - _GARCH_MEMORY
    for row in range(1, shocks.shape[0]):
        np.multiply(growth[row - 1], variance[row - 1], out=variance[row])
        variance[row] += base
    volatility = np.sqrt(variance)
    return volatility * shocks, volatility


def _follow(law: SignalLaw, coefficient: float, lag: int, states: IntArray, noise: FloatArray) -> FloatArray:
    """Return noise plus what follows from the moves `lag` bars before."""
    moves = noise.copy()
    factor = coefficient * law.gains[states] * law.sign
    # What `lag` rows follow from is complete before the first of them, so they are computed together.
    for first in range(lag, moves.shape[0], lag):
        rows = moves[first : first + lag]
        past = slice(first - lag, first - lag + rows.shape[0])
        rows += factor[past] * moves[past, law.leader]
    return moves


def _panel(symbols: SymbolLaw, moves: FloatArray, volatility: FloatArray, activity: FloatArray, seed: int) -> BarPanel:
    """Return daily bars with these moves; prices between open and close are Brownian bridges."""
    shape = moves.shape
    log_close = np.log(symbols.first_price) + np.cumsum(symbols.daily_volatility * moves, axis=0)
    log_open = np.vstack([np.log(symbols.first_price), log_close[:-1]])
    up, down = (generator(seed, stream).random(shape) for stream in (_HIGHS, _LOWS))
    high, low = bridge_extremes(log_open, log_close, symbols.daily_volatility * volatility, up, down)
    open_, close = np.exp(log_open), np.exp(log_close)
    own = activity + _ACTIVITY_STD * generator(seed, _ACTIVITY).standard_normal(shape)
    opened, ts_ns = session_stamps(shape[0], DayShape.of(SESSION_MINUTES, overnight_share=0.0))
    known = {
        "open": open_,
        # exp rounds: the extremes must still contain both ends.
        "high": np.maximum(np.exp(high), np.maximum(open_, close)),
        "low": np.minimum(np.exp(low), np.minimum(open_, close)),
        "close": close,
        "volume": np.ceil(symbols.daily_volume * np.exp(own)),
    }
    unknown = np.full(shape, np.nan)
    fields = {name: known.get(name, unknown) for name in BAR_FIELDS}
    return BarPanel(ts_ns=ts_ns, ts_open_ns=np.repeat(opened[:, None], shape[1], axis=1), **fields)
