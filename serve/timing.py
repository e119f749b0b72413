"""Calls to an ensemble as who routes them sees them: timed, counted and traced under variant and deployment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from serve.backend import Backend
from serve.explaining import Explained
from serve.metrics import HttpMetrics
from serve.overload import OverloadedError
from serve.service import EnsembleDescription
from serve.tracing import active_tracing
from trader.core.errors import DataError, ServiceUnavailableError, TraderError
from trader.core.protocols import Prediction

__all__ = ["TimedBackend"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (DataError, "refused"),
    (OverloadedError, "overloaded"),
    (ServiceUnavailableError, "unavailable"),
    (TraderError, "failed"),
    (asyncio.CancelledError, "cancelled"),
)


class TimedBackend:
    """A backend whose predictions are timed, and their errors counted by kind.

    The kinds are `refused` (the request's fault), `overloaded`, `unavailable`, `failed` (the models' fault),
    `cancelled` (nobody waits any more: a deadline, or a challenger that was late) and `unexpected`.

    Parameters
    ----------
    backend : Backend
    metrics : HttpMetrics
    variant : str
        What it answers as, `champion` or `challenger`.
    """

    def __init__(self, backend: Backend, metrics: HttpMetrics, variant: str) -> None:
        self.deployment = backend.deployment
        self._backend = backend
        self._variant = variant
        self._errors = metrics.variant_errors
        self._seconds = metrics.variant_seconds.labels(variant, self.deployment)

    async def score(self, feature_names: tuple[str, ...], features: FloatArray, trace: str | None = None) -> Prediction:
        """Score the last instant; `trace` is that of the request that is handled, where it is traced."""
        tracing = active_tracing()
        with self._timed():
            if tracing is None:
                return await self._backend.score(feature_names, features, trace)
            attributes = {"gpt_trader.variant": self._variant, "gpt_trader.deployment": self.deployment}
            with tracing.span(f"score {self._variant}", attributes=attributes):
                return await self._backend.score(feature_names, features, tracing.traceparent())

    async def explain(
        self, feature_names: tuple[str, ...], features: FloatArray, chosen: IntArray, method: str, member: str
    ) -> Explained:
        """Explain the last instant."""
        return await self._backend.explain(feature_names, features, chosen, method, member)

    async def describe(self) -> EnsembleDescription:
        """Say which models answer."""
        return await self._backend.describe()

    async def probe(self) -> None:
        """Return when the ensemble has answered a prediction."""
        await self._backend.probe()

    async def expositions(self) -> list[str]:
        """Return the metrics of each replica."""
        return await self._backend.expositions()

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        except BaseException as error:
            kind = next((kind for of, kind in _KINDS if isinstance(error, of)), "unexpected")
            self._errors.labels(self._variant, self.deployment, kind).inc()
            raise
        finally:
            self._seconds.observe(time.perf_counter() - began)
