"""Traces of requests: the tree of spans, whose trace it is, and where it goes."""

from __future__ import annotations

import asyncio
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from fastapi import FastAPI
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from serve.backend import InProcessBackend
from serve.ingress import create_api
from serve.routing import Challenge, Router
from serve.service import EnsembleService
from serve.tracing import Tracing, anchored
from trader.core.errors import SettingsError
from trader.experiments.assignment import Split
from trader.settings import ServeSettings

THEIRS = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"traceparent": f"00-{THEIRS}-00f067aa0ba902b7-01", "X-Request-ID": "trace-7"}


def _traced_api(model_dir: Path, where: str, **options: Any) -> FastAPI:
    service = EnsembleService(model_dir, tracing=where, **options)
    return create_api(InProcessBackend(service), tracing=Tracing.of(where, "ingress"))


async def _post(api: FastAPI, path: str, body: Any, headers: dict[str, str] = HEADERS) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        return await client.post(path, json=body, headers=headers)


def _spans(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_text().splitlines()]


def _tree(spans: list[dict[str, Any]]) -> dict[str, str]:
    """Return the name of each span's parent, by its own; a parent that is not among them by its id."""
    names = {span["context"]["span_id"]: span["name"] for span in spans}
    return {span["name"]: names.get(span["parent_id"], span["parent_id"]) for span in spans}


@pytest.mark.parametrize("member_timeout_s", [0.0, 60.0])
async def test_a_request_is_a_tree_from_http_to_each_model(
    model_dir: Path, tmp_path: Path, body: dict[str, Any], member_timeout_s: float
) -> None:
    """Request, variant, replica, member, in the client's trace; also where members have threads of their own."""
    file = tmp_path / "spans.jsonl"
    api = _traced_api(model_dir, f"file:{file}", member_timeout_s=member_timeout_s)
    assert (await _post(api, "/v1/predict", body)).status_code == 200
    spans = _spans(file)
    assert _tree(spans) == {
        "POST /v1/predict": "0x00f067aa0ba902b7",
        "score champion": "POST /v1/predict",
        "replica": "score champion",
        "member linear@0.1": "replica",
        "member linear@10.0": "replica",
    }
    assert {span["context"]["trace_id"] for span in spans} == {f"0x{THEIRS}"}
    request = next(span for span in spans if span["name"] == "POST /v1/predict")
    assert request["kind"] == "SpanKind.SERVER"
    wanted = {"http.route": "/v1/predict", "http.response.status_code": 200, "gpt_trader.request_id": "trace-7"}
    assert request["attributes"].items() >= wanted.items()


async def test_champion_and_challenger_are_branches(model_dir: Path, tmp_path: Path, body: dict[str, Any]) -> None:
    """Two variants that are asked at the same time are siblings, each with a replica below it."""
    file = tmp_path / "spans.jsonl"
    where = f"file:{file}"
    backends = [InProcessBackend(EnsembleService(model_dir, tracing=where)) for _ in range(2)]
    router = Router(backends[0], (backends[1], Challenge(Split("e", 0.5))))
    assert (await _post(create_api(router, tracing=Tracing.of(where, "ingress")), "/v1/predict", body)).is_success
    spans = _spans(file)
    tree = _tree(spans)
    assert tree["score champion"] == tree["score challenger"] == "POST /v1/predict"
    assert sorted(span["name"] for span in spans).count("replica") == 2


async def test_without_a_trace_of_the_client_a_request_begins_one(
    model_dir: Path, tmp_path: Path, body: dict[str, Any]
) -> None:
    """So does a header that is none; and a client that does not sample is not sampled."""
    file = tmp_path / "spans.jsonl"
    api = _traced_api(model_dir, f"file:{file}")
    await _post(api, "/v1/predict", body, {})
    await _post(api, "/v1/predict", body, {"traceparent": "<script>"})
    roots = [span for span in _spans(file) if span["parent_id"] is None]
    assert len({root["context"]["trace_id"] for root in roots}) == len(roots) == 2
    await _post(api, "/v1/predict", body, {"traceparent": HEADERS["traceparent"][:-2] + "00"})
    assert THEIRS not in file.read_text()


