"""What the HTTP interface asks of the ensemble: in this process, or through a handle of Ray Serve."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from ray.exceptions import RayTaskError
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle

from serve.explaining import Explained
from serve.handles import EnsembleHandle
from serve.overload import OverloadedError
from serve.retry import Attempts, RetryPolicy, is_transient, own_error
from serve.service import EnsembleDescription, EnsembleService
from trader.core.protocols import Prediction

__all__ = ["Backend", "HandleBackend", "InProcessBackend"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SCRAPE_TIMEOUT_S = 2.0


class Backend(Protocol):
    """The ensemble, wherever it runs. Errors are those of `trader.core.errors`."""

    @property
    def deployment(self) -> str:
        """Where it runs, as metrics and traces name it."""
        ...

    async def score(self, feature_names: tuple[str, ...], features: FloatArray, trace: str | None = None) -> Prediction:
        """Score the last instant of features (n_instants, n_symbols, n_features), columns as `feature_names`.

        `trace` is a `traceparent`, where this request is traced.
        """
        ...

    async def explain(
        self, feature_names: tuple[str, ...], features: FloatArray, chosen: IntArray, method: str, member: str
    ) -> Explained:
        """Explain the scores of the chosen symbols at the last instant; see `EnsembleExplainer.explain`."""
        ...

    async def describe(self) -> EnsembleDescription:
        """Say which models answer."""
        ...

    async def probe(self) -> None:
        """Return when the ensemble has answered a prediction."""
        ...

    async def expositions(self) -> list[str]:
        """Return the metrics of each replica, in Prometheus' text format."""
        ...


class InProcessBackend:
    """A service in this process."""

    deployment = "in-process"

    def __init__(self, service: EnsembleService) -> None:
        self._service = service

    async def score(self, feature_names: tuple[str, ...], features: FloatArray, trace: str | None = None) -> Prediction:
        """Score the last instant."""
        return self._service.score(feature_names, features, trace)

    async def explain(
        self, feature_names: tuple[str, ...], features: FloatArray, chosen: IntArray, method: str, member: str
    ) -> Explained:
        """Explain the last instant in another thread, so that predictions are answered meanwhile."""
        return await asyncio.to_thread(self._service.explain, feature_names, features, chosen, method, member)

    async def describe(self) -> EnsembleDescription:
        """Say which models answer."""
        return self._service.describe()

    async def probe(self) -> None:
        """Return when the ensemble has answered a prediction."""
        self._service.probe()

    async def expositions(self) -> list[str]:
        """Return the metrics of the service."""
        return [self._service.metrics()]


class HandleBackend:
    """Replicas behind a handle; calls are repeated while a replica is away, until the deadline.

    A queue that is full is not waited for: it is OverloadedError at once.

    Parameters
    ----------
    handle : DeploymentHandle
        Of the deployment of `EnsembleService`.
    timeout_s : float
        Deadline of each call.
    """

    def __init__(self, handle: DeploymentHandle, timeout_s: float) -> None:
        self.deployment: str = handle.deployment_name
        self._handle = EnsembleHandle(handle)
        self._policy = RetryPolicy(timeout_s=timeout_s, attempt_timeout_s=timeout_s)

    async def score(self, feature_names: tuple[str, ...], features: FloatArray, trace: str | None = None) -> Prediction:
        """Score the last instant."""
        method = self._handle.method("score", features.nbytes)
        args = (feature_names, features) if trace is None else (feature_names, features, trace)
        prediction: Prediction = await self._call(lambda: method.remote(*args))
        return prediction

    async def explain(
        self, feature_names: tuple[str, ...], features: FloatArray, chosen: IntArray, method: str, member: str
    ) -> Explained:
        """Explain the last instant."""
        remote = self._handle.method("explain", features.nbytes)
        explained: Explained = await self._call(lambda: remote.remote(feature_names, features, chosen, method, member))
        return explained

    async def describe(self) -> EnsembleDescription:
        """Say which models answer."""
        description: EnsembleDescription = await self._call(self._handle.method("describe").remote)
        return description

    async def probe(self) -> None:
        """Return when the ensemble has answered a prediction."""
        await self._call(self._handle.method("probe").remote)

    async def expositions(self) -> list[str]:
        """Return the metrics of each replica; none if they do not answer in time."""
        try:
            answers = await self._handle.broadcast("metrics").results_async(
                timeout_s=_SCRAPE_TIMEOUT_S, return_exceptions=True
            )
        except Exception as error:
            if not is_transient(error):
                raise
            return []
        return [answer for answer in answers if isinstance(answer, str)]

    async def _call(self, send: Callable[[], Awaitable[Any]]) -> Any:
        attempts = Attempts(self._policy, "the ensemble")
        while True:
            try:
                return await asyncio.wait_for(send(), attempts.timeout_s())
            except RayTaskError as error:
                raise own_error(error) from None
            except BackPressureError as error:
                # To wait here would hold one more of the requests that the ingress may work on.
                raise OverloadedError(f"the queue of {self.deployment} is full: {error.message}") from None
            except Exception as error:
                if not is_transient(error):
                    raise
                await asyncio.sleep(attempts.pause_after(error))
