"""How long to wait before the next attempt."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Waits that double up to a cap, each drawn between half and all of it, so that many clients do not return at once.

    A connection that was made and lost again is no success: `succeeded` is for one that has lasted.

    Examples
    --------
    >>> backoff = Backoff(first_s=1.0, cap_s=8.0, seed=0)
    >>> [0.5 * due <= backoff.next_s() <= due for due in (1, 2, 4, 8, 8)]
    [True, True, True, True, True]
    """

    def __init__(self, first_s: float, cap_s: float, seed: int | None = None) -> None:
        if not 0 < first_s <= cap_s:
            raise ValueError(f"first_s={first_s}, cap_s={cap_s}; 0 < first_s <= cap_s is allowed")
        self._first_s = first_s
        self._cap_s = cap_s
        self._failures = 0
        self._random = random.Random(seed)  # noqa: S311 - jitter is no secret

    @property
    def failures(self) -> int:
        """Attempts since the last success."""
        return self._failures

    def next_s(self) -> float:
        """Count a failure and return how long to wait, in seconds."""
        due = min(self._cap_s, self._first_s * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return due * self._random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """Begin again with the first wait."""
        self._failures = 0
