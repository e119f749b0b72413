"""Whatever is sent, the answer is a prediction or a problem that blames the client."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.backend import InProcessBackend
from serve.ingress import create_api
from serve.problems import PROBLEM_MEDIA_TYPE
from serve.service import EnsembleService

NAMES = ["momentum_20", "return_5", "volatility_20"]

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.none()
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4),
    max_leaves=10,
)
requests = st.fixed_dictionaries(
    {
        "feature_names": st.permutations(NAMES) | anything,
        "symbols": st.lists(st.text(max_size=3), max_size=3) | anything,
        "features": st.lists(st.lists(numbers, min_size=2, max_size=3), max_size=3) | anything,
    },
    optional={"extra": anything},
)
good_rows = st.lists(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), min_size=3, max_size=3),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def service(model_dir: Path) -> EnsembleService:
    """One service for all examples."""
    return EnsembleService(model_dir)


@pytest.fixture(scope="module")
def api(service: EnsembleService) -> FastAPI:
    """The interface over that service."""
    return create_api(InProcessBackend(service))


@settings(max_examples=150, deadline=None)
@given(request=requests | anything)
def test_no_json_makes_a_server_error(api: FastAPI, request: Any) -> None:
    """Any JSON value, near to a request or far from it, is answered 200 or 4xx; 4xx is a problem document."""
    response = _post(api, json.dumps(request).encode())
    assert response.status_code == 200 or 400 <= response.status_code < 500, response.text
    if response.status_code != 200:
        assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE
        assert response.json()["status"] == response.status_code


@settings(max_examples=100, deadline=None)
@given(text=st.binary(max_size=40), content_type=st.sampled_from(["application/json", "text/plain", ""]))
def test_no_bytes_make_a_server_error(api: FastAPI, text: bytes, content_type: str) -> None:
    """Bytes that are not a request are refused as a problem, of whatever type they say they are."""
    response = _post(api, text, content_type)
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == PROBLEM_MEDIA_TYPE


@settings(max_examples=100, deadline=None)
@given(rows=good_rows)
def test_every_finite_number_survives_the_way(api: FastAPI, service: EnsembleService, rows: list[Any]) -> None:
    """Any doubles, tiny, huge or missing, are scored over HTTP as in process, bit for bit."""
    symbols = [f"S{i}" for i in range(len(rows))]
    request = {"feature_names": NAMES, "symbols": symbols, "features": rows}
    scores = _post(api, json.dumps(request).encode()).json()["scores"]
    want = service.predict(np.array([rows], dtype=np.float64)).score[0]
    # JSON has no NaN and no infinity: a score that is not a finite number is null.
    got = np.array(scores, dtype=np.float64)
    assert got.tobytes() == np.where(np.isfinite(want), want, np.nan).tobytes()


def _post(api: FastAPI, content: bytes, content_type: str = "application/json") -> httpx.Response:
    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
            return await client.post("/v1/predict", content=content, headers={"Content-Type": content_type})

    return asyncio.run(post())
