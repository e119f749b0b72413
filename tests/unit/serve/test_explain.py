"""`POST /v1/explain` over a service in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.backend import InProcessBackend
from serve.ingress import Limits, create_api
from serve.service import EnsembleService
from tests.support.problems import is_problem
from trader.models.artifacts import load_ensemble, save_ensemble
from trader.models.background import draw_background
from trader.models.base import create
from trader.models.ensemble import Ensemble

NAMES = ("momentum_20", "return_5", "volatility_20")


@pytest.fixture(scope="module")
def explained_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear model and trees, saved with their background."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(800, 3))
    target = rows[:, 0] * (rows[:, 1] > 0) + 0.3 * rows[:, 2] + 0.1 * rng.normal(size=800)
    members = {
        f"{name}@1": create(name).fit(rows, target, feature_names=NAMES, seed=1) for name in ("linear", "boosting")
    }
    ensemble = Ensemble(members, scales={"linear@1": 0.3}, background=draw_background(rows, 1, source="of a test"))
    folder = tmp_path_factory.mktemp("explained") / "models"
    save_ensemble(ensemble, folder)
    return folder


@pytest.fixture
def explained(explained_dir: Path) -> EnsembleService:
    return EnsembleService(explained_dir)


@pytest.fixture
async def client(explained: EnsembleService) -> AsyncIterator[httpx.AsyncClient]:
    api = create_api(InProcessBackend(explained), Limits(max_rows=8, max_explained=5))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize("member", ["ensemble", "linear", "boosting@1"])
async def test_values_add_up_to_what_predict_says(client: httpx.AsyncClient, body: dict[str, Any], member: str) -> None:
    """Base and values of each symbol are its score in `/v1/predict`, of the ensemble and of each member."""
    prediction = (await client.post("/v1/predict", json=body)).json()
    answer = (await client.post("/v1/explain", json=body | {"member": member})).json()
    name = answer["member"]
    scores = prediction["scores"] if member == "ensemble" else prediction["members"][name]
    assert answer["method"] == "shap"
    assert [one["symbol"] for one in answer["explanations"]] == body["symbols"]
    for one, score in zip(answer["explanations"], scores, strict=True):
        assert one["score"] == score
        total = one["base"] + sum(share["value"] for share in one["values"])
        assert total == pytest.approx(score, abs=1e-12)
        assert one["additivity_error"] < 1e-12
        assert {share["feature"] for share in one["values"]} == set(NAMES)
        assert all(share["standard_error"] is None for share in one["values"])


async def test_the_background_is_the_artefact_s(
    client: httpx.AsyncClient, body: dict[str, Any], explained_dir: Path
) -> None:
    """The base is the mean score of the sample that travels with the models, and the answer names that sample."""
    ensemble = load_ensemble(explained_dir)
    assert ensemble.background is not None
    answer = (await client.post("/v1/explain", json=body)).json()
    assert answer["background"]["rows"] == "100 rows of a test"
    assert answer["background"]["sha256"] == ensemble.background.sha256
    mean = ensemble(ensemble.background.rows[None]).score.mean()
    assert [one["base"] for one in answer["explanations"]] == pytest.approx([mean] * 5, abs=1e-12)


async def test_top_lists_the_largest_and_sums_the_rest(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """With `top` the largest values are listed, in order of their size, and nothing is lost."""
    whole = (await client.post("/v1/explain", json=body)).json()["explanations"]
    short = (await client.post("/v1/explain", json=body | {"top": 1})).json()["explanations"]
    for one, full in zip(short, whole, strict=True):
        sizes = [abs(share["value"]) for share in full["values"]]
        assert sizes == sorted(sizes, reverse=True)
        assert one["values"] == full["values"][:1]
        assert one["base"] + one["values"][0]["value"] + one["rest"] == pytest.approx(one["score"], abs=1e-12)
        assert full["rest"] == 0.0


async def test_chosen_symbols_and_the_order_of_columns(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """`explain` picks symbols in its own order; columns go by name."""
    whole = (await client.post("/v1/explain", json=body)).json()["explanations"]
    reordered = body | {
        "feature_names": body["feature_names"][::-1],
        "features": [row[::-1] for row in body["features"]],
        "explain": ["S3", "S1"],
    }
    picked = (await client.post("/v1/explain", json=reordered)).json()["explanations"]
    assert [one["symbol"] for one in picked] == ["S3", "S1"]
    assert [one["values"] for one in picked] == [whole[3]["values"], whole[1]["values"]]


async def test_context_may_come_along(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """The past has the shape that `/v1/predict` takes; models of single rows do not read it."""
    small = body | {"symbols": body["symbols"][:3], "features": body["features"][:3]}
    with_past = small | {"context": [small["features"]]}
    answers = [(await client.post("/v1/explain", json=one)).json() for one in (small, with_past)]
    assert answers[0]["explanations"] == answers[1]["explanations"]
    is_problem(await client.post("/v1/explain", json=body | {"context": [body["features"]]}), 413, "too-many-rows")


async def test_lime_says_how_well_it_fits(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """LIME promises no additivity and gives its fidelity; the linear member it fits all but perfectly."""
    answer = (await client.post("/v1/explain", json=body | {"method": "lime", "member": "linear"})).json()
    assert answer["tolerance"] is None
    assert all(one["fidelity"] > 0.999 for one in answer["explanations"])


async def test_an_abstention_has_no_values(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """A symbol without known features has null for a score and nothing to explain; the others are explained."""
    body["features"][2] = [None] * 3
    answer = (await client.post("/v1/explain", json=body)).json()
    one = answer["explanations"][2]
    assert (one["score"], one["base"], one["rest"], one["values"]) == (None, None, None, [])
    assert answer["explanations"][1]["values"]
    assert any("abstains" in warning for warning in answer["warnings"])


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"method": "guess"}, 422, "invalid-request"),
        ({"top": 0}, 422, "invalid-request"),
        ({"explain": ["S9"]}, 422, "invalid-request"),
        ({"explain": ["S1", "S1"]}, 422, "invalid-request"),
        ({"member": "nobody"}, 422, "unknown-member"),
        ({"method": "ig"}, 422, "unsupported-method"),
        ({"feature_names": ["a", "b", "c"]}, 422, "unusable-features"),
    ],
)
async def test_bad_requests_are_problems(
    client: httpx.AsyncClient, body: dict[str, Any], change: dict[str, Any], status: int, kind: str
) -> None:
    """What cannot be explained is said so, by the kind of its cause."""
    is_problem(await client.post("/v1/explain", json=body | change), status, kind)


async def test_too_many_symbols_are_refused(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """More symbols than allowed are 413; naming fewer of them helps."""
    six = body | {"symbols": [f"S{i}" for i in range(6)], "features": [[0.1, 0.2, 0.3]] * 6}
    assert (
        "name them in explain" in is_problem(await client.post("/v1/explain", json=six), 413, "too-many-rows")["detail"]
    )
    assert (await client.post("/v1/explain", json=six | {"explain": ["S0"]})).status_code == 200


async def test_models_without_a_background_are_not_explained(service: EnsembleService, body: dict[str, Any]) -> None:
    """An artefact that was saved before there were backgrounds predicts, and answers 409 here."""
    api = create_api(InProcessBackend(service))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        assert (await client.post("/v1/predict", json=body)).status_code == 200
        is_problem(await client.post("/v1/explain", json=body), 409, "no-background")


async def test_repeats_come_from_the_cache(
    client: httpx.AsyncClient, explained: EnsembleService, body: dict[str, Any]
) -> None:
    """Equal requests are computed once, other rows or methods anew, and both are counted."""
    changed = body | {"features": [[0.0, 0.1, 0.2]] * 5}
    answers = [(await client.post("/v1/explain", json=one)).json() for one in (body, body, changed)]
    assert [answer["cached"] for answer in answers] == [False, True, False]
    assert answers[0]["explanations"] == answers[1]["explanations"]
    assert _value(explained, "gpt_trader_explanations_total", source="cache") == 1
    assert _value(explained, "gpt_trader_explanations_total", source="computed") == 2


async def test_one_explanation_at_a_time(
    client: httpx.AsyncClient, explained: EnsembleService, body: dict[str, Any]
) -> None:
    """While one is computed another is refused with 503 and counted, predictions are answered, then its turn comes."""
    with explained._explainer._turn:
        refused = await client.post("/v1/explain", json=body)
        is_problem(refused, 503, "explainer-busy")
        assert refused.headers["retry-after"] == "1"
        assert (await client.post("/v1/predict", json=body)).status_code == 200
    assert (await client.post("/v1/explain", json=body)).status_code == 200
    assert _value(explained, "gpt_trader_explanation_refusals_total") == 1


async def test_predictions_are_answered_during_an_explanation(client: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """An explanation computes in a thread of its own: predictions sent after it are answered before it."""
    explanation = asyncio.create_task(client.post("/v1/explain", json=body | {"method": "lime", "member": "boosting"}))
    answered = 0
    while not explanation.done():
        await asyncio.sleep(0)  # in one process a request may be answered without ever leaving the loop
        assert (await client.post("/v1/predict", json=body)).status_code == 200
        answered += not explanation.done()
    assert (await explanation).status_code == 200
    assert answered >= 2


def _value(service: EnsembleService, name: str, **labels: str) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(service.metrics())
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
