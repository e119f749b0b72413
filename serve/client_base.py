"""What the clients for threads and for asyncio share: their arguments, and all but sending and waiting."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import httpx
import numpy as np
from numpy.typing import ArrayLike

from serve.client_batch import Part, plan
from serve.client_errors import HttpError
from serve.client_retry import Call, Exchange, RetrySettings, Times
from serve.client_target import target_of
from serve.schema import ModelsResponse
from trader.core.errors import UserError

__all__ = ["ClientBase", "not_so"]

T = TypeVar("T")
HttpT = TypeVar("HttpT", httpx.Client, httpx.AsyncClient)
TransportT = TypeVar("TransportT")
SleepT = TypeVar("SleepT")


class ClientBase(ABC, Generic[HttpT, TransportT, SleepT]):
    """What both clients are made of.

    Parameters
    ----------
    url : str
        Of the server, e.g. `http://127.0.0.1:8000`.
    token : str, optional
        Sent as `Authorization: Bearer`; by default what TRADER_API_TOKEN holds, and the empty string sends none.
    timeout_s, retries, attempt_timeout_s, pause_s, max_pause_s : float or int
        Limits of a call; see `serve.client_retry.RetrySettings`. In `predict_many` they hold for each request.
    batch_rows : int
        Most rows that `predict_many` puts in a request; the server has limits too (rows, and 16 MiB).
    concurrency : int
        Most requests that `predict_many` has under way.
    allow_insecure : bool
        Send the token over plain http to another machine too.
    transport : optional
        Of httpx; in place of sockets.
    sleep : callable, optional
        Waits some seconds.
    rng, clock, wall_clock : optional
        See `serve.client_retry.Times`.

    Raises
    ------
    UserError
        If an argument is not allowed, or the token would cross a network in the clear.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 10.0,
        retries: int = 3,
        attempt_timeout_s: float | None = None,
        pause_s: float = 0.05,
        max_pause_s: float = 2.0,
        batch_rows: int = 1024,
        concurrency: int = 4,
        allow_insecure: bool = False,
        transport: TransportT | None = None,
        sleep: SleepT | None = None,
        rng: np.random.Generator | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        for name, value in (("batch_rows", batch_rows), ("concurrency", concurrency)):
            if value < 1:
                raise UserError(f"{name}={value!r} is not allowed; 1 or more are")
        self._settings = RetrySettings(timeout_s, retries, attempt_timeout_s, pause_s, max_pause_s)
        self._times = Times(np.random.default_rng() if rng is None else rng, clock, wall_clock)
        self._batch_rows, self._concurrency = batch_rows, concurrency
        self._target = target_of(url, token, allow_insecure=allow_insecure)
        self._sleep: SleepT = self._default_sleep() if sleep is None else sleep
        self._http: HttpT = self._open(transport, self._options())

    def __repr__(self) -> str:
        token = "with a token" if self._target.has_token else "without a token"
        return f"<{type(self).__name__} of {self._target.url} {token}>"

    @abstractmethod
    def _open(self, transport: TransportT | None, options: Mapping[str, Any]) -> HttpT: ...

    @abstractmethod
    def _default_sleep(self) -> SleepT: ...

    def _options(self) -> dict[str, Any]:
        """Return what both clients of httpx are made with; neither follows redirects, which could lead elsewhere."""
        target, most = self._target, max(100, self._concurrency)
        return {
            "base_url": target.url,
            "headers": target.headers,
            # On this machine there is no proxy on the way, to which the token would be shown, and http needs no
            # certificates, which take 20 ms to read.
            "trust_env": not target.loopback,
            "verify": not (target.loopback and target.url.startswith("http:")),
            "limits": httpx.Limits(max_connections=most, max_keepalive_connections=most),
        }

    def _exchange(self, call: Call[T]) -> Exchange[T]:
        return Exchange(call, self._settings, self._times, self._target.url)

    def _plan(
        self,
        feature_names: Sequence[str],
        symbols: Sequence[str],
        features: ArrayLike,
        context: ArrayLike | None,
        models: ModelsResponse,
    ) -> list[Part]:
        look_back, rows = models.context - 1, self._batch_rows
        return plan(feature_names, symbols, features, context, look_back=look_back, batch_rows=rows)


def not_so(error: HttpError) -> bool:
    """Return False if the error says that the server is unwell, or away; raise it if it says anything else."""
    if error.status is None or error.status >= 500:
        return False
    raise error
