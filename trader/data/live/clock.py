"""How far another machine's clock is from ours, and what is done about it."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trader.data.live.clock_model import ClockModel

__all__ = ["ClockOffset", "SourceClock", "measure_offset"]

_MOST_AHEAD_NS = 60_000_000_000
"""A stamp further in the future is no clock that runs ahead but a wrong stamp, and says nothing of the clock."""
_WINDOW_NS = 10_000_000_000
_LOOK_NS = 500_000_000
_GRAIN_NS = 1_000_000
"""The shift grows by so much at least, for every change is told."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClockOffset:
    """Their clock less ours, and how long it took to ask, in milliseconds; true to about half of the latter."""

    offset_ms: float
    round_trip_ms: float


def measure_offset(ask_ms: Callable[[], float], n: int = 5, now_s: Callable[[], float] = time.time) -> ClockOffset:
    """Ask `n` times for their time, and return the median of its distance from the middle of each round trip.

    Examples
    --------
    >>> ours = iter([10.0, 10.2])
    >>> measure_offset(lambda: 12_100.0, n=1, now_s=lambda: next(ours))
    ClockOffset(offset_ms=2000.0, round_trip_ms=200.0)
    """
    offsets, trips = [], []
    for _ in range(n):
        before = now_s()
        theirs = ask_ms()
        after = now_s()
        offsets.append(theirs - 500.0 * (before + after))
        trips.append(1e3 * (after - before))
    return ClockOffset(round(statistics.median(offsets), 3), round(statistics.median(trips), 3))


class SourceClock:
    """Says how far event times of a source are moved back to be times of ours.

    The shift becomes the model's offset (`ClockModel`) when it lies outside what the model thinks possible, and no
    sooner, for every change puts events out of order with those before; and it grows at once where a row would
    otherwise be received before it happened.
    """

    def __init__(self) -> None:
        self._model = ClockModel(window_ns=_WINDOW_NS)
        self._looked_ns = 0
        self._best = (0, 0)
        self.shift_ns = 0
        """How far event times are moved back now; negative where their clock is behind ours."""

    def add(self, offset: ClockOffset, now_ns: int) -> None:
        """Take in their answers to a question asked just before `now_ns`."""
        self._model.add_probe(now_ns, now_ns + round(offset.offset_ms * 1e6), round(offset.round_trip_ms * 1e6))
        self._looked_ns = 0

    def update(self, event_ns: NDArray[np.int64], recv_ns: NDArray[np.int64]) -> int:
        """Take in the stamps of rows, shape (n,) each, n > 0; return the shift for them."""
        ahead = event_ns - recv_ns
        is_sane = ahead <= _MOST_AHEAD_NS
        if not is_sane.all():
            event_ns, recv_ns, ahead = event_ns[is_sane], recv_ns[is_sane], ahead[is_sane]
        if not ahead.size:
            return self.shift_ns
        place = int(ahead.argmax())
        least, now_ns = int(ahead[place]), int(recv_ns[-1])
        # The model keeps the least delay of a while: rows that cannot be it are not shown to it.
        window = int(recv_ns[place]) // _WINDOW_NS
        if (window, least) > self._best:
            self._best = window, least
            self._model.add_stamps(event_ns[place : place + 1], recv_ns[place : place + 1])
        if now_ns - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now_ns
            found = self._model.estimate(now_ns)
            if not found.low_ns <= self.shift_ns <= found.high_ns:
                self.shift_ns = round(found.offset_ns)
        if least > self.shift_ns:
            self.shift_ns = -(-least // _GRAIN_NS) * _GRAIN_NS
        return self.shift_ns
