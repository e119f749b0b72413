"""Quotes of a simulated market, with anomalies of five kinds put in where one can look them up."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.market import QuoteBatch

__all__ = ["KINDS", "Injected", "SimulatedQuotes", "simulate_quotes"]

FloatArray = NDArray[np.float64]

KINDS = ("spread", "depth", "stuffing", "stale", "jump")
"""Spreads widen; depth vanishes; quotes flicker; none come; the price jumps."""

_FIRST_NS = 1_420_209_000_000_000_000
_TICK = 0.01
_RATE = 20.0
_DEGREES = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Injected:
    """An anomaly: its kind, and the seconds from `begin` to before `end`."""

    kind: str
    begin: int
    end: int


@dataclasses.dataclass(frozen=True, slots=True)
class SimulatedQuotes:
    """Quotes of one symbol, what was put into them, and how many seconds they span."""

    quotes: QuoteBatch
    injected: tuple[Injected, ...]
    n_seconds: int


def simulate_quotes(n_seconds: int, seed: int, n_each: int = 0, *, severity: float = 1.0) -> SimulatedQuotes:
    """Draw quotes, about 20 a second, with `n_each` anomalies of each kind that last 10 to 20 seconds.

    Volatility clusters (GARCH), moves of a second are Student-t with 5 degrees of freedom, and activity, spread and
    depth are autocorrelated, heavy-tailed and follow volatility. At severity 1 a spread is 4 times and a depth a
    sixth of what it would be, quotes come 8 times as often with their mid unchanged, none come at all, or the
    price jumps by 30 deviations of a second's move at that time; other severities raise these to their power (a
    jump: times it).

    Raises
    ------
    DataError
        If the seconds are too few to keep 60 between anomalies.
    """
    n_events = n_each * len(KINDS)
    if n_seconds < 1 or n_each < 0 or (n_events and n_seconds // n_events < 90):
        raise DataError(f"n_seconds={n_seconds} is not allowed for {n_events} anomalies; {max(90 * n_events, 1)} are")
    rng = np.random.default_rng(seed)
    injected = _places(rng, n_seconds, n_each)
    volatility = _volatility(rng, n_seconds)
    busy = np.log(volatility)
    rate = _RATE * np.exp(0.25 * _autoregressive(rng, n_seconds) + 0.3 * busy)
    spread = 0.04 * np.exp(0.15 * _autoregressive(rng, n_seconds) + 0.3 * busy)
    depth = 800.0 * np.exp(0.25 * _autoregressive(rng, n_seconds) - 0.3 * busy)
    moves = 2e-4 * volatility * rng.standard_t(_DEGREES, n_seconds) * np.sqrt((_DEGREES - 2.0) / _DEGREES)
    for event in injected:
        inside = slice(event.begin, event.end)
        if event.kind == "spread":
            spread[inside] *= 4.0**severity
        elif event.kind == "depth":
            depth[inside] /= 6.0**severity
        elif event.kind == "stuffing":
            rate[inside] *= 8.0**severity
            moves[inside] = 0.0
        elif event.kind == "stale":
            rate[inside] = 0.0
        else:
            moves[event.begin] = rng.choice((-30.0, 30.0)) * severity * 2e-4 * volatility[event.begin]
    return SimulatedQuotes(_quotes(rng, rate, spread, depth, moves), injected, n_seconds)


def _places(rng: np.random.Generator, n_seconds: int, n_each: int) -> tuple[Injected, ...]:
    n_events = n_each * len(KINDS)
    if not n_events:
        return ()
    room = n_seconds // n_events
    kinds = rng.permutation(np.repeat(KINDS, n_each))
    found = []
    for number, kind in enumerate(kinds.tolist()):
        length = 1 if kind == "jump" else int(rng.integers(10, 21))
        begin = number * room + int(rng.integers(35, room - 30))
        found.append(Injected(kind, begin, begin + length))
    return tuple(found)


def _volatility(rng: np.random.Generator, n_seconds: int) -> FloatArray:
    """Return GARCH(1,1) volatilities of mean square 1."""
    square = np.empty(n_seconds)
    variance = 1.0
    shocks = rng.standard_t(_DEGREES, n_seconds) * np.sqrt((_DEGREES - 2.0) / _DEGREES)
    for t, shock in enumerate(shocks.tolist()):
        square[t] = variance
        variance = 0.02 + 0.05 * variance * shock**2 + 0.93 * variance
    return np.sqrt(square)


def _autoregressive(rng: np.random.Generator, n_seconds: int) -> FloatArray:
    """Return a series of variance 1, autocorrelation .95 and Student-t shocks."""
    from scipy.signal import lfilter

    shocks = rng.standard_t(_DEGREES, n_seconds) * np.sqrt((_DEGREES - 2.0) / _DEGREES * (1.0 - 0.95**2))
    return np.asarray(lfilter([1.0], [1.0, -0.95], shocks), np.float64)


def _quotes(
    rng: np.random.Generator, rate: FloatArray, spread: FloatArray, depth: FloatArray, moves: FloatArray
) -> QuoteBatch:
    counts = rng.poisson(rate)
    second = np.repeat(np.arange(rate.size), counts)
    n = second.size
    ts_ns = _FIRST_NS + np.sort(((second + rng.random(n)) * 1e9).astype(np.int64))
    # A second's move happens over its quotes, in equal parts and noise; a jump has to happen somewhere too.
    place = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    done = (place + 1) / np.maximum(np.repeat(counts, counts), 1)
    level = np.concatenate([[0.0], np.cumsum(moves)[:-1]])
    mid = 100.0 * np.exp(level[second] + moves[second] * done)
    half = np.maximum(spread[second] * np.exp(0.1 * rng.standard_normal(n)) / 2.0, _TICK / 2.0)
    sizes = [np.maximum(np.round(depth[second] * np.exp(0.4 * rng.standard_normal(n))), 1.0) for _ in range(2)]
    return QuoteBatch(ts_ns, ts_ns + 200_000, np.zeros(n, np.int32), mid - half, mid + half, *sizes)
