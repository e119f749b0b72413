"""How an idempotent call is repeated while a replica is away: which errors, how often, how long."""

from __future__ import annotations

import dataclasses
import time

import grpc  # type: ignore[import-untyped]
from ray.exceptions import (
    ObjectLostError,
    RayActorError,
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)
from ray.serve.exceptions import RayServeException

from trader.core.errors import OperationError, ServiceUnavailableError, TraderError

__all__ = ["Attempts", "RetryPolicy", "is_transient", "own_error"]

_TRANSIENT = (
    RayActorError,
    WorkerCrashedError,
    ObjectLostError,
    TaskCancelledError,
    RayServeException,
    TimeoutError,
    ConnectionError,
)

# What a connection to a dead process may end with. RESOURCE_EXHAUSTED is not among them: a message too long stays so.
_TRANSIENT_CODES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)


def is_transient(error: BaseException) -> bool:
    """Return whether the call may succeed if repeated: the replica died, was away, overloaded or slow.

    An exception that the replica's own code raised is not: it would be raised again.
    """
    if isinstance(error, grpc.RpcError):
        return error.code() in _TRANSIENT_CODES
    return isinstance(error, _TRANSIENT) and not isinstance(error, RayTaskError)


def own_error(error: RayTaskError) -> TraderError:
    """Return what the replica's code raised as one of our errors, without Ray's traceback in its message."""
    cause = error.cause
    if isinstance(cause, TraderError):
        return type(cause)(str(cause))
    return OperationError(f"the ensemble failed with {type(cause).__name__}: {cause}")


@dataclasses.dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of a repeated call.

    Parameters
    ----------
    timeout_s : float
        Deadline of the whole call, waits included.
    retries : int
        Attempts after the first.
    attempt_timeout_s : float
        Longest that one attempt may take, so that a hung replica does not eat the whole deadline.
    pause_s, max_pause_s : float
        Wait before the first retry; it doubles with each until the maximum.
    """

    timeout_s: float = 60.0
    retries: int = 100
    attempt_timeout_s: float = 20.0
    pause_s: float = 0.02
    max_pause_s: float = 1.0


class Attempts:
    """The attempts of one call under a policy; it starts its clock when made."""

    def __init__(self, policy: RetryPolicy, what: str) -> None:
        self._policy = policy
        self._what = what
        self._deadline = time.monotonic() + policy.timeout_s
        self.retries = 0

    def timeout_s(self) -> float:
        """Return how long the next attempt may take."""
        return max(0.0, min(self._policy.attempt_timeout_s, self._deadline - time.monotonic()))

    def pause_after(self, error: BaseException) -> float:
        """Return how long to wait before the next attempt.

        Raises
        ------
        ServiceUnavailableError
            If the deadline or the retries are used up.
        """
        pause = min(self._policy.max_pause_s, self._policy.pause_s * 2.0 ** min(self.retries, 16))
        if self.retries >= self._policy.retries or time.monotonic() + pause >= self._deadline:
            reason = str(error).strip().partition("\n")[0]
            raise ServiceUnavailableError(
                f"{self._what} did not answer within {self._policy.timeout_s:g} s and {self.retries + 1} attempts; "
                f"the last ended with {type(error).__name__}{f': {reason}' if reason else ''}"
            ) from error
        self.retries += 1
        return pause
