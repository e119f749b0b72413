"""A circuit breaker: what fails again and again is left alone for a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

__all__ = ["CircuitBreaker"]

_TRIPS_AFTER = 3
_FIRST_PAUSE = 16
_LONGEST_PAUSE = 1024
_SECONDS_AN_INSTANT = 1.0 / 16.0


class CircuitBreaker:
    """Counts failures in a row and says when to ask again; time is counted in instants, so that runs repeat.

    After three failures in a row, 16 instants are let pass; then one call is tried. Each failure of such a call doubles
    the pause, up to 1,024 instants; one success ends it all.

    Parameters
    ----------
    clock : callable, optional
        Seconds. With it a pause also ends when a second has passed for each 16 instants of it, so that it is not long
        where instants are rare.

    >>> breaker = CircuitBreaker()
    >>> for _ in range(3):
    ...     breaker.failed()
    >>> breaker.allows(16), breaker.allows(1)
    (False, True)
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = 0
        self._again_at = 0.0

    @property
    def phase(self) -> Literal["closed", "open", "half-open"]:
        """Closed lets calls pass, open does not, and half-open lets them pass to see whether they are answered."""
        if self._failures < _TRIPS_AFTER:
            return "closed"
        return "half-open" if self._is_over() else "open"

    def allows(self, n_instants: int) -> bool:
        """Return whether to call for the next instants; if not, they count towards the pause."""
        if self._is_over():
            return True
        self._pause -= n_instants
        return False

    def _is_over(self) -> bool:
        return self._pause <= 0 or (self._clock is not None and self._clock() >= self._again_at)

    def succeeded(self) -> None:
        """Take note that a call was answered."""
        self._failures = 0
        self._pause = 0

    def failed(self) -> None:
        """Take note that a call was not."""
        self._failures += 1
        if self._failures >= _TRIPS_AFTER:
            self._pause = min(_FIRST_PAUSE << min(self._failures - _TRIPS_AFTER, 16), _LONGEST_PAUSE)
            if self._clock is not None:
                self._again_at = self._clock() + self._pause * _SECONDS_AN_INSTANT

    def state(self) -> dict[str, Any]:
        """Return the counts, ready for JSON."""
        return {"failures": self._failures, "pause": self._pause}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._failures, self._pause = int(state["failures"]), int(state["pause"])
