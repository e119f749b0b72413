"""The router: who answers for which symbol, and what a challenger that is ill or slow costs."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
import pytest

from serve.backend import Backend, InProcessBackend
from serve.ingress import Limits, create_api
from serve.metrics import HttpMetrics
from serve.rate_limit import RateLimiter
from serve.routing import Challenge, Router
from serve.service import EnsembleService
from trader.core.errors import ModelError
from trader.core.protocols import LeftOut, Prediction
from trader.experiments.assignment import Split, Variant, assign

SYMBOLS = [f"S{n}" for n in range(40)]
HALF = Split("e", 0.5)
SHADOW = Split("e", 0.0)


class _Model:
    """Answers a constant, after a while or never, or fails."""

    deployment = "test"

    def __init__(self, score: float, key: str) -> None:
        self.score_is, self.key = score, key
        self.error: Exception | None = None
        self.left_out: dict[str, LeftOut] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0

    async def score(self, names: tuple[str, ...], features: np.ndarray, trace: str | None = None) -> Prediction:
        self.asked += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        score = np.full((1, features.shape[1]), self.score_is)
        return Prediction(score, {"shared@1": score * 0, self.key: score}, self.left_out)


def _router(split: Split, **options: Any) -> tuple[Router, _Model, _Model, HttpMetrics]:
    champion, challenger, metrics = _Model(1.0, "linear@1"), _Model(-2.0, "linear@2"), HttpMetrics()
    as_backends: Any = (champion, challenger)
    router = Router(as_backends[0], (as_backends[1], Challenge(split, **options)), metrics=metrics)
    return router, champion, challenger, metrics


def _count(metrics: HttpMetrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"gpt_trader_{name}_total", labels) or 0.0


FEATURES = np.zeros((1, len(SYMBOLS), 2))


async def test_each_symbol_is_answered_by_its_variant() -> None:
    """As assigned, always the same; every member that was asked is in the answer, and the symbols are counted."""
    router, _, _, metrics = _router(HALF)
    mine = assign(SYMBOLS, HALF) == Variant.CHALLENGER
    assert 0 < mine.sum() < len(SYMBOLS)
    for _ in range(3):
        got = await router.score(SYMBOLS, ("a", "b"), FEATURES)
        np.testing.assert_array_equal(got.prediction.score[0], np.where(mine, -2.0, 1.0))
        assert [variant == "challenger" for variant in got.variants] == mine.tolist()
        assert list(got.prediction.members) == ["shared@1", "linear@1", "linear@2"]
    assert _count(metrics, "routed_symbols", variant="challenger") == 3 * mine.sum()


async def test_the_challenger_is_not_asked_for_others_symbols() -> None:
    router, _, challenger, _ = _router(HALF)
    theirs = [symbol for symbol, own in zip(SYMBOLS, assign(SYMBOLS, HALF), strict=True) if not own]
    got = await router.score(theirs, ("a", "b"), FEATURES[:, : len(theirs)])
    assert set(got.variants) == {"champion"}
    assert challenger.asked == 0


@pytest.mark.parametrize("ailment", ["raises", "runs out of memory", "has no member left", "hangs"])
async def test_a_challenger_that_is_ill_costs_its_share_only(ailment: str) -> None:
    """The champion answers for all; after three failures the challenger is not asked for sixteen requests."""
    router, _, challenger, metrics = _router(HALF, timeout_s=0.5 if ailment == "hangs" else 60.0)
    if ailment == "raises":
        challenger.error = ModelError("broken")
    elif ailment == "runs out of memory":
        challenger.error = MemoryError()
    elif ailment == "has no member left":
        challenger.left_out = {"shared@1": "failed", "linear@2": "skipped"}
    else:
        challenger.gate.clear()
    for _ in range(19):
        got = await router.score(SYMBOLS, ("a", "b"), FEATURES)
        assert set(got.variants) == {"champion"}
        assert (got.prediction.score == 1.0).all()
    assert challenger.asked == 3
    assert _count(metrics, "challenger_requests", outcome="failed") == 3
    assert _count(metrics, "challenger_requests", outcome="skipped") == 16
    challenger.error, challenger.left_out = None, {}
    challenger.gate.set()
    assert "challenger" in (await router.score(SYMBOLS, ("a", "b"), FEATURES)).variants


async def test_the_champions_error_is_the_answer() -> None:
    router, champion, challenger, _ = _router(HALF)
    champion.error = ModelError("no member answers")
    with pytest.raises(ModelError, match="no member answers"):
        await router.score(SYMBOLS, ("a", "b"), FEATURES)
    assert challenger.asked <= 1


async def test_nobody_waits_for_a_shadow() -> None:
    """Answers go out while a shadow hangs; four requests wait for it and the rest are counted as dropped."""
    router, _, shadow, metrics = _router(SHADOW, timeout_s=120.0, queue=4)
    shadow.gate.clear()
    for _ in range(10):
        got = await asyncio.wait_for(router.score(SYMBOLS, ("a", "b"), FEATURES), 30.0)
        assert set(got.variants) == {"champion"}
        assert list(got.prediction.members) == ["shared@1", "linear@1"]
    assert _count(metrics, "challenger_requests", outcome="dropped") == 6
    shadow.gate.set()
    await router.drain()
    assert shadow.asked == 4
    assert _count(metrics, "challenger_requests", outcome="answered") == 4
    assert _count(metrics, "shadow_symbols", sign="other") == 4 * len(SYMBOLS)


async def test_over_http(service: EnsembleService, features: np.ndarray, body: dict[str, Any]) -> None:
    """The answer says who scored each symbol; with the same models on both sides no bit differs."""
    backend: Backend = InProcessBackend(service)
    plain, routed = (
        httpx.AsyncClient(transport=httpx.ASGITransport(create_api(Router(backend, pair))), base_url="http://test")
        for pair in (None, (backend, Challenge(HALF)))
    )
    async with plain, routed:
        one = (await plain.post("/v1/predict", json=body)).json()
        other = (await routed.post("/v1/predict", json=body)).json()
    assert one["variants"] == ["champion"] * 5
    expected = ["challenger" if own else "champion" for own in assign(body["symbols"], HALF)]
    assert other["variants"] == expected
    assert (one["scores"], one["members"]) == (other["scores"], other["members"])


async def test_one_key_has_one_variant(service: EnsembleService, body: dict[str, Any]) -> None:
    """All symbols of an account are scored by its variant, whatever they are; the share of accounts is that asked."""
    backend: Backend = InProcessBackend(service)
    api = create_api(Router(backend, (backend, Challenge(HALF))))
    keys = [f"account-{n}" for n in range(40)]
    mine = assign(keys, HALF) == Variant.CHALLENGER
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        for key, own in zip(keys, mine, strict=True):
            answer = (await client.post("/v1/predict", json=body | {"key": key})).json()
            assert answer["variants"] == ["challenger" if own else "champion"] * 5
        assert (await client.post("/v1/predict", json=body | {"key": ""})).status_code == 422


async def test_a_deadline_is_kept(service: EnsembleService, body: dict[str, Any]) -> None:
    """A hanging model is given up at the client's deadline, and one that has passed is not worked on."""
    hanging: Any = _Model(1.0, "linear@1")
    hanging.gate.clear()
    api = create_api(hanging)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        for given, status, kind in (("1000", 504, "deadline-exceeded"), ("0", 504, "deadline-exceeded")):
            late = await client.post("/v1/predict", json=body, headers={"X-Request-Deadline-Ms": given})
            assert (late.status_code, late.json()["type"]) == (status, f"urn:gpt-trader:problem:{kind}")
        for wrong in ("soon", "-1", "3600001", "1.5"):
            refused = await client.post("/v1/predict", json=body, headers={"X-Request-Deadline-Ms": wrong})
            assert refused.status_code == 400, wrong
    assert hanging.asked == 1


async def test_a_client_that_sends_too_much_waits(service: EnsembleService) -> None:
    """After its burst it is answered 429 with when to come again; health is never refused."""
    api = create_api(InProcessBackend(service), Limits(rate=0.01, burst=3))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        answers = [(await client.get("/v1/models")).status_code for _ in range(5)]
        assert answers == [200, 200, 200, 429, 429]
        refused = await client.get("/v1/models")
        assert refused.headers["content-type"] == "application/problem+json"
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert (await client.get("/healthz")).status_code == 200


def test_buckets_fill_again_and_the_oldest_are_forgotten() -> None:
    now = [0.0]
    limiter = RateLimiter(10.0, 2, lambda: now[0])
    assert [limiter.wait_s("a") for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]
    now[0] = 0.1
    assert [limiter.wait_s("a") for _ in range(2)] == [0.0, pytest.approx(0.1)]
    for n in range(10_000):
        limiter.wait_s(f"client-{n}")
    assert limiter.wait_s("a") == 0.0
