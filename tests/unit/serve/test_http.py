"""The HTTP interface over a service in this process."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.problems import PROBLEM_MEDIA_TYPE
from serve.service import EnsembleService
from tests.support.problems import is_problem

JSON = {"Content-Type": "application/json"}


async def test_predict_equals_the_service_bit_for_bit(
    client: httpx.AsyncClient, service: EnsembleService, body: dict[str, Any], features: np.ndarray
) -> None:
    """JSON keeps every bit of the scores; null and NaN stand for each other; symbols keep their order."""
    features[4] = np.nan
    body["features"][4] = [None] * 3
    answer = (await client.post("/v1/predict", json=body)).json()
    want = service.predict(features[None])
    assert answer["symbols"] == body["symbols"]
    assert np.array(answer["scores"], dtype=float).tobytes() == want.score[0].tobytes()
    assert answer["scores"][4] is None
    assert {k: np.array(v, dtype=float).tobytes() for k, v in answer["members"].items()} == {
        k: v[0].tobytes() for k, v in want.members.items()
    }
    assert answer["models"] == [{"name": "linear", "version": "0.1"}, {"name": "linear", "version": "10.0"}]


async def test_a_batch_equals_its_rows(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """Each symbol's score is the same alone and among others."""
    together = (await client.post("/v1/predict", json=body)).json()["scores"]
    for i, row in enumerate(body["features"]):
        alone = await client.post("/v1/predict", json=body | {"symbols": ["X"], "features": [row]})
        assert alone.json()["scores"] == [together[i]]


