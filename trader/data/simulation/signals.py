"""Planted signals: which return a symbol's next return follows, and with what sign."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError

__all__ = ["SECTOR_CORRELATION", "SIGNALS", "SignalLaw", "sector_of"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SECTOR_CORRELATION = 0.35
"""Correlation of the noise of two symbols of one sector; those of different sectors are independent."""

_ALONE = np.ones((1, 1))
_STAY = 0.98
_TURBULENT = 2.5


@dataclasses.dataclass(frozen=True, slots=True)
class SignalLaw:
    """The mean of `y[t + lag, i]`, a return over its long-run volatility, is `gain * sign[i] * y[t, leader[i]]`.

    The gain is `coefficient` times `gains[state[t, i]]`; states are Markov chains.

    Parameters
    ----------
    leader : ndarray of shape (n_symbols,)
    sign, gains : ndarray of shape (n_symbols,), (n_states,)
        1 or -1; the sign of a symbol that follows nobody is 0.
    transition : ndarray of shape (n_states, n_states)
        Of the state from one bar to the next; rows sum to one.
    shared : bool
        One state for all symbols, or one of its own for each.
    turbulence : ndarray of shape (n_states,)
        What the noise is multiplied by; its mean square is one.
    activity : ndarray of shape (n_states,)
        Added to the logarithm of volume.
    """

    leader: IntArray
    sign: FloatArray
    gains: FloatArray
    transition: FloatArray
    shared: bool
    turbulence: FloatArray
    activity: FloatArray

    def coefficient(self, strength: float) -> float:
        """Return the coefficient with which the rank information coefficient of the signal is `strength`.

        It is that of normal shocks of one volatility; tails and sectors move the measured one by up to a tenth.

        Raises
        ------
        DataError
            If symbols that nothing can be known of keep the signal from being that strong.
        """
        n_symbols = self.leader.size
        noise, signals = self._covariances()
        spread = _spread(signals)

        def correlation(middle: float) -> float:
            """Return the correlation over symbols of signals and returns, both less their means."""
            scale = self.noise_scale(middle)
            of_signals = middle**2 * spread
            return math.sqrt(of_signals / (of_signals + _spread(noise * np.outer(scale, scale))))

        most = _mean_rank_correlation(correlation(1.0), n_symbols)
        if strength >= most:
            raise DataError(f"strength={strength} is not allowed; with {n_symbols} symbols it must be below {most:.2f}")
        low, high = 0.0, 1.0
        for _ in range(50):
            middle = (low + high) / 2
            enough = _mean_rank_correlation(correlation(middle), n_symbols) >= strength
            low, high = (low, middle) if enough else (middle, high)
        return low

    def noise_scale(self, coefficient: float) -> FloatArray:
        """Return the standard deviation of the noise with which returns have variance one, shape (n_symbols,)."""
        scale: FloatArray = np.sqrt(1 - (coefficient * self.sign) ** 2)
        return scale

    def _covariances(self) -> tuple[FloatArray, FloatArray]:
        """Return the covariances over symbols of noise and of signals, both of variance one."""
        sector = sector_of(self.leader.size)
        noise = np.where(sector[:, None] == sector, SECTOR_CORRELATION, 0.0)
        np.fill_diagonal(noise, 1.0)
        signals = np.outer(self.sign, self.sign) * noise[np.ix_(self.leader, self.leader)]
        if self.gains.size > 1 and not self.shared:  # signs of states cancel between symbols
            signals = np.diag(np.diag(signals))
        return noise, signals

    def draw_states(self, n_instants: int, rng: np.random.Generator) -> IntArray:
        """Return paths of the states begun in state 0, shape (n_instants, n_symbols)."""
        n_symbols = self.leader.size
        draws = rng.random((n_instants, 1 if self.shared else n_symbols))
        cumulative = np.cumsum(self.transition, axis=1)[:, :-1]
        states = np.zeros((n_instants, n_symbols), np.int64)
        if cumulative.size:
            # Where each path would go from each state it might be in; which of these it does needs the path.
            after = (draws[:, None, :, None] >= cumulative[None, :, None, :]).sum(axis=3)
            now, own = np.zeros(draws.shape[1], np.int64), np.arange(draws.shape[1])
            for row, choices in enumerate(after):
                now = choices[now, own]
                states[row] = now
        return states


def sector_of(n_symbols: int) -> IntArray:
    """Return the sector, 0 or 1, of each symbol."""
    return np.arange(n_symbols) % 2


def _momentum(n_symbols: int, rng: np.random.Generator) -> SignalLaw:  # noqa: ARG001 - all have the same form
    return _of_own_return(n_symbols)


def _lead_lag(n_symbols: int, rng: np.random.Generator) -> SignalLaw:
    """Return the law by which a fifth of the symbols lead the others, half of these with the sign reversed.

    Leaders follow nobody, and lead symbols of the other sector. So nothing that is known of a symbol alone tells
    anything of its return; and as signs cancel in the mean over symbols, which is taken out of a target, that
    holds for leaders too. (They cancel exactly where every leader has an even number of followers, as among ten
    symbols.)
    """
    order = rng.permutation(n_symbols)
    sides = [order[sector_of(n_symbols)[order] == side] for side in (0, 1)]
    leader, sign = np.arange(n_symbols), np.zeros(n_symbols)
    for side, other in ((sides[0], sides[1]), (sides[1], sides[0])):
        followers = side[_n_leaders(side) :]
        place = np.arange(followers.size)
        leader[followers] = other[place // 2 % _n_leaders(other)]
        sign[followers] = np.where(place % 2 == 0, 1.0, -1.0)
    return dataclasses.replace(_of_own_return(n_symbols), leader=leader, sign=sign)


def _n_leaders(sector: IntArray) -> int:
    return max(1, sector.size // 5)


def _volume(n_symbols: int, rng: np.random.Generator) -> SignalLaw:  # noqa: ARG001 - all have the same form
    """Return the law by which moves with high volume continue and those with low volume reverse, half of each."""
    return dataclasses.replace(
        _of_own_return(n_symbols),
        gains=np.array([1.0, -1.0]),
        transition=np.full((2, 2), 0.5),
        turbulence=np.ones(2),
        activity=np.array([0.6, -0.6]),
    )


def _regime(n_symbols: int, rng: np.random.Generator) -> SignalLaw:  # noqa: ARG001 - all have the same form
    """Return the law of calm markets that continue and turbulent ones that reverse, each for 50 bars on average."""
    multipliers = np.array([1.0, _TURBULENT])
    return dataclasses.replace(
        _of_own_return(n_symbols),
        gains=np.array([1.0, -1.0]),
        transition=np.array([[_STAY, 1 - _STAY], [1 - _STAY, _STAY]]),
        shared=True,
        turbulence=multipliers / np.sqrt(np.mean(multipliers**2)),
        activity=np.zeros(2),
    )


SIGNALS: dict[str, Callable[[int, np.random.Generator], SignalLaw]] = {
    "momentum": _momentum,
    "lead_lag": _lead_lag,
    "volume": _volume,
    "regime": _regime,
}
"""Laws by `PlantedSettings.signal`: from the number of symbols and a random stream."""


def _of_own_return(n_symbols: int) -> SignalLaw:
    one = np.ones(1)
    return SignalLaw(np.arange(n_symbols), np.ones(n_symbols), one, _ALONE, True, one, np.zeros(1))


def _spread(covariance: FloatArray) -> float:
    """Return the mean variance of what is left of variables when their common mean is taken out."""
    return float(np.diag(covariance).mean() - covariance.mean())


def _mean_rank_correlation(correlation: float, n: int) -> float:
    """Return the mean rank correlation of samples of `n` normal pairs [1]_.

    References
    ----------
    .. [1] Moran (1948), "Rank correlation and product-moment correlation", Biometrika 35.
    """
    return 6 / (math.pi * (n + 1)) * (math.asin(correlation) + (n - 2) * math.asin(correlation / 2))
