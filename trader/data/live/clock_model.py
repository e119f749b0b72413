"""A source's clock: how far it is from ours, and how fast it drifts.

With their clock at `ours + offset(t)`, a question answered after a round trip r shows offset to within r / 2, and a
message shows receipt - event = delay - offset(t), with a delay that is never negative. So the least of
receipt - event over a while moves as -offset does, and its slope is the drift.

Sources: the slope of the floor under one-way delays, S. Moon, P. Skelly and D. Towsley, *Estimation and removal of
clock skew from network delay measurements*, INFOCOM 1999, here by the median of slopes between windowed minima with its
confidence interval (P. Sen, *Estimates of the regression coefficient based on Kendall's tau*, JASA 63, 1968), which a
few windows of long delays do not move; the preference for short round trips, D. Mills, RFC 5905, section 10.
"""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClockEstimate", "ClockModel"]

IntArray = NDArray[np.int64]

_LEAST_POINTS = 8
"""Points without which a slope is not estimated."""
_GOOD_TRIP = 1.5
"""Round trips up to so many times the shortest say where the clock is."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClockEstimate:
    """Their clock less ours at an instant, nanoseconds, and its drift in parts per million, each with an interval.

    An interval is unbounded where nothing bounds it: stamps alone say how far ahead a clock is at least.
    """

    offset_ns: float
    low_ns: float
    high_ns: float
    drift_ppm: float
    drift_low_ppm: float
    drift_high_ppm: float


class _Slope(NamedTuple):
    """Nanoseconds a nanosecond."""

    value: float
    low: float
    high: float


class ClockModel:
    """Offset and drift of one source's clock.

    Parameters
    ----------
    window_ns : int, default=10 s
        Messages of so long a time give one point: the least receipt - event.
    n_windows, n_probes : int
        Points and questions that are remembered; the oldest go first.
    max_drift_ppm : float, default=500
        No clock is thought to drift faster. Until there is an estimate, anything up to it is possible.
    resolution_ns : int, default=1 ms
        What their answers are rounded down to.

    Notes
    -----
    A question whose interval does not meet what was expected means that a clock was set: all before is forgotten, and
    `steps` counts it. Without questions a clock that is behind cannot be told from delay, and its offset is taken
    for 0.

    Examples
    --------
    >>> model = ClockModel(resolution_ns=0)
    >>> model.add_probe(ours_ns=1_000_000_000, theirs_ns=1_002_000_000, round_trip_ns=1_000_000)
    >>> now = model.estimate(1_000_000_000)
    >>> now.offset_ns, now.low_ns, now.high_ns
    (2000000.0, 1500000.0, 2500000.0)
    """

    def __init__(
        self,
        *,
        window_ns: int = 10_000_000_000,
        n_windows: int = 120,
        n_probes: int = 64,
        max_drift_ppm: float = 500.0,
        resolution_ns: int = 1_000_000,
    ) -> None:
        for name, value in (("window_ns", window_ns), ("n_windows", n_windows), ("n_probes", n_probes)):
            if value < 1:
                raise ValueError(f"{name}={value}; 1 or more is allowed")
        if resolution_ns < 0:
            raise ValueError(f"resolution_ns={resolution_ns}; 0 or more is allowed")
        if not (math.isfinite(max_drift_ppm) and max_drift_ppm > 0):
            raise ValueError(f"max_drift_ppm={max_drift_ppm}; a finite number above 0 is allowed")
        self.steps = 0
        """How often a clock was set."""
        self.clipped = 0
        """Events that `correct` put at their receipt, because they would have come before they happened."""
        self._window_ns = window_ns
        self._limit = max_drift_ppm * 1e-6
        self._resolution_ns = resolution_ns
        # Our time, offset in the middle of what is possible, and the width of that.
        self._probes: collections.deque[tuple[int, int, int]] = collections.deque(maxlen=n_probes)
        # Number of a window to the receipt and the value of its least receipt - event, in order of numbers.
        self._floor: dict[int, tuple[int, int]] = {}
        self._n_windows = n_windows
        self._drift: _Slope | None = None

    def add_probe(self, ours_ns: int, theirs_ns: int, round_trip_ns: int) -> None:
        """Add what they answered to a question: `ours_ns` is the middle of the round trip by our clock."""
        if round_trip_ns < 0:
            raise ValueError(f"round_trip_ns={round_trip_ns}; 0 or more is allowed")
        offset, spread = theirs_ns - ours_ns + self._resolution_ns // 2, round_trip_ns + self._resolution_ns
        if self._probes:
            expected = self.estimate(ours_ns)
            if max(expected.low_ns - offset, offset - expected.high_ns) > 0.5 * spread:
                self.steps += 1
                self._probes.clear()
                self._floor.clear()
        self._probes.append((ours_ns, offset, spread))
        self._drift = None

    def add_stamps(self, ts_event_ns: IntArray, ts_recv_ns: IntArray) -> None:
        """Add messages by when they happened, by their clock, and were received, by ours; shape (n_messages,) each."""
        if not ts_recv_ns.size:
            return
        windows = ts_recv_ns // self._window_ns
        if np.any(windows[1:] < windows[:-1]):
            order = np.argsort(windows, kind="stable")
            windows, ts_event_ns, ts_recv_ns = windows[order], ts_event_ns[order], ts_recv_ns[order]
        above = ts_recv_ns - ts_event_ns
        starts = np.flatnonzero(np.concatenate(([True], windows[1:] != windows[:-1])))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), windows.size], strict=True):
            at = start + int(np.argmin(above[start:stop]))
            number, value = int(windows[start]), int(above[at])
            held = self._floor.get(number)
            if held is None or value < held[1]:
                self._floor[number] = (int(ts_recv_ns[at]), value)
            if held is None:
                self._drift = None
                while len(self._floor) > self._n_windows:
                    del self._floor[min(self._floor)]

    def estimate(self, now_ns: int) -> ClockEstimate:
        """Return what is known of the clock at an instant by ours."""
        drift = self._drift = self._drift or self._find_drift()
        floor = self._floor_at(now_ns, drift)
        if not self._probes:
            known = (max(0.0, floor), floor, math.inf) if math.isfinite(floor) else (0.0, -math.inf, math.inf)
        else:
            known = self._by_probes(now_ns, drift, floor)
        return ClockEstimate(*known, drift.value * 1e6, drift.low * 1e6, drift.high * 1e6)

    def correct(self, ts_event_ns: IntArray, ts_recv_ns: IntArray) -> IntArray:
        """Return when events happened by our clock, shape (n_messages,); no event is later than its receipt."""
        if not ts_recv_ns.size:
            return ts_event_ns
        last = int(ts_recv_ns[-1])
        now = self.estimate(last)
        offset = now.offset_ns + now.drift_ppm * 1e-6 * (ts_recv_ns - last)
        corrected = ts_event_ns - np.rint(offset).astype(np.int64)
        self.clipped += int(np.count_nonzero(corrected > ts_recv_ns))
        return np.asarray(np.minimum(corrected, ts_recv_ns), np.int64)

    def _find_drift(self) -> _Slope:
        """Return the narrower of what messages and questions say."""
        slopes = [_Slope(0.0, -self._limit, self._limit)]
        if len(self._floor) >= _LEAST_POINTS:
            receipt, above = np.array(list(self._floor.values()), np.int64).T
            slope = _median_slope(receipt, above)
            slopes.append(_Slope(-slope.value, -slope.high, -slope.low))
        if len(self._probes) >= _LEAST_POINTS:
            ours, offset, _ = np.array(self._probes, np.int64).T
            slopes.append(_median_slope(ours, offset))
        best = min(slopes, key=lambda slope: slope.high - slope.low)
        return _Slope(*(min(max(value, -self._limit), self._limit) for value in best))

    def _floor_at(self, now_ns: int, drift: _Slope) -> float:
        """Return how far they are ahead at least: every message left before it came."""
        if not self._floor:
            return -math.inf
        receipt, above = np.array(list(self._floor.values()), np.int64).T
        since = (now_ns - receipt).astype(np.float64)
        return float(np.max(-above + np.minimum(drift.low * since, drift.high * since)))

    def _by_probes(self, now_ns: int, drift: _Slope, floor: float) -> tuple[float, float, float]:
        ours, offset, spread = np.array(self._probes, np.int64).T
        since = (now_ns - ours).astype(np.float64)
        half = 0.5 * spread
        ends = np.stack([drift.low * since, drift.high * since])
        low = max(float(np.max(offset - half + ends.min(axis=0))), floor)
        high = float(np.min(offset + half + ends.max(axis=0)))
        good = spread <= _GOOD_TRIP * spread.min()
        value = float(np.median(offset[good] + drift.value * since[good]))
        if low > high:  # a drift outside its interval: the newest of the best questions speaks alone
            at = np.flatnonzero(good)[-1]
            low, high = float(offset[at] - half[at]), float(offset[at] + half[at])
        return min(max(value, low), high), low, high


def _median_slope(x: IntArray, y: IntArray) -> _Slope:
    """Return the median of the slopes between all pairs of points, with its 99 % interval."""
    from scipy import stats  # imported where used: it takes longer than a connection

    at = (x - x[0]).astype(np.float64)
    found = stats.theilslopes((y - y[0]).astype(np.float64), at, 0.99)
    return _Slope(float(found.slope), float(found.low_slope), float(found.high_slope))
