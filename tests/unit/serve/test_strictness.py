"""What is not a request as the document has it is refused, on every route that reads a body."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from tests.support.problems import is_problem
from tests.support.serving import FEATURE_NAMES, bearer, whole_api

INSTANT: dict[str, Any] = {"feature_names": list(FEATURE_NAMES), "symbols": ["A", "B"], "features": [[0.1, 0.2]] * 2}
WANTED = {"name": "e", "champion": "linear@1.0.0", "challenger": "linear@1.1.0", "why": "a better fit?"}
BODIES = {
    "/v1/predict": INSTANT,
    "/v1/explain": INSTANT,
    "/v1/experiments": WANTED,
    "/v1/experiments/e/promote": {"why": "x"},
    "/v1/experiments/e/rollback": {"why": "x"},
    "/v1/experiments/e/stop": {"why": "x"},
}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return whole_api(tmp_path_factory.mktemp("api"))[0]


@pytest.fixture
async def client(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An admin's."""
    transport = httpx.ASGITransport(api)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=bearer("admin")) as client:
        yield client


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("text", [b"{", b"\xff\xfe{", b"[" * 100_000, b'{"a":' * 100_000, b'{"why": "x",}', b"// x"])
async def test_what_is_no_json_is_400(client: httpx.AsyncClient, path: str, text: bytes) -> None:
    """However deep it nests."""
    is_problem(await client.post(path, content=text, headers=JSON), 400, "malformed-json")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("key", ['"why"', '"wh\\u0079"', '"why" '])
async def test_a_key_that_is_there_twice_is_400(client: httpx.AsyncClient, path: str, key: str) -> None:
    """However it is written; the last one would count otherwise."""
    text = '{"why": "one", %s: "two: three", %s' % (key, orjson.dumps(BODIES[path]).decode()[1:])  # noqa: UP031
    refused = await client.post(path, content=text, headers=JSON)
    assert "the key 'why' is there twice" in is_problem(refused, 400, "malformed-json")["detail"]


async def test_colons_elsewhere_are_no_keys(client: httpx.AsyncClient) -> None:
    """In a name, and of an object within: as before, and what is nested is looked at too."""
    symbols = BODIES["/v1/predict"] | {"symbols": ["BRK:B", "A"]}
    answer = await client.post("/v1/predict", json=symbols)
    assert answer.status_code == 200, answer.text
    deep = "[" * 900 + '{"a": 1, "a": 2}' + "]" * 900
    refused = await client.post("/v1/predict", content='{"features": %s}' % deep, headers=JSON)  # noqa: UP031
    is_problem(refused, 400, "malformed-json")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize(
    "kind", ["text/plain", "text/json", "application/x-www-form-urlencoded", "application/jsonx", ""]
)
async def test_other_types_are_415(client: httpx.AsyncClient, path: str, kind: str) -> None:
    """A body of JSON that says it is something else, too."""
    headers = {"Content-Type": kind} if kind else {}
    refused = await client.post(path, content=orjson.dumps(BODIES[path]), headers=headers)
    assert "application/json is allowed" in is_problem(refused, 415)["detail"]


@pytest.mark.parametrize("path", BODIES)
async def test_unknown_keys_and_other_shapes_are_422(client: httpx.AsyncClient, path: str) -> None:
    """Also a list or a number where an object is, and nothing at all."""
    refused = await client.post(path, json=BODIES[path] | {"more": 1})
    assert is_problem(refused, 422, "invalid-request")["errors"][0]["pointer"] == "#/more"
    for other in ([BODIES[path]], 7, "x", None, {}):
        is_problem(await client.post(path, content=orjson.dumps(other), headers=JSON), 422, "invalid-request")


@pytest.mark.parametrize("path", BODIES)
async def test_long_bodies_are_413(client: httpx.AsyncClient, path: str) -> None:
    """Whether they say so or come in pieces; pieces that fit are put together."""

    async def pieces(whole: bytes, size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(whole), size):
            yield whole[start : start + size]

    long = b'{"why": "' + b"x" * 2**20 + b'"}'
    is_problem(await client.post(path, content=long, headers=JSON), 413, "body-too-large")
    is_problem(await client.post(path, content=pieces(long, 4096), headers=JSON), 413, "body-too-large")
    whole = orjson.dumps(BODIES[path])
    parted = await client.post(path, content=pieces(whole, 7), headers=JSON)
    assert parted.status_code in (200, 201, 404, 409), parted.text


@pytest.mark.parametrize("field", ["alpha", "holdout", "challenger_share"])
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", '"0.1"', "true"])
async def test_experiments_take_finite_numbers(client: httpx.AsyncClient, field: str, number: str) -> None:
    text = orjson.dumps(WANTED).decode()[:-1] + f', "{field}": {number}}}'
    refused = await client.post("/v1/experiments", content=text, headers=JSON)
    if number in ('"0.1"', "true"):
        assert is_problem(refused, 422, "invalid-request")["errors"][0]["pointer"] == f"#/{field}"
    else:
        is_problem(refused, 400, "malformed-json")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"symbols": ["A", "A"]}, "invalid-request"),
        ({"explain": ["C"]}, "invalid-request"),
        ({"explain": ["A", "A"]}, "invalid-request"),
        ({"features": [[0.1, 0.2], [0.1]]}, "invalid-request"),
        ({"feature_names": ["return_5", "rsi"]}, "unusable-features"),
        ({"member": "nobody"}, "unknown-member"),
        ({"top": 0}, "invalid-request"),
        ({"top": 1.5}, "invalid-request"),
    ],
)
async def test_explanations_are_asked_for_strictly(
    client: httpx.AsyncClient, change: dict[str, Any], kind: str
) -> None:
    """Symbols and names that are unknown, or there twice, and rows of another length."""
    is_problem(await client.post("/v1/explain", json=INSTANT | change), 422, kind)


@pytest.mark.parametrize("text", ["7.0", "7e0", "70E-1", "7"])
async def test_a_whole_number_may_be_written_as_json_has_it(client: httpx.AsyncClient, text: str) -> None:
    """JSON has one kind of number."""
    body = orjson.dumps(INSTANT).decode()[:-1] + f', "top": {text}}}'
    answer = await client.post("/v1/explain", content=body, headers=JSON)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "reference", ["linear@1.0", "linear@99999999999.0.0", "lin ear", "linear@", "../x", "", "@1.0.0"]
)
async def test_references_have_a_form(client: httpx.AsyncClient, reference: str) -> None:
    """A number too large for the store is refused like any other text that is no reference."""
    refused = await client.post("/v1/experiments", json=WANTED | {"champion": reference})
    assert is_problem(refused, 422, "invalid-request")["errors"][0]["pointer"] == "#/champion"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/v1/experiments", "GET, POST"), ("/v1/predict", "POST"), ("/v1/serving", "GET, PUT"), ("/healthz", "GET")],
)
async def test_a_method_that_is_not_allowed_says_which_are(client: httpx.AsyncClient, path: str, allowed: str) -> None:
    """Of all routes that have the path."""
    for method in ("DELETE", "PATCH", "TRACE"):
        refused = await client.request(method, path)
        is_problem(refused, 405)
        assert refused.headers["allow"] == allowed


async def test_what_is_made_has_a_place(client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/experiments", json=WANTED | {"name": "placed"})
    assert made.status_code == 201
    assert (await client.get(made.headers["location"])).json()["experiment"]["name"] == "placed"
