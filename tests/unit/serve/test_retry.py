"""Which errors are retried, for how long, and what the last one says."""

from __future__ import annotations

import concurrent.futures
import time

import grpc
import pytest
from ray.exceptions import ActorDiedError, ActorUnavailableError, GetTimeoutError, RayTaskError
from ray.serve.exceptions import BackPressureError

from serve.retry import Attempts, RetryPolicy, is_transient, own_error
from trader.core.errors import DataError, OperationError, ServiceUnavailableError


def _raised_remotely(cause: Exception) -> RayTaskError:
    return RayTaskError("score", "Traceback …", cause)


def _connection_ended(code: grpc.StatusCode) -> grpc.RpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        ActorUnavailableError("gone", None),
        GetTimeoutError(),
        TimeoutError(),
        BackPressureError(num_queued_requests=9, max_queued_requests=9),
        ConnectionResetError(),
        _connection_ended(grpc.StatusCode.UNAVAILABLE),
        _connection_ended(grpc.StatusCode.CANCELLED),
    ],
)
def test_absence_is_transient(error: Exception) -> None:
    """A replica that died, is away, slow or full may answer next time."""
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        RuntimeError("in an event loop"),
        _connection_ended(grpc.StatusCode.RESOURCE_EXHAUSTED),
        _raised_remotely(DataError("x")).as_instanceof_cause(),
        _raised_remotely(TimeoutError("its own")).as_instanceof_cause(),
    ],
)
def test_the_code_s_own_errors_are_not(error: Exception) -> None:
    """What the replica's code raised would be raised again."""
    assert not is_transient(error)


def test_remote_errors_come_back_as_our_own() -> None:
    """An error of ours keeps type and message; a foreign one becomes an OperationError that names it."""
    ours = own_error(_raised_remotely(DataError("features have shape (1,)")))
    assert type(ours) is DataError
    assert str(ours) == "features have shape (1,)"
    foreign = own_error(_raised_remotely(ZeroDivisionError("division by zero")))
    assert type(foreign) is OperationError
    assert "ZeroDivisionError: division by zero" in str(foreign)


def test_pauses_double_up_to_the_maximum() -> None:
    """Backoff is exponential with a ceiling."""
    attempts = Attempts(RetryPolicy(timeout_s=60, retries=9, pause_s=0.1, max_pause_s=0.5), "it")
    assert [attempts.pause_after(TimeoutError()) for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert attempts.retries == 5


def test_retries_are_limited() -> None:
    """After the last retry the error says how many attempts there were and how the last one ended."""
    attempts = Attempts(RetryPolicy(timeout_s=60, retries=2), "the oracle")
    for _ in range(2):
        attempts.pause_after(TimeoutError())
    with pytest.raises(
        ServiceUnavailableError, match=r"the oracle .* 3 attempts; .* ConnectionError: refused"
    ) as caught:
        attempts.pause_after(ConnectionError("refused\nmore"))
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_deadline_ends_the_call() -> None:
    """No pause reaches beyond the deadline, and no attempt either."""
    attempts = Attempts(RetryPolicy(timeout_s=0.5, attempt_timeout_s=10.0), "it")
    assert 0 < attempts.timeout_s() <= 0.5
    time.sleep(0.51)
    assert attempts.timeout_s() == 0
    with pytest.raises(ServiceUnavailableError, match=r"within 0\.5 s"):
        attempts.pause_after(concurrent.futures.TimeoutError())
