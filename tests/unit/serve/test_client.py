"""The client against the real interface: without a socket for asyncio, over one for threads."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
import uvicorn

from serve.backend import InProcessBackend
from serve.client import AsyncClient, Client, PredictAnswer
from serve.client_errors import Cause, HttpConflictError, HttpDataError, HttpNotFoundError, HttpOperationError
from serve.ingress import Limits, create_api
from serve.service import EnsembleService
from trader.core.errors import ConflictError, DataError, ModelError, OperationError, UserError
from trader.core.protocols import Prediction

NAMES = ("momentum_20", "return_5", "volatility_20")
ROWS = 8


@pytest.fixture
async def scorer(service: EnsembleService) -> AsyncIterator[AsyncClient]:
    """An asynchronous client of an interface that takes eight rows at most; it asks for three at a time."""
    api = create_api(InProcessBackend(service), Limits(max_rows=ROWS))
    transport = httpx.ASGITransport(api)
    async with AsyncClient("http://127.0.0.1", transport=transport, batch_rows=3, timeout_s=60.0) as client:
        yield client


@pytest.fixture(scope="module")
def url(model_dir: Path) -> Iterator[str]:
    """The same interface behind a socket."""
    api = create_api(InProcessBackend(EnsembleService(model_dir)), Limits(max_rows=ROWS))
    server = uvicorn.Server(uvicorn.Config(api, log_level="critical", ws="none", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def symbols(n: int) -> list[str]:
    return [f"S{i}" for i in range(n)]


def block(*shape: int) -> np.ndarray:
    """Numbers of all sizes, some of them missing, shape (*shape, 3)."""
    rng = np.random.default_rng(11)
    values = rng.normal(size=(*shape, 3)) * 10.0 ** rng.integers(-12, 3, size=(*shape, 3))
    values[rng.random(size=values.shape) < 0.1] = np.nan
    return values


def same_bits(answers: list[PredictAnswer], want: Prediction) -> bool:
    """Whether the answers are the slices of the prediction."""
    return len(answers) == len(want.score) and all(
        answer.scores.tobytes() == want.score[i].tobytes()
        and {k: v.tobytes() for k, v in answer.members.items()} == {k: v[i].tobytes() for k, v in want.members.items()}
        for i, answer in enumerate(answers)
    )


async def test_scores_keep_their_bits(scorer: AsyncClient, service: EnsembleService, features: np.ndarray) -> None:
    """What comes back are the service's arrays; NaN goes there and comes back."""
    features[4] = np.nan
    answer = await scorer.predict(NAMES, symbols(5), features)
    assert same_bits([answer], service.predict(features[None]))
    assert np.isnan(answer.scores[4])
    assert answer.symbols == tuple(symbols(5))
    assert [(one.name, one.version) for one in answer.versions] == [("linear", "0.1"), ("linear", "10.0")]
    assert answer.request_ids == (answer.request_id,)
    assert len(answer.request_id) == 36


async def test_columns_and_context_go_along(scorer: AsyncClient, service: EnsembleService) -> None:
    """Columns are matched by name; instants before are sent; narrow and reversed arrays are as good as others."""
    values = block(3, 2).astype(np.float32)
    answer = await scorer.predict(NAMES[::-1], symbols(2), values[-1, :, ::-1], values[:-1, :, ::-1])
    assert same_bits([answer], service.predict(values[-1:].astype(np.float64)))


