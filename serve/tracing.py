"""Traces of requests, from HTTP to each model: OpenTelemetry, imported only where tracing is on.

A trace travels to a replica as the plain text of a W3C `traceparent`, an argument like any other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trader.core.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

__all__ = ["TracedRequests", "Tracing", "active_tracing", "anchored"]

TRACEPARENT = "traceparent"


class Tracing:
    """Makes spans, and sends them where they are wanted.

    Parameters
    ----------
    exporter : SpanExporter
        Of OpenTelemetry.
    service : str
        Which part of the application this process is.
    batched : bool
        Send spans in a thread, some at a time, instead of each when it ends.
    """

    def __init__(self, exporter: SpanExporter, service: str, *, batched: bool = False) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        resource = Resource.create({"service.name": f"gpt-trader-{service}", "process.pid": os.getpid()})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter) if batched else SimpleSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("gpt-trader")
        self._propagator = TraceContextTextMapPropagator()
        self._kinds = {"server": trace.SpanKind.SERVER, "internal": trace.SpanKind.INTERNAL}
        self.failed = trace.Status(trace.StatusCode.ERROR)

    @classmethod
    def of(cls, where: str, service: str) -> Self | None:
        """Return what `serve.tracing` says; None for `off`.

        Parameters
        ----------
        where : str
            `off`, `console` (stderr, a line a span), `file:PATH` (the same, appended) or `otlp:URL` (an OpenTelemetry
            collector, over HTTP).
        service : str

        Raises
        ------
        SettingsError
            If it is none of these, or the package that it needs is not installed.
        """
        kind, _, target = where.partition(":")
        if where == "off":
            return None
        if where != "console" and not (kind in ("file", "otlp") and target):
            raise SettingsError(f"serve.tracing={where!r} is not allowed; off, console, file:PATH and otlp:URL are")
        try:
            return cls(_exporter(kind, target), service, batched=kind == "otlp")
        except ImportError as error:
            raise SettingsError(
                f"serve.tracing={where!r} needs the package {error.name!r}: pip install 'gpt-trader[tracing]'"
            ) from None

    @contextmanager
    def span(
        self,
        name: str,
        *,
        parent: str | None = None,
        kind: str = "internal",
        attributes: Mapping[str, Any] | None = None,
    ) -> Iterator[Any]:
        """Give a span that ends with the block, as failed if that raises.

        Parameters
        ----------
        name : str
        parent : str, optional
            A `traceparent`; by default the span that is open in this task, or none.
        kind : {"internal", "server"}
        attributes : mapping, optional
        """
        context = None if parent is None else self._propagator.extract({TRACEPARENT: parent})
        with self._tracer.start_as_current_span(
            name, context, kind=self._kinds[kind], attributes=dict(attributes or {})
        ) as span:
            yield span

    def traceparent(self) -> str | None:
        """Return the open span as the text that other processes take it up by."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(TRACEPARENT)

    def close(self) -> None:
        """Send what has not been sent."""
        self._provider.shutdown()


class TracedRequests:
    """ASGI middleware that makes a span of each request, and continues the client's trace.

    Parameters
    ----------
    app : ASGIApp
    tracing : Tracing
    """

    def __init__(self, app: ASGIApp, *, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection; anything but HTTP passes untouched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        attributes = {
            "http.request.method": method,
            "url.path": scope["path"],
            "gpt_trader.request_id": scope["state"]["request_id"],
        }
        parent = Headers(scope=scope).get(TRACEPARENT)
        with self._tracing.span(method, parent=parent, kind="server", attributes=attributes) as span:

            async def noted(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(self._tracing.failed)
                await send(message)

            token = _active.set(self._tracing)
            try:
                await self._app(scope, receive, noted)
            finally:
                _active.reset(token)
                route = getattr(scope.get("route"), "path", "unmatched")
                span.update_name(f"{method} {route}")
                span.set_attribute("http.route", route)


_active: ContextVar[Tracing | None] = ContextVar("tracing", default=None)


def active_tracing() -> Tracing | None:
    """Return what traces the request that is handled in this task; None where tracing is off."""
    return _active.get()


def anchored(where: str) -> str:
    """Return `serve.tracing` with the path of a file made absolute, for processes that work in another folder."""
    kind, _, target = where.partition(":")
    return f"file:{Path(target).resolve()}" if kind == "file" and target else where


def _exporter(kind: str, target: str) -> SpanExporter:
    if kind == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter(endpoint=target)
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter

    if kind == "console":
        return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: f"{span.to_json(indent=None)}\n")
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Several processes append to it: each span is one write.
    stream = path.open("a", encoding="utf-8")
    return ConsoleSpanExporter(out=stream, formatter=lambda span: f"{span.to_json(indent=None)}\n")
