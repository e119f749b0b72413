"""How many requests a client may send: a token bucket each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

__all__ = ["RateLimiter"]

_MOST_CLIENTS = 10_000


class RateLimiter:
    """Token buckets that fill at `rate` and hold `burst`; the client that was heard least recently is forgotten first.

    Parameters
    ----------
    rate : float
        Requests a second that each client may send on and on; 0 lets all pass.
    burst : int
        Requests that may come at once after a pause.
    clock : callable, optional
        Seconds that never go back.

    Examples
    --------
    >>> now = 0.0
    >>> limiter = RateLimiter(2.0, 1, lambda: now)
    >>> limiter.wait_s("ada"), limiter.wait_s("ada"), limiter.wait_s("bob")
    (0.0, 0.5, 0.0)
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Count a request; return 0 if it may pass, or else after how many seconds the next one may."""
        if self._rate <= 0.0:
            return 0.0
        now = self._clock()
        tokens, seen = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - seen) * self._rate)
        passes = tokens >= 1.0
        tokens -= passes
        self._buckets[client] = (tokens, now)
        if len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1.0 - tokens) / self._rate
