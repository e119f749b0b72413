"""A client of the HTTP interface: arrays in, arrays of the same bits out; repeated where that may help.

`Client` is for threads, `AsyncClient` for asyncio: the same arguments and methods, one logic.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import httpx
from numpy.typing import ArrayLike

from serve.client_async import AsyncClient
from serve.client_base import ClientBase, not_so
from serve.client_batch import merge
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

__all__ = ["AsyncClient", "Client", "HttpError", "PredictAnswer"]

T = TypeVar("T")


class Client(ClientBase[httpx.Client, httpx.BaseTransport, Callable[[float], object]]):
    """The client for threads; several may share one. Its arguments are those of `ClientBase`.

    Connections are kept and used again until it is closed, which `with` does.
    """

    def predict(
        self,
        feature_names: Sequence[str],
        symbols: Sequence[str],
        features: ArrayLike,
        context: ArrayLike | None = None,
        *,
        key: str | None = None,
    ) -> PredictAnswer:
        """Score one instant.

        Parameters
        ----------
        feature_names : sequence of str
            Of the columns: exactly the ensemble's, in any order.
        symbols : sequence of str
            Of the rows.
        features : array of shape (n_symbols, n_features)
            NaN is missing; infinities are refused.
        context : array of shape (n_context, n_symbols, n_features), optional
            Features of the instants before, oldest first.
        key : str, optional
            Account, user or request that an experiment assigns to one variant; by symbol where it is not given.

        Raises
        ------
        DataError
            If shapes and names disagree or a value is infinite; `HttpDataError` if the server refuses it.
        ServiceUnavailableError
            If no attempt was answered in time.
        HttpError
            If the server answers otherwise; see `serve.client_errors`.
        """
        return self._send(predict_call(feature_names, symbols, features, context, key))

    def predict_many(
        self,
        feature_names: Sequence[str],
        symbols: Sequence[str],
        features: ArrayLike,
        context: ArrayLike | None = None,
    ) -> list[PredictAnswer]:
        """Score many instants, or more symbols than a request may hold; see `predict`.

        Each instant is sent with as many of those before it as the ensemble looks back at (`GET /v1/models`).

        Parameters
        ----------
        feature_names, symbols : sequence of str
        features : array of shape (n_instants, n_symbols, n_features) or (n_symbols, n_features)
            Consecutive instants, oldest first.
        context : array of shape (n_context, n_symbols, n_features), optional
            The instants before the first.

        Returns
        -------
        list of PredictAnswer
            One an instant, in their order.

        Raises
        ------
        ConflictError
            If the models changed between the requests of one instant.
        TraderError
            What `predict` raises. The requests under way are waited for, no further one is sent.
        """
        parts = self._plan(feature_names, symbols, features, context, self.models())
        with ThreadPoolExecutor(min(self._concurrency, len(parts) or 1)) as pool:
            return merge(parts, list(pool.map(lambda part: self._send(part.call()), parts)))

    def explain(
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
        """Take the scores of one instant apart; one attempt may take all of `timeout_s`.

        Parameters
        ----------
        feature_names, symbols, features, context
            See `predict`.
        method : str
            `shap`, `lime` or `ig`.
        member : str
            `name@version` or name of a member, or the ensemble.
        explain : sequence of str
            The symbols to be explained; empty explains all.
        top : int, optional
            Features listed for each symbol; the others are summed in `rest`.

        Raises
        ------
        TraderError
            What `predict` raises; `HttpConflictError` if the models were saved without a background.
        """
        options: dict[str, object] = {"method": method, "member": member, "explain": list(explain), "top": top}
        return self._send(explain_call(feature_names, symbols, features, context, options))

    def models(self) -> ModelsResponse:
        """Return which models answer, and the features they expect; raises as `predict` does."""
        return self._send(models_call())

    def healthy(self) -> bool:
        """Return whether the HTTP process lives: one attempt, False where it is away or answers 5xx."""
        return self._holds(health_call("/healthz"))

    def ready(self) -> bool:
        """Return whether the ensemble has just answered a prediction; as `healthy`."""
        return self._holds(health_call("/readyz"))

    def metrics(self) -> str:
        """Return the metrics in Prometheus' text format; raises as `predict` does."""
        return self._send(metrics_call())

    def request(self, method: str, path: str, body: object = None, *, repeatable: bool | None = None) -> Any:
        """Return the JSON that any route answers, None where it answers nothing.

        Parameters
        ----------
        method, path : str
        body : object
            What JSON can say, and arrays; None sends no body.
        repeatable : bool, optional
            Whether it changes nothing; by default if the method is GET or HEAD. What changes something is sent again
            only if the connection failed before anything was sent.

        Raises
        ------
        TraderError
            What `predict` raises; UserError if the path does not begin with one slash.
        """
        return self._send(any_call(method, path, body, repeatable))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, transport: httpx.BaseTransport | None, options: Mapping[str, Any]) -> httpx.Client:
        return httpx.Client(transport=transport, **options)

    def _default_sleep(self) -> Callable[[float], object]:
        return time.sleep

    def _holds(self, call: Call[Health]) -> bool:
        try:
            self._send(call)
        except HttpError as error:
            return not_so(error)
        return True

    def _send(self, call: Call[T]) -> T:
        exchange = self._exchange(call)
        while True:
            try:
                reply = self._attempt(exchange)
            except httpx.RequestError as error:
                pause = exchange.pause_after_error(error)
            else:
                last = exchange.pause_after(reply)
                if last is None:
                    return exchange.result(reply)
                pause = last
            self._sleep(pause)

    def _attempt(self, exchange: Exchange[Any]) -> Reply:
        call, timeout = exchange.call, httpx.Timeout(exchange.limit_s())
        request = self._http.stream(
            call.method, call.path, content=call.body, headers=exchange.headers(), timeout=timeout
        )
        with request as response:
            content = b"".join(exchange.in_time(response.iter_bytes()))
            return Reply(response.status_code, response.headers, content)