@pytest.mark.parametrize("shape", [(20,), (4, 1), (5, 7), (0, 2)])
async def test_many_keep_their_order(scorer: AsyncClient, service: EnsembleService, shape: tuple[int, ...]) -> None:
    """More rows than a request may hold come back as if there was no limit."""
    values = block(*shape)
    answers = await scorer.predict_many(NAMES, symbols(shape[-1]), values)
    assert same_bits(answers, service.predict(values.reshape(-1, shape[-1], 3)))
    assert all(answer.symbols == tuple(symbols(shape[-1])) for answer in answers)
    assert all(len(set(answer.request_ids)) == -(-shape[-1] // 3) for answer in answers)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_threads_do_the_same(url: str, model_dir: Path, concurrency: int) -> None:
    """Over sockets, one or several, every method of the synchronous client answers as the service does."""
    service, values = EnsembleService(model_dir), block(3, 10)
    with Client(url, batch_rows=4, concurrency=concurrency, timeout_s=60.0) as client:
        assert same_bits(client.predict_many(NAMES, symbols(10), values), service.predict(values))
        one = client.predict(NAMES, symbols(8), values[0, :8])
        assert same_bits([one], service.predict(values[:1, :8]))
        assert client.models().feature_names == list(NAMES)
        assert client.healthy()
        assert client.ready()
        assert "gpt_trader_http_requests_total" in client.metrics()
        with pytest.raises(HttpConflictError, match="background"):
            client.explain(NAMES, symbols(2), values[0, :2])
        with pytest.raises(HttpNotFoundError):
            client.request("post", "/v1/nothing", {"a": np.arange(2)})


def test_one_connection_is_kept(url: str) -> None:
    """Requests one after the other share a connection."""
    with Client(url, timeout_s=60.0) as client:
        for _ in range(3):
            client.models()
        assert len(client._http._transport._pool.connections) == 1  # type: ignore[attr-defined]


async def test_the_server_s_own_state(scorer: AsyncClient, service: EnsembleService, monkeypatch: Any) -> None:
    """Models are described; a process lives while its models fail, but it is not ready."""
    described = await scorer.models()
    assert [(m.key, m.weight) for m in described.members] == [("linear@0.1", 0.75), ("linear@10.0", 0.25)]
    assert described.training == {"rows": 200}
    assert await scorer.request("GET", "/healthz") == {"status": "alive"}
    assert await scorer.ready()
    assert "gpt_trader_member_weight" in await scorer.metrics()

    def fails() -> None:
        raise ModelError("every member fails")

    monkeypatch.setattr(service, "probe", fails)
    assert await scorer.healthy()
    assert not await scorer.ready()


async def test_explanations_are_typed(tmp_path: Path) -> None:
    """An explanation's score is the prediction's, and `explain` picks the symbols."""
    from trader.models.artifacts import save_ensemble
    from trader.models.background import draw_background
    from trader.models.base import create
    from trader.models.ensemble import Ensemble

    rows = np.random.default_rng(3).normal(size=(200, 3))
    model = create("linear").fit(rows, rows[:, 0], feature_names=NAMES)
    save_ensemble(
        Ensemble({"linear@1": model}, background=draw_background(rows, 1, source="of a test")), tmp_path / "m"
    )
    api = create_api(InProcessBackend(EnsembleService(tmp_path / "m")))
    async with AsyncClient("http://localhost", transport=httpx.ASGITransport(api)) as client:
        values = block(4)
        answer = await client.explain(NAMES, symbols(4), values, explain=["S3", "S1"], top=1)
        scores = (await client.predict(NAMES, symbols(4), values)).scores
    assert [one.symbol for one in answer.explanations] == ["S3", "S1"]
    assert [one.score for one in answer.explanations] == [scores[3], scores[1]]
    assert [len(one.values) for one in answer.explanations] == [1, 1]


async def test_problems_become_errors(scorer: AsyncClient) -> None:
    """An error is of our tree, says the problem's detail, and keeps type, causes and request id."""
    with pytest.raises(HttpDataError, match="1 missing") as caught:
        await scorer.predict(("momentum_20", "return_5", "rsi"), ["A"], block(1))
    assert isinstance(caught.value, DataError)
    assert caught.value.type == "urn:gpt-trader:problem:unusable-features"
    with pytest.raises(HttpDataError) as caught:
        await scorer.request("POST", "/v1/predict", {"feature_names": ["a"], "symbols": ["A"], "features": [["1"]]})
    assert caught.value.errors == (Cause("#/features/0/0", "Input should be a valid number"),)
    assert caught.value.status == 422
    assert len(caught.value.request_id) == 36
    with pytest.raises(HttpDataError, match="9 rows; 8 are allowed") as caught:
        await scorer.predict(NAMES, symbols(9), block(9))
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("names", "of", "values", "context", "match"),
    [
        (NAMES, ["A", "A"], np.zeros((2, 3)), None, "2 names, 1 of them distinct"),
        (NAMES, [], np.zeros((0, 3)), None, "symbols holds 0 names"),
        (NAMES, "AB", np.zeros((2, 3)), None, "a sequence of str is"),
        (NAMES, ["A", 1], np.zeros((2, 3)), None, "a sequence of str is"),
        (NAMES, ["A", "\ud800"], np.zeros((2, 3)), None, "cannot be written as JSON"),
        (NAMES, ["A", "B"], np.zeros((3, 3)), None, r"shape \(3, 3\); \(2, 3\)"),
        (NAMES, ["A"], np.zeros((1, 1, 3)), None, "3 axes; one instant"),
        (NAMES, ["A"], np.zeros((1, 3)), np.zeros((1, 3)), "context has the shape"),
        (NAMES, ["A"], [["1", "2", "3"]], None, "numbers are allowed"),
        (NAMES, ["A"], [[0.0, 1.0, np.inf]], None, r"features\[0, 2\] is infinite"),
        (NAMES, ["A"], np.zeros((1, 3)), np.full((2, 1, 3), -np.inf), r"context\[0, 0, 0\] is infinite"),
    ],
)
async def test_unusable_arrays_are_not_sent(
    scorer: AsyncClient, names: Any, of: Any, values: Any, context: Any, match: str
) -> None:
    """Shapes, names and infinities, which JSON would turn into missing values, are refused here."""
    with pytest.raises(DataError, match=match) as caught:
        await scorer.predict(names, of, values, context)
    assert not isinstance(caught.value, HttpDataError)


class Stub:
    """Stands in for an ensemble that looks back; its score of a symbol is its first feature."""

    def __init__(self, context: int) -> None:
        self.context = context
        self.bodies: list[dict[str, Any]] = []
        self.under_way = self.most_under_way = 0
        self.change: dict[str, Any] = {}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        common: dict[str, Any] = {"request_id": request.headers["X-Request-ID"], "new_key": 1}
        if request.method == "GET":
            described = {"feature_names": ["a"], "context": self.context, "members": [], "training": {}}
            return httpx.Response(200, json=common | described)
        body = orjson.loads(request.content)
        self.bodies.append(body)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0.01 if len(self.bodies) % 2 else 0.0)  # odd ones are answered after even ones
        self.under_way -= 1
        scores = [row[0] for row in body["features"]]
        models = [{"name": "stub", "version": "1", "new_key": 2}]
        answer = {"symbols": body["symbols"], "scores": scores, "members": {"stub@1": scores}, "models": models}
        changed = self.change if len(self.bodies) > 1 else {}
        return httpx.Response(200, json=common | answer | {"variants": ["champion"] * len(scores)} | changed)

    def client(self, **options: Any) -> AsyncClient:
        return AsyncClient("http://localhost", transport=httpx.MockTransport(self), **options)


