"""One call of a client, attempt by attempt, without a socket: what to send, whether and when to send it again."""

from __future__ import annotations

import dataclasses
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar

import httpx
import numpy as np

from serve.client_errors import HttpOperationError, HttpUnavailableError, Reply, error_of
from trader.core.errors import UserError

__all__ = ["Call", "Exchange", "RetrySettings", "Times"]

T = TypeVar("T")

_RETRIED = frozenset({429, 502, 503, 504})
_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_TRANSIENT = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError, httpx.ProxyError, TimeoutError)
_LEAST_ATTEMPT_S = 0.001


@dataclasses.dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A request and how its answer is read.

    Parameters
    ----------
    method, path : str
    read : callable
        From a 2xx answer to the result; ValueError says that the answer cannot be used.
    body : bytes, optional
        JSON.
    repeatable : bool
        It changes nothing, so that it may be sent again when it is unknown whether the server has done it.
    patient : bool
        One attempt may take all the time there is: computing again would cost more than waiting.
    once : bool
        The first answer is wanted, whatever it is.
    """

    method: str
    path: str
    read: Callable[[Reply], T]
    body: bytes | None = None
    repeatable: bool = True
    patient: bool = False
    once: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class RetrySettings:
    """Limits of a call.

    Parameters
    ----------
    timeout_s : float
        Deadline of the whole call, attempts and pauses together.
    retries : int
        Attempts after the first.
    attempt_timeout_s : float, optional
        Longest that one of several attempts may take; half of `timeout_s` by default.
    pause_s, max_pause_s : float
        A pause is drawn uniformly from zero to `pause_s`, doubled with each attempt up to `max_pause_s`; what
        `Retry-After` asks for comes on top.

    Raises
    ------
    UserError
        If a limit is not a positive number, or `retries` is negative.
    """

    timeout_s: float = 10.0
    retries: int = 3
    attempt_timeout_s: float | None = None
    pause_s: float = 0.05
    max_pause_s: float = 2.0

    def __post_init__(self) -> None:
        for name in ("timeout_s", "attempt_timeout_s", "pause_s", "max_pause_s"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise UserError(f"{name}={value!r} is not allowed; a positive number of seconds is")
        if self.retries < 0:
            raise UserError(f"retries={self.retries!r} is not allowed; 0 or more are")


@dataclasses.dataclass(frozen=True, slots=True)
class Times:
    """Where time and chance come from.

    Parameters
    ----------
    rng : Generator
        Draws the pauses.
    clock : callable
        Monotonic seconds.
    wall_clock : callable
        Seconds since 1970, UTC; read where `Retry-After` is a date.
    """

    rng: np.random.Generator
    clock: Callable[[], float] = time.monotonic
    wall_clock: Callable[[], float] = time.time


class Exchange(Generic[T]):
    """The attempts of one call; its clock starts when it is made.

    Parameters
    ----------
    call : Call
    settings : RetrySettings
    times : Times
    url : str
        Of the server, for messages.
    """

    def __init__(self, call: Call[T], settings: RetrySettings, times: Times, url: str) -> None:
        self.call = call
        self.request_id = str(uuid.uuid4())
        self._settings = settings
        self._times = times
        self._what = f"{call.method} {url}{call.path}"
        self._deadline = times.clock() + settings.timeout_s
        self._attempts = 1

    def headers(self) -> dict[str, str]:
        """Return the headers of the next attempt: the same request id, what is left of the deadline."""
        left_ms = max(1, int(self._left_s() * 1000.0))
        headers = {"X-Request-ID": self.request_id, "X-Request-Deadline-Ms": str(left_ms)}
        return headers if self.call.body is None else {"Content-Type": "application/json"} | headers

    def limit_s(self) -> float:
        """Return how long the next attempt may take."""
        left, settings = self._left_s(), self._settings
        if self.call.repeatable and not self.call.patient and not self.call.once and settings.retries:
            longest = settings.timeout_s / 2.0 if settings.attempt_timeout_s is None else settings.attempt_timeout_s
            left = min(left, longest)
        return max(_LEAST_ATTEMPT_S, left)

    def in_time(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass the pieces of an answer on until the deadline; then raise `httpx.ReadTimeout`."""
        for chunk in chunks:
            yield chunk
            if self._left_s() <= 0.0:
                raise httpx.ReadTimeout("the answer did not end before the deadline")

    def pause_after(self, reply: Reply) -> float | None:
        """Return how long to wait before the next attempt, in seconds; None where this answer is the last."""
        if reply.status not in _RETRIED or not self.call.repeatable:
            return None
        return self._pause(_asked_s(reply.headers.get("Retry-After", ""), self._times.wall_clock))

    def pause_after_error(self, error: Exception) -> float:
        """Return how long to wait before the next attempt, in seconds.

        Raises
        ------
        HttpUnavailableError
            If there is none: attempts or time are used up, or the server may have done what must not be done twice.
        HttpOperationError
            If the answer could not be decoded, or the request not be sent.
        """
        transient = isinstance(error, _TRANSIENT)
        sendable = self.call.repeatable or isinstance(error, _NOTHING_SENT)
        pause = self._pause(0.0) if transient and sendable else None
        if pause is not None:
            return pause
        reason = str(error).strip().partition("\n")[0]
        kind = HttpUnavailableError if transient else HttpOperationError
        raise kind(
            f"{self._what} was not answered within {self._settings.timeout_s:g} s and {self._attempts} "
            f"attempt{'s' * (self._attempts > 1)}; the last ended with {type(error).__name__}"
            f"{f': {reason}' if reason else ''}"
            f"{'' if sendable or not transient else '; it is not known whether the server has done it'}",
            request_id=self.request_id,
            attempts=self._attempts,
        ) from error

    def result(self, reply: Reply) -> T:
        """Return what the answer says.

        Raises
        ------
        HttpError
            If its status is not 2xx, or it is not what such an answer has to be.
        """
        if not 200 <= reply.status < 300:
            raise error_of(reply, self._what, self.request_id, self._attempts)
        try:
            return self.call.read(reply)
        except ValueError as error:
            raise HttpOperationError(
                f"the answer to {self._what} cannot be used: {error}",
                status=reply.status,
                request_id=reply.headers.get("X-Request-ID", self.request_id),
                attempts=self._attempts,
            ) from error

    def _left_s(self) -> float:
        return self._deadline - self._times.clock()

    def _pause(self, asked_s: float) -> float | None:
        settings, retry = self._settings, self._attempts - 1
        if self.call.once or retry >= settings.retries:
            return None
        longest = min(settings.max_pause_s, settings.pause_s * 2.0 ** min(retry, 32))
        pause = asked_s + float(self._times.rng.uniform(0.0, longest))
        if pause >= self._left_s():
            return None
        self._attempts += 1
        return pause


def _asked_s(retry_after: str, wall_clock: Callable[[], float]) -> float:
    """Return the seconds that `Retry-After` asks for, given so or as an HTTP date; 0 where it says neither."""
    if re.fullmatch("[0-9]+", retry_after):
        return float(retry_after)
    try:
        date = parsedate_to_datetime(retry_after)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - wall_clock())
    except (ValueError, OverflowError):
        return 0.0
