"""The Basel committee's traffic light."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from risk.results import check_level
from trader.core.errors import DataError

__all__ = ["TrafficLight", "ZONES", "traffic_light", "zone_shares"]

Zone = Literal["green", "yellow", "red"]

ZONES: tuple[Zone, ...] = ("green", "yellow", "red")

_PLUS = (0.0, 0.0, 0.0, 0.0, 0.0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.0)


@dataclasses.dataclass(frozen=True, slots=True)
class TrafficLight:
    """What a count of exceedances says.

    Parameters
    ----------
    zone : str
        ``green`` up to a cumulative chance of 95 %, ``yellow`` up to 99.99 %, else ``red``.
    cumulative : float
        Chance of at most so many exceedances if the value at risk is right.
    n_exceedances, n_periods : int
    plus : float or None
        Added to the capital multiplier of 3 (Basel, 1996); None unless the level is .99 over 250 periods.
    """

    zone: Zone
    cumulative: float
    n_exceedances: int
    n_periods: int
    plus: float | None


def traffic_light(n_exceedances: int, n_periods: int = 250, level: float = 0.99) -> TrafficLight:
    """Return the zone of a count of exceedances [1]_.

    Raises
    ------
    DataError
        If there is no period or more exceedances than periods.

    References
    ----------
    .. [1] Basel Committee on Banking Supervision (1996), "Supervisory framework for the use of backtesting".

    Examples
    --------
    >>> [traffic_light(n).zone for n in (4, 5, 9, 10)]
    ['green', 'yellow', 'yellow', 'red']
    """
    if not 0 <= n_exceedances <= n_periods or n_periods < 1:
        raise DataError(f"n_exceedances={n_exceedances} of n_periods={n_periods} is not allowed; 0 to n_periods are")
    rate = 1.0 - check_level(level)
    cumulative = float(special.bdtr(n_exceedances, n_periods, rate))
    zone = ZONES[int(cumulative >= 0.95) + int(cumulative >= 0.9999)]
    standard = n_periods == 250 and abs(level - 0.99) < 1e-12
    plus = _PLUS[min(n_exceedances, 10)] if standard else None
    return TrafficLight(zone, cumulative, n_exceedances, n_periods, plus)


def zone_shares(exceeded: ArrayLike, level: float = 0.99, n_periods: int = 250) -> dict[Zone, float]:
    """Return in which share of all stretches of `n_periods` the light showed each colour.

    Raises
    ------
    DataError
        If there are fewer periods than one stretch.
    """
    hits = np.asarray(exceeded, bool)
    if hits.ndim != 1 or hits.size < n_periods:
        raise DataError(f"exceeded has shape {hits.shape}; ({n_periods} or more,) is needed")
    reached = np.concatenate([[0], np.cumsum(hits)])
    counts = np.bincount(reached[n_periods:] - reached[:-n_periods])
    shares: dict[Zone, float] = dict.fromkeys(ZONES, 0.0)
    for n_exceedances, n_stretches in enumerate(counts.tolist()):
        if n_stretches:
            shares[traffic_light(n_exceedances, n_periods, level).zone] += n_stretches / float(counts.sum())
    return shares
