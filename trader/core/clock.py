"""Clocks: the only source of wall time, injected so that tests and replays own it."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Tells the time in UTC nanoseconds."""

    def now_ns(self) -> int:
        """Return the current time."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Return the current time."""
        return time.time_ns()


class ManualClock:
    """A clock that moves when told; it never goes back.

    >>> clock = ManualClock(5)
    >>> clock.set(9)
    >>> clock.now_ns()
    9
    """

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return the time it was last set to."""
        return self._now_ns

    def set(self, now_ns: int) -> None:
        """Move to `now_ns`; an earlier time is refused with ValueError."""
        if now_ns < self._now_ns:
            raise ValueError(f"now_ns={now_ns} is before {self._now_ns}; the clock may not go back")
        self._now_ns = now_ns
