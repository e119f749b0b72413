"""Error rate and latency of a variant over the last seconds, and whether they are beyond a limit for sure. No Ray."""

from __future__ import annotations

import collections
import dataclasses
import math
from typing import Any

__all__ = ["Breach", "Guardrails", "Tally", "surely_above"]

# One-sided, at p = .0005: the limits are looked at after every request.
_Z = 3.29
_LEAST_CASES = 3
# A breach counts when it has lasted, and lasts: a replica that is replaced in the meantime costs no experiment.
_HOLD_S = 6
_RECENT_S = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Guardrails:
    """Limits of a variant.

    Parameters
    ----------
    error_rate : float
        Share of the requests that may fail; late ones fail.
    latency_s : float
        All but `slow_share` of the answers take no longer.
    slow_share : float
        .01 makes `latency_s` the limit of the 99th percentile.
    window_s : int
        How far back is looked.
    """

    error_rate: float = 0.02
    latency_s: float = 1.0
    slow_share: float = 0.01
    window_s: int = 60


@dataclasses.dataclass(frozen=True, slots=True)
class Breach:
    """A limit that is broken, and by what.

    Parameters
    ----------
    limit : str
        `error_rate` or `latency_s`.
    allowed : float
        What the limit is.
    n, cases : int
        Requests in the window, and those that failed or were slow.
    """

    limit: str
    allowed: float
    n: int
    cases: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        what = "failed" if self.limit == "error_rate" else "were slower than the limit"
        return f"{self.limit} is above {self.allowed:g}: {self.cases} of {self.n} requests {what}"


@dataclasses.dataclass(slots=True)
class _Second:
    """Counts of one second."""

    start: int
    n: int = 0
    failed: int = 0
    slow: int = 0


class Tally:
    """Counts of the requests of a variant over a sliding window, in constant time and memory.

    Parameters
    ----------
    limits : Guardrails
    """

    def __init__(self, limits: Guardrails) -> None:
        self._limits = limits
        self._seconds: collections.deque[_Second] = collections.deque()
        self._since: dict[str, float] = {}
        self.n = self.failed = self.slow = 0

    def add(self, now_s: float, seconds: float, *, failed: bool) -> None:
        """Count a request that ended at `now_s` of a monotonic clock and took `seconds`."""
        self._forget(now_s)
        if not self._seconds or self._seconds[-1].start != int(now_s):
            self._seconds.append(_Second(int(now_s)))
        last = self._seconds[-1]
        slow = not failed and seconds > self._limits.latency_s
        last.n, last.failed, last.slow = last.n + 1, last.failed + failed, last.slow + slow
        self.n, self.failed, self.slow = self.n + 1, self.failed + failed, self.slow + slow

    def breach(self, now_s: float) -> Breach | None:
        """Return the limit that is broken beyond chance, has been for 6 s and still is; None where there is none.

        Asked after every request, and now and then while there is none. It looks at a long window to be sure and at
        the last seconds to be quick, as alerts on burn rates do.

        Sources
        -------
        Beyer et al. (eds), The Site Reliability Workbook (2018), ch. 5, "Alerting on SLOs".
        """
        self._forget(now_s)
        limits, answered = self._limits, self.n - self.failed
        if self._lasts("failed", self.failed, self.n, limits.error_rate, now_s):
            return Breach("error_rate", limits.error_rate, self.n, self.failed)
        if self._lasts("slow", self.slow, answered, limits.slow_share, now_s):
            return Breach("latency_s", limits.latency_s, answered, self.slow)
        return None

    def _lasts(self, what: str, cases: int, n: int, share: float, now_s: float) -> bool:
        if not surely_above(cases, n, share):
            self._since.pop(what, None)
            return False
        if now_s - self._since.setdefault(what, now_s) < _HOLD_S:
            return False
        recent = [second for second in self._seconds if second.start > now_s - _RECENT_S]
        bad: int = sum(getattr(second, what) for second in recent)
        return bad > share * sum(second.n for second in recent)

    def to_dict(self) -> dict[str, int]:
        """Return the counts, ready for JSON."""
        return {"requests": self.n, "failed": self.failed, "slow": self.slow}

    def _forget(self, now_s: float) -> None:
        while self._seconds and self._seconds[0].start <= now_s - self._limits.window_s - 1:
            old = self._seconds.popleft()
            self.n, self.failed, self.slow = self.n - old.n, self.failed - old.failed, self.slow - old.slow


def surely_above(cases: int, n: int, limit: float) -> bool:
    """Return whether a share is above a limit beyond chance: the lower end of Wilson's interval is, of 3 cases or more.

    Three failures in a row are enough, one in twenty is not.

    >>> surely_above(3, 3, 0.02), surely_above(1, 20, 0.02), surely_above(30, 1000, 0.02)
    (True, False, False)

    Sources
    -------
    Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
    """
    if cases < _LEAST_CASES:
        return False
    share, z2 = cases / n, _Z * _Z
    middle = share + z2 / (2 * n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return (middle - half) / (1 + z2 / n) > limit