async def test_columns_go_by_name(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """The order of the columns does not matter."""
    reordered = body | {
        "feature_names": body["feature_names"][::-1],
        "features": [row[::-1] for row in body["features"]],
    }
    first, second = [await client.post("/v1/predict", json=b) for b in (body, reordered)]
    assert first.json()["scores"] == second.json()["scores"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"features": [[1.0, 2.0, 3.0]]}, "#"),
        ({"features": [[1.0, 2.0]] * 5}, "#"),
        ({"features": []}, "#/features"),
        ({"features": [[1.0, 2.0, "3"]] * 5}, "#/features/0/2"),
        ({"features": [[1.0, 2.0, True]] * 5}, "#/features/0/2"),
        ({"features": 7}, "#/features"),
        ({"symbols": ["A", "A", "B", "C", "D"]}, "#"),
        ({"symbols": ["", "A", "B", "C", "D"]}, "#/symbols/0"),
        ({"feature_names": ["return_5"] * 3}, "#"),
        ({"horizon": 5}, "#/horizon"),
    ],
)
async def test_malformed_requests_say_where(
    client: httpx.AsyncClient, body: dict[str, Any], change: dict[str, Any], pointer: str
) -> None:
    """A wrong shape, type, name or key is 422 with a JSON pointer to it."""
    problem = is_problem(await client.post("/v1/predict", json=body | change), 422, "invalid-request")
    assert problem["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
async def test_numbers_must_be_finite(client: httpx.AsyncClient, number: str) -> None:
    """What JSON cannot say, or a double cannot hold, is no number of a body."""
    text = '{"feature_names": ["a", "b", "c"], "symbols": ["X"], "features": [[0, 0, %s]]}' % number  # noqa: UP031
    response = await client.post("/v1/predict", content=text, headers=JSON)
    is_problem(response, 400, "malformed-json")


async def test_names_must_be_the_models(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """A feature that the models do not know is named."""
    response = await client.post("/v1/predict", json=body | {"feature_names": ["momentum_20", "return_5", "rsi"]})
    problem = is_problem(response, 422, "unusable-features")
    assert "1 missing ['volatility_20'], 1 unknown ['rsi']" in problem["detail"]


@pytest.mark.parametrize("text", [b"", b"{", b'{"features": [1,]}', b"\xff\xfe", b"[" * 3000])
async def test_malformed_json_is_a_client_error(client: httpx.AsyncClient, text: bytes) -> None:
    """A body that is not JSON is answered 400, an empty one 422."""
    response = await client.post("/v1/predict", content=text, headers=JSON)
    if text:
        is_problem(response, 400, "malformed-json")
    else:
        is_problem(response, 422, "invalid-request")


async def test_other_content_types_are_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """What `curl -d` sends without a header is answered 415, not with a riddle."""
    response = await client.post("/v1/predict", data={"features": "1"})
    assert "application/json" in is_problem(response, 415)["detail"]


async def test_rows_are_limited(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """More rows than allowed are 413."""
    nine = body | {"symbols": [f"S{i}" for i in range(9)], "features": [[0.0, 0.0, 0.0]] * 9}
    assert "9 rows; 8" in is_problem(await client.post("/v1/predict", json=nine), 413, "too-many-rows")["detail"]


async def test_context_is_part_of_the_request(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """Instants before the one asked for change nothing for models of single rows, count as rows, and are checked."""
    instant = body["features"][:2]
    body = body | {"features": instant, "symbols": body["symbols"][:2]}
    plain = (await client.post("/v1/predict", json=body)).json()
    answer = (await client.post("/v1/predict", json=body | {"context": [instant, instant]})).json()
    assert answer["scores"] == plain["scores"]
    many = body | {"context": [instant] * 4}
    is_problem(await client.post("/v1/predict", json=many), 413, "too-many-rows")
    short = is_problem(await client.post("/v1/predict", json=body | {"context": [instant[:1]]}), 422, "invalid-request")
    assert "context[0] has 1 rows" in str(short)
    assert (await client.get("/v1/models")).json()["context"] == 1


async def test_bodies_are_limited(client: httpx.AsyncClient) -> None:
    """A long body is 413 whether it declares its length or comes in pieces."""

    async def pieces() -> Any:
        for _ in range(10):
            yield b"x" * 1000

    is_problem(await client.post("/v1/predict", content=b"x" * 5000, headers=JSON), 413, "body-too-large")
    is_problem(await client.post("/v1/predict", content=pieces(), headers=JSON), 413, "body-too-large")


async def test_unknown_routes_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    """404 and 405 have the same shape as every other error."""
    is_problem(await client.get("/v2/predict"), 404)
    assert (await client.get("/v1/predict")).headers["allow"] == "POST"
    is_problem(await client.get("/v1/predict"), 405)


async def test_request_id_is_echoed_or_made(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """A plain token of the client's comes back; anything else is replaced."""
    given = await client.post("/v1/predict", json=body, headers={"X-Request-ID": "trace-7"})
    assert given.headers["x-request-id"] == given.json()["request_id"] == "trace-7"
    made = await client.post("/v1/predict", json=body, headers={"X-Request-ID": "<script>"})
    assert len(made.json()["request_id"]) == 32
    again = await client.post("/v1/predict", json=body)
    assert again.json()["request_id"] != made.json()["request_id"]


async def test_models_describe_the_ensemble(client: httpx.AsyncClient) -> None:
    """Members, versions, weights, schema, digests and the training report are listed."""
    answer = (await client.get("/v1/models")).json()
    assert answer["feature_names"] == ["momentum_20", "return_5", "volatility_20"]
    assert [(m["key"], m["weight"]) for m in answer["members"]] == [("linear@0.1", 0.75), ("linear@10.0", 0.25)]
    assert answer["training"] == {"rows": 200}


async def test_health_and_readiness(
    client: httpx.AsyncClient, service: EnsembleService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process lives while its models fail, but it is not ready."""
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    for member in service._ensemble.members.values():
        monkeypatch.setattr(member, "coefficients", None)
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    is_problem(await client.get("/readyz"), 500, "model-failed")


async def test_unexpected_errors_tell_nothing_but_the_id(
    client: httpx.AsyncClient,
    service: EnsembleService,
    body: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A defect is a 500 problem without internals, and it is logged under its id."""
    monkeypatch.setattr(service, "_columns", None)
    problem = is_problem(await client.post("/v1/predict", json=body), 500)
    assert "NoneType" not in problem["detail"]
    assert problem["request_id"] in problem["detail"]
    (record,) = [r for r in caplog.records if r.name == "serve.middleware"]
    assert problem["request_id"] in record.getMessage()
    assert record.exc_info is not None


async def test_metrics_count_routes_not_paths(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """Requests are counted by route and status; unknown paths share one label."""
    await client.post("/v1/predict", json=body)
    await client.post("/v1/predict", json={})
    for i in range(3):
        await client.get(f"/nowhere/{i}")
    families = {f.name: f for f in text_string_to_metric_families((await client.get("/metrics")).text)}
    counts = {(s.labels["route"], s.labels["status"]): s.value for s in families["gpt_trader_http_requests"].samples}
    assert counts == {("/v1/predict", "200"): 1, ("/v1/predict", "422"): 1, ("unmatched", "404"): 3}
    assert families["gpt_trader_prediction_rows"].samples[0].value == 5
    assert families["gpt_trader_ensemble_replicas_scraped"].samples[0].value == 1


async def test_openapi_documents_problems(client: httpx.AsyncClient) -> None:
    """The document names every route, and errors by their media type."""
    document = (await client.get("/openapi.json")).json()
    assert set(document["paths"]) == {"/v1/predict", "/v1/explain", "/v1/models", "/healthz", "/readyz", "/metrics"}
    responses = document["paths"]["/v1/predict"]["post"]["responses"]
    assert list(responses["422"]["content"]) == [PROBLEM_MEDIA_TYPE]
    assert list(responses["200"]["content"]) == ["application/json"]
    assert (await client.get("/docs")).status_code == 200