async def test_each_instant_brings_its_past() -> None:
    """Instants are sent with as many before them as the ensemble looks back at, the given context included."""
    stub, values = Stub(context=3), np.arange(10.0).reshape(5, 2, 1)
    async with stub.client(concurrency=2) as client:
        answers = await client.predict_many(["a"], ["A", "B"], values[1:], values[:1])
    assert [answer.scores.tolist() for answer in answers] == values[1:, :, 0].tolist()
    sent = sorted((body["features"], body.get("context", [])) for body in stub.bodies)
    assert sent == [(values[t].tolist(), values[max(0, t - 2) : t].tolist()) for t in range(1, 5)]
    assert stub.most_under_way == 2


async def test_models_that_look_back_see_all_symbols() -> None:
    """They may compare symbols, so an instant that does not fit is refused rather than scored in parts."""
    stub = Stub(context=3)
    async with stub.client(batch_rows=8) as client:
        await client.predict_many(["a"], ["A", "B"], np.zeros((4, 2, 1)))
        with pytest.raises(DataError, match="3 symbols at 3 instants are 9 rows; batch_rows=8"):
            await client.predict_many(["a"], ["A", "B", "C"], np.zeros((4, 3, 1)))


async def test_an_instant_is_scored_by_the_same_models() -> None:
    """If the members change between the requests of an instant, its scores are not put together."""
    stub = Stub(context=1)
    stub.change = {"members": {}}
    async with stub.client(batch_rows=1, concurrency=1) as client:
        assert len(await client.predict_many(["a"], ["A"], np.zeros((2, 1, 1)))) == 2
        stub.bodies.clear()
        with pytest.raises(ConflictError, match="ask again"):
            await client.predict_many(["a"], ["A", "B"], np.zeros((2, 1)))


