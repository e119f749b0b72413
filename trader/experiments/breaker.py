"""A circuit breaker: what fails again and again is left alone for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["CircuitBreaker"]

_TRIPS_AFTER = 3
_FIRST_PAUSE = 16
_LONGEST_PAUSE = 1024


class CircuitBreaker:
    """Counts failures in a row and says when to ask again; time is counted in instants, so that runs repeat.

    After three failures in a row, 16 instants are let pass; then one call is tried. Each failure of such a call doubles
    the pause, up to 1,024 instants; one success ends it all.

    >>> breaker = CircuitBreaker()
    >>> for _ in range(3):
    ...     breaker.failed()
    >>> breaker.allows(16), breaker.allows(1)
    (False, True)
    """

    def __init__(self) -> None:
        self._failures = 0
        self._pause = 0

    def allows(self, n_instants: int) -> bool:
        """Return whether to call for the next instants; if not, they count towards the pause."""
        if self._pause <= 0:
            return True
        self._pause -= n_instants
        return False

    def succeeded(self) -> None:
        """Take note that a call was answered."""
        self._failures = 0

    def failed(self) -> None:
        """Take note that a call was not."""
        self._failures += 1
        if self._failures >= _TRIPS_AFTER:
            self._pause = min(_FIRST_PAUSE << (self._failures - _TRIPS_AFTER), _LONGEST_PAUSE)

    def state(self) -> dict[str, Any]:
        """Return the counts, ready for JSON."""
        return {"failures": self._failures, "pause": self._pause}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._failures, self._pause = int(state["failures"]), int(state["pause"])
