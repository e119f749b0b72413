"""Statistical process control: Shewhart, EWMA and CUSUM charts, and how long they run before a false alarm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from risk.anomaly.base import ScaledDetector
from risk.anomaly.kernels import chart
from trader.core.errors import DataError

__all__ = ["Cusum", "EwmaChart", "Shewhart", "cusum_run_length", "ewma_run_length", "shewhart_run_length"]

FloatArray = NDArray[np.float64]


class _Chart(ScaledDetector):
    """Two sides a feature, brought forward by `chart`."""

    _weight = 1.0
    _slack = 0.0

    def _learn(self, scaled: FloatArray) -> None:
        pass

    def _remember(self, memory: Sequence[FloatArray]) -> None:
        self._above, self._below = memory or (np.zeros(len(self.names)), np.zeros(len(self.names)))

    def _memory(self) -> list[FloatArray]:
        return [self._above.copy(), self._below.copy()]

    def _measure(self, scaled: FloatArray) -> FloatArray:
        return np.asarray(chart(scaled, self._above, self._below, self._weight, self._slack), np.float64)


class Shewhart(_Chart):
    """Alarms when one feature is too far from its level; sees jumps at once and slow changes hardly."""

    kind: ClassVar[str] = "shewhart"

    def _measure(self, scaled: FloatArray) -> FloatArray:
        return np.abs(scaled)


class EwmaChart(_Chart):
    """Alarms when the exponentially weighted mean of a feature is too far from its level (Roberts 1959).

    Parameters
    ----------
    names, halflife, false_alarms
        As `ScaledDetector`.
    weight : float, default=0.5
        Of the newest row; above 0, at most 1.
    """

    kind: ClassVar[str] = "ewma"

    def __init__(
        self, names: Sequence[str], *, halflife: float = 60.0, false_alarms: float = 1.0, weight: float = 0.5
    ) -> None:
        if not 0.0 < weight <= 1.0:
            raise DataError(f"weight={weight} is not allowed; above 0 and at most 1 is")
        super().__init__(names, halflife=halflife, false_alarms=false_alarms)
        self._weight = weight
        self._begin()


class Cusum(_Chart):
    """Alarms when deviations beyond an allowance add up, up or down (Page 1954).

    Parameters
    ----------
    names, halflife, false_alarms
        As `ScaledDetector`.
    slack : float, default=2.5
        The allowance, in deviations; at least 0. Half of the shift that matters is best.
    """

    kind: ClassVar[str] = "cusum"

    def __init__(
        self, names: Sequence[str], *, halflife: float = 60.0, false_alarms: float = 1.0, slack: float = 2.5
    ) -> None:
        if not slack >= 0.0:
            raise DataError(f"slack={slack} is not allowed; 0 or more is")
        super().__init__(names, halflife=halflife, false_alarms=false_alarms)
        self._weight, self._slack = 0.0, slack
        self._begin()


def shewhart_run_length(limit: float, shift: float = 0.0) -> float:
    """Return the mean number of independent standard normal values, `shift` off, until one is beyond ±`limit`.

    >>> round(shewhart_run_length(3.0), 1), round(shewhart_run_length(3.0, 1.0), 1)
    (370.4, 43.9)
    """
    return 1.0 / float(ndtr(-limit - shift) + ndtr(shift - limit))


def ewma_run_length(limit: float, weight: float, shift: float = 0.0, n_states: int = 201) -> float:
    """Return the mean run length of an EWMA chart with limits ±`limit` of its asymptotic deviations.

    By the Markov chain of Lucas and Saccucci (1990), Technometrics 32; `n_states` is odd.

    >>> round(ewma_run_length(2.814, 0.1), 0), round(ewma_run_length(2.814, 0.1, 1.0), 1)
    (499.0, 10.3)
    """
    edge = limit * math.sqrt(weight / (2.0 - weight))
    bounds = np.linspace(-edge, edge, n_states + 1)
    centres = (bounds[1:] + bounds[:-1]) / 2.0
    needed = (bounds[None] - (1.0 - weight) * centres[:, None]) / weight - shift
    return _run_length(needed, n_states // 2)


def cusum_run_length(limit: float, slack: float, shift: float = 0.0, n_states: int = 201) -> float:
    """Return the mean run length of a two-sided CUSUM chart with allowance `slack` that begins at 0.

    Each side by the Markov chain of Brook and Evans (1972), Biometrika 59; both by 1/ARL = 1/ARL⁺ + 1/ARL⁻ (Montgomery,
    *Introduction to statistical quality control*, chapter 9).

    >>> round(cusum_run_length(4.0, 0.5)), round(cusum_run_length(4.0, 0.5, 1.0), 2)
    (168, 8.38)
    """
    # The lowest state is centred on 0: all that falls below stays there.
    width = 2.0 * limit / (2 * n_states - 1)
    centres = width * np.arange(n_states)
    bounds = np.concatenate([[-np.inf], centres + width / 2.0])
    rates = [1.0 / _run_length(bounds[None] - centres[:, None] + slack - side, 0) for side in (shift, -shift)]
    return 1.0 / sum(rates)


def _run_length(needed: FloatArray, start: int) -> float:
    """Return the mean steps to leave all states from state `start`.

    `needed` (n_states, n_states + 1) holds what a standard normal has to be to come from a state to each bound.
    """
    moves = np.diff(ndtr(needed), axis=1)
    return float(np.linalg.solve(np.eye(len(moves)) - moves, np.ones(len(moves)))[start])