async def test_an_experiment_mixes_members() -> None:
    """A request without a symbol of the challenger's lacks the challenger's members: they are NaN there."""
    stub = Stub(context=1)
    both = {"stub@1": [1.0], "stub@2": [2.0]}
    models = [{"name": "stub", "version": version} for version in ("1", "2")]
    stub.change = {"scores": [2.0], "members": both, "models": models, "variants": ["challenger"]}
    async with stub.client(batch_rows=1, concurrency=1) as client:
        (answer,) = await client.predict_many(["a"], ["A", "B"], [[1.0], [1.0]])
    assert answer.variants == ("champion", "challenger")
    assert answer.scores.tolist() == [1.0, 2.0]
    assert answer.members["stub@1"].tolist() == [1.0, 1.0]
    assert np.array_equal(answer.members["stub@2"], [np.nan, 2.0], equal_nan=True)
    assert [one.version for one in answer.versions] == ["1", "2"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"variants": []}, "variants holds 0 values"),
        ({"symbols": ["B", "A"]}, "2 symbols, not the 2 asked for in their order"),
        ({"scores": [1.0]}, "scores holds 1 values for 2 symbols"),
        ({"members": {"stub@1": [1.0, 2.0, 3.0]}}, "stub@1 holds 3 values"),
        ({"scores": ["1.0", 2.0]}, "scores.0"),
        ({"scores": None}, "scores: Input should be a valid list"),
    ],
)
async def test_answers_are_checked(change: dict[str, Any], match: str) -> None:
    """An answer of another shape, order or type is an error, and is not asked for again."""
    stub = Stub(context=1)
    async with stub.client() as client:
        await client.predict(["a"], ["A", "B"], [[1.0], [2.0]])
        stub.change = change
        with pytest.raises(OperationError, match=match) as caught:
            await client.predict(["a"], ["A", "B"], [[1.0], [2.0]])
    assert caught.value.status == 200  # type: ignore[attr-defined]
    assert len(stub.bodies) == 2


async def test_the_first_error_ends_a_batch() -> None:
    """After an error nothing further is sent."""
    stub = Stub(context=1)
    stub.change = {"scores": []}
    async with stub.client(batch_rows=1, concurrency=1) as client:
        with pytest.raises(HttpOperationError):
            await client.predict_many(["a"], symbols(50), np.zeros((50, 1)))
    assert len(stub.bodies) <= 3


@pytest.mark.parametrize("path", ["v1/models", "http://elsewhere/v1", "//elsewhere/v1"])
async def test_requests_stay_with_their_server(scorer: AsyncClient, path: str) -> None:
    """A path cannot lead to another host."""
    with pytest.raises(UserError, match="below the server's URL"):
        await scorer.request("GET", path)
