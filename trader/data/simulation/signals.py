"""Planted signals: which return a symbol's next return follows, and with what sign."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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
        1 or -1.
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

        Over symbols only deviations from the mean count. With the mean pairwise correlations `c` of the signals
        and `e` of the noise, a coefficient of ``rho`` gives the correlation
        ``rho sqrt((1 - c) / (1 - rho^2 c - (1 - rho^2) e))``, which is solved for `rho`. It is that of normal
        shocks of one volatility; tails and sectors move the measured one by up to a tenth.
        """
        n = self.leader.size
        pairs = n * (n - 1)
        sector = sector_of(n)
        noise = SECTOR_CORRELATION * (sector[:, None] == sector)
        np.fill_diagonal(noise, 0.0)
        of_noise = float(noise.sum()) / pairs
        # Signs of states cancel between symbols that have states of their own.
        independent = self.gains.size > 1 and not self.shared
        signals = noise[np.ix_(self.leader, self.leader)] * np.outer(self.sign, self.sign)
        of_signals = 0.0 if independent else float(signals.sum()) / pairs
        linear = _correlation_of_rank(strength, n)
        return linear * math.sqrt((1 - of_noise) / ((1 - of_signals) - linear**2 * (of_noise - of_signals)))

    def draw_states(self, n_instants: int, rng: np.random.Generator) -> IntArray:
        """Return paths of the states begun in state 0, shape (n_instants, n_symbols)."""
        n_symbols = self.leader.size
        draws = rng.random((n_instants, 1 if self.shared else n_symbols))
        cumulative = np.cumsum(self.transition, axis=1)[:, :-1]
        states = np.zeros((n_instants, n_symbols), np.int64)
        now = np.zeros(draws.shape[1], np.int64)
        if cumulative.size:
            for row, draw in enumerate(draws):
                now = (draw[:, None] >= cumulative[now]).sum(axis=1)
                states[row] = now
        return states


def sector_of(n_symbols: int) -> IntArray:
    """Return the sector, 0 or 1, of each symbol."""
    return np.arange(n_symbols) % 2


def _momentum(n_symbols: int, rng: np.random.Generator) -> SignalLaw:  # noqa: ARG001 - all have the same form
    return _of_own_return(n_symbols)


def _lead_lag(n_symbols: int, rng: np.random.Generator) -> SignalLaw:
    """Return the law by which each symbol follows one of the other sector, half of them with the sign reversed.

    So nothing that is known of the symbol alone tells anything: its return is independent of its leader's, and
    with as many signs of each kind the mean over symbols, which is taken out of a target, tells nothing either.
    """
    order = rng.permutation(n_symbols)
    sides = [order[sector_of(n_symbols)[order] == side] for side in (0, 1)]
    leader = np.empty(n_symbols, np.int64)
    sign = np.empty(n_symbols)
    for side, (followers, leaders) in enumerate(((sides[0], sides[1]), (sides[1], sides[0]))):
        place = np.arange(followers.size)
        leader[followers] = leaders[(place + side) % leaders.size]
        sign[followers] = np.where((place + side) % 2 == 0, 1.0, -1.0)
    return dataclasses.replace(_of_own_return(n_symbols), leader=leader, sign=sign)


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


def _correlation_of_rank(rank: float, n: int) -> float:
    """Return the correlation of normal pairs of which a sample of `n` has that mean rank correlation [1]_.

    References
    ----------
    .. [1] Moran (1948), "Rank correlation and product-moment correlation", Biometrika 35.
    """

    def mean_rank(linear: float) -> float:
        return 6 / (math.pi * (n + 1)) * (math.asin(linear) + (n - 2) * math.asin(linear / 2))

    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_rank(middle) < rank else (low, middle)
    return low
