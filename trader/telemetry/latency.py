"""Latencies in bounded memory: a histogram of logarithmic buckets with a stated relative error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LatencyRecorder"]

_BITS = 7
_SUB = 1 << _BITS
# Values below 2 * _SUB have a bucket each; every further power of two up to 2**63 has _SUB buckets.
_N_BUCKETS = (63 - _BITS + 1) * _SUB


class LatencyRecorder:
    """Counts durations by size, as an HDR histogram does.

    A value below 256 ns is kept exactly. Above, each power of two is divided into 128 equal buckets, and a
    quantile is the middle of its bucket: it is within 1/256 (0.4 %) of the exact order statistic. Memory is 57 KiB
    whatever is recorded, and recorders of several processes add up without a loss.

    Negative durations, which only a stepped wall clock can produce, count as zero.

    References
    ----------
    .. [1] Tene, G. "HdrHistogram: A High Dynamic Range Histogram". http://hdrhistogram.org

    Examples
    --------
    >>> latency = LatencyRecorder()
    >>> latency.record_many([100, 200, 1_000_000])
    >>> latency.quantile(0.5)
    200.0
    >>> latency.count, latency.max
    (3, 1000000)
    """

    def __init__(self) -> None:
        self._counts = np.zeros(_N_BUCKETS, np.int64)
        self._min = (1 << 63) - 1
        self._max = 0
        self._sum = 0

    def record(self, ns: int, times: int = 1) -> None:
        """Count a duration in nanoseconds that occurred so many times."""
        ns = max(int(ns), 0)
        shift = max(ns.bit_length() - _BITS - 1, 0)
        self._counts[(shift << _BITS) + (ns >> shift)] += times
        self._min = min(self._min, ns)
        self._max = max(self._max, ns)
        self._sum += ns * times

    def record_many(self, ns: ArrayLike) -> None:
        """Count an array of durations in nanoseconds, of any shape."""
        values = np.maximum(np.asarray(ns, np.int64).ravel(), 0)
        if values.size == 0:
            return
        _, length = np.frexp(values.astype(np.float64))
        length = length.astype(np.int64)
        # The conversion to float rounds large values up, at a power of two to one bit too many.
        length -= (values >> np.maximum(length - 1, 0)) == 0
        shift = np.maximum(length - _BITS - 1, 0)
        self._counts += np.bincount((shift << _BITS) + (values >> shift), minlength=_N_BUCKETS)
        self._min = min(self._min, int(values.min()))
        self._max = max(self._max, int(values.max()))
        self._sum += int(values.sum(dtype=object))

    @property
    def count(self) -> int:
        """How many durations were recorded."""
        return int(self._counts.sum())

    @property
    def min(self) -> int:
        """The shortest, exactly; 0 if there is none."""
        return self._min if self.count else 0

    @property
    def max(self) -> int:
        """The longest, exactly; 0 if there is none."""
        return self._max

    @property
    def mean(self) -> float:
        """The mean, exactly; NaN if there is none."""
        return self._sum / self.count if self.count else math.nan

    def quantile(self, q: float) -> float:
        """Return the smallest duration that a fraction `q` of all does not exceed, in ns; NaN if there is none."""
        if not 0 <= q <= 1:
            raise ValueError(f"q={q}; a fraction from 0 to 1 is allowed")
        cumulated = np.cumsum(self._counts)
        count = int(cumulated[-1])
        if count == 0:
            return math.nan
        low, high = _bounds(np.searchsorted(cumulated, max(math.ceil(q * count), 1)))
        middle = float(low) + float(high - low) / 2
        return min(max(middle, float(self._min)), float(self._max))

    @property
    def p50(self) -> float:
        """The median in ns."""
        return self.quantile(0.5)

    @property
    def p99(self) -> float:
        """What 99 % do not exceed, in ns."""
        return self.quantile(0.99)

    @property
    def p999(self) -> float:
        """What 99.9 % do not exceed, in ns."""
        return self.quantile(0.999)

    def merge(self, other: LatencyRecorder) -> None:
        """Add everything that another recorder counted."""
        self._counts += other._counts
        self._min = min(self._min, other._min)
        self._max = max(self._max, other._max)
        self._sum += other._sum

    def buckets(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return lower and upper bound (inclusive, ns) and count of each bucket that holds something."""
        used = np.flatnonzero(self._counts)
        low, high = _bounds(used)
        return low, high, self._counts[used]

    def state(self) -> dict[str, Any]:
        """Return the content as JSON-ready values, for another process to merge."""
        used = np.flatnonzero(self._counts)
        counts = self._counts[used].tolist()
        return {"buckets": used.tolist(), "counts": counts, "min": self._min, "max": self._max, "sum": self._sum}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Return a recorder with the content that `state` gave."""
        recorder = cls()
        recorder._counts[np.asarray(state["buckets"], np.int64)] = state["counts"]
        recorder._min, recorder._max, recorder._sum = state["min"], state["max"], state["sum"]
        return recorder


def _bounds(bucket: NDArray[np.int64] | np.int64) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the least and the greatest value that fall into a bucket."""
    bucket = np.asarray(bucket, np.int64)
    shift = np.maximum((bucket >> _BITS) - 1, 0)
    low = (bucket - (shift << _BITS)) << shift
    return low, low + ((np.int64(1) << shift) - 1)