async def test_errors_are_marked(
    model_dir: Path, tmp_path: Path, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is the client's fault is not an error of the server; one that is ours is."""
    file = tmp_path / "spans.jsonl"
    service = EnsembleService(model_dir, tracing=f"file:{file}")
    api = create_api(InProcessBackend(service), tracing=Tracing.of(f"file:{file}", "ingress"))
    await _post(api, "/v1/predict", body | {"feature_names": ["a", "b", "c"]})
    monkeypatch.setattr(service, "predict", lambda *_: 1 / 0)
    await _post(api, "/v1/predict", body)
    requests = [span for span in _spans(file) if span["name"] == "POST /v1/predict"]
    assert [request["attributes"].get("http.response.status_code") for request in requests] == [422, None]
    assert [request["status"]["status_code"] for request in requests] == ["UNSET", "ERROR"]


class _Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans as an OpenTelemetry collector does."""

    received: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        message = ExportTraceServiceRequest()
        message.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.append(message)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """A collector's URL, and what it was sent."""
    received: list[ExportTraceServiceRequest] = []
    handler = type("Collector", (_Collector,), {"received": received})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
        server.shutdown()
        thread.join()


async def test_spans_reach_a_collector(
    model_dir: Path, body: dict[str, Any], collector: tuple[str, list[ExportTraceServiceRequest]]
) -> None:
    """Over OTLP, in a real exporter's own bytes."""
    url, received = collector
    tracing = Tracing.of(f"otlp:{url}", "ingress")
    assert tracing is not None
    api = create_api(InProcessBackend(EnsembleService(model_dir)), tracing=tracing)
    await _post(api, "/v1/predict", body)
    await asyncio.to_thread(tracing.close)
    spans = [
        span
        for message in received
        for of_process in message.resource_spans
        for of_scope in of_process.scope_spans
        for span in of_scope.spans
    ]
    assert {span.name for span in spans} == {"POST /v1/predict", "score champion"}
    assert {span.trace_id.hex() for span in spans} == {THEIRS}


@pytest.mark.parametrize("where", ["on", "file:", "otlp:", "zipkin:http://x", ""])
def test_other_places_are_refused(where: str) -> None:
    """By the settings, and by who would send spans there."""
    with pytest.raises(ValidationError, match="should match pattern"):
        ServeSettings(tracing=where)
    with pytest.raises(SettingsError, match=r"off, console, file:PATH and otlp:URL are"):
        Tracing.of(where, "ingress")


def test_off_costs_no_import(model_dir: Path) -> None:
    """Nothing of OpenTelemetry is loaded by serving without it; Ray itself does so only when it is started."""
    code = (
        "import sys, asyncio, numpy as np; from serve.service import EnsembleService;"
        f"service = EnsembleService({str(model_dir)!r});"
        "service.score(('momentum_20', 'return_5', 'volatility_20'), np.zeros((1, 2, 3)), None);"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]", found.stderr


async def test_scores_are_the_same(model_dir: Path, tmp_path: Path, body: dict[str, Any]) -> None:
    """Watching changes no bit."""
    plain = create_api(InProcessBackend(EnsembleService(model_dir)))
    traced = _traced_api(model_dir, f"file:{tmp_path}/spans.jsonl")
    answers = [(await _post(api, "/v1/predict", body)).json() for api in (plain, traced)]
    assert answers[0] == answers[1]
    assert np.isfinite(np.array(answers[0]["scores"][:2], float)).all()


def test_files_are_named_for_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert anchored("file:spans.jsonl") == f"file:{tmp_path}/spans.jsonl"
    assert [anchored(where) for where in ("off", "otlp:http://x/v1")] == ["off", "otlp:http://x/v1"]
