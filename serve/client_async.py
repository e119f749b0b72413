"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
from numpy.typing import ArrayLike

from serve.client_base import ClientBase, not_so
from serve.client_batch import Part, merge
from serve.client_calls import (
    PredictAnswer,
    any_call,
    explain_call,
    health_call,
    metrics_call,
    models_call,
    predict_call,
)
from serve.client_errors import HttpError, Reply
from serve.client_retry import Call, Exchange
from serve.schema import Health, ModelsResponse

if TYPE_CHECKING:
    from serve.explain_schema import ExplainResponse

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient(ClientBase[httpx.AsyncClient, httpx.AsyncBaseTransport, Callable[[float], Awaitable[object]]]):
    """The client for asyncio; tasks of one loop may share one. Its arguments are those of `ClientBase`.

    Its methods are those of `serve.client.Client`, which says what they take, return and raise.
    """

    async def predict(
        self,
        feature_names: Sequence[str],
        symbols: Sequence[str],
        features: ArrayLike,
        context: ArrayLike | None = None,
        *,
        key: str | None = None,
    ) -> PredictAnswer:
        """Score one instant; see `Client.predict`."""
        return await self._send(predict_call(feature_names, symbols, features, context, key))

    async def predict_many(
        self,
        feature_names: Sequence[str],
        symbols: Sequence[str],
        features: ArrayLike,
        context: ArrayLike | None = None,
    ) -> list[PredictAnswer]:
        """Score many instants, or more symbols than a request may hold; see `Client.predict_many`.

        After an error the requests under way are cancelled.
        """
        parts = self._plan(feature_names, symbols, features, context, await self.models())
        free = asyncio.Semaphore(self._concurrency)

        async def answer(part: Part) -> PredictAnswer:
            async with free:
                return await self._send(part.call())

        tasks = [asyncio.ensure_future(answer(part)) for part in parts]
        try:
            return merge(parts, await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def explain(
        self,
        feature_names: Sequence[str],
        symbols: Sequence[str],
        features: ArrayLike,
        context: ArrayLike | None = None,
        *,
        method: str = "shap",
        member: str = "ensemble",
        explain: Sequence[str] = (),
        top: int | None = None,
    ) -> ExplainResponse:
        """Take the scores of one instant apart; see `Client.explain`."""
        options: dict[str, object] = {"method": method, "member": member, "explain": list(explain), "top": top}
        return await self._send(explain_call(feature_names, symbols, features, context, options))

    async def models(self) -> ModelsResponse:
        """Return which models answer; see `Client.models`."""
        return await self._send(models_call())

    async def healthy(self) -> bool:
        """Return whether the HTTP process lives; see `Client.healthy`."""
        return await self._holds(health_call("/healthz"))

    async def ready(self) -> bool:
        """Return whether the ensemble has just answered a prediction; see `Client.ready`."""
        return await self._holds(health_call("/readyz"))

    async def metrics(self) -> str:
        """Return the metrics in Prometheus' text format; see `Client.metrics`."""
        return await self._send(metrics_call())

    async def request(self, method: str, path: str, body: object = None, *, repeatable: bool | None = None) -> Any:
        """Return the JSON that any route answers; see `Client.request`."""
        return await self._send(any_call(method, path, body, repeatable))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _open(self, transport: httpx.AsyncBaseTransport | None, options: Mapping[str, Any]) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=transport, **options)

    def _default_sleep(self) -> Callable[[float], Awaitable[object]]:
        return asyncio.sleep

    async def _holds(self, call: Call[Health]) -> bool:
        try:
            await self._send(call)
        except HttpError as error:
            return not_so(error)
        return True

    async def _send(self, call: Call[T]) -> T:
        exchange = self._exchange(call)
        while True:
            try:
                reply = await self._attempt(exchange)
            except (httpx.RequestError, TimeoutError) as error:
                pause = exchange.pause_after_error(error)
            else:
                last = exchange.pause_after(reply)
                if last is None:
                    return exchange.result(reply)
                pause = last
            await self._sleep(pause)

    async def _attempt(self, exchange: Exchange[Any]) -> Reply:
        call, limit_s = exchange.call, exchange.limit_s()
        # httpx limits each step; a server that sends a byte now and then needs a limit for all of them.
        async with asyncio.timeout(limit_s):
            response = await self._http.request(
                call.method, call.path, content=call.body, headers=exchange.headers(), timeout=httpx.Timeout(limit_s)
            )
        return Reply(response.status_code, response.headers, response.content)
