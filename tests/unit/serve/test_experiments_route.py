"""`/v1/experiments` over a real store: who may do what, and what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serve.auth import Guard, credentials_from_environment
from serve.backend import InProcessBackend
from serve.experiments_route import ExperimentDesk
from serve.ingress import create_api
from serve.service import EnsembleService
from trader.models.base import create
from trader.registry import Lineage, Registry
from trader.settings import RegistrySettings
from trader.storage import Store

TOKENS = {
    "TRADER_API_TOKEN_ADA": "ada-has-a-long-token",
    "TRADER_API_TOKEN_BOB": "bob-has-another-token",
    "TRADER_API_TOKEN": "the-token-of-the-admin",
}
WANTED = {"name": "e", "champion": "linear@1.0.0", "challenger": "linear@1.1.0", "why": "a better fit?"}


def _as(user: str) -> dict[str, str]:
    variable = "TRADER_API_TOKEN" if user == "admin" else f"TRADER_API_TOKEN_{user.upper()}"
    return {"Authorization": f"Bearer {TOKENS[variable]}"}


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/trader.db"


@pytest.fixture
def registry_settings(tmp_path: Path, store_url: str) -> RegistrySettings:
    """Of a registry with two versions of a linear model."""
    settings = RegistrySettings(artifacts=str(tmp_path / "artifacts"))
    rows = np.random.default_rng(0).normal(size=(100, 3))
    saved = tmp_path / "saved"
    saved.mkdir()
    create("linear").fit(rows, rows[:, 0], feature_names=("a", "b", "c")).save(saved)
    with Store.open(store_url) as store:
        registry = Registry.of(store, settings)
        lineage = Lineage(data_fingerprint="f" * 64, settings={}, seed=7)
        for why in ("first", "second"):
            registry.register("linear", saved, lineage=lineage, report={}, metrics={}, kind="linear", who="x", why=why)
    return settings


@pytest.fixture
async def client(
    service: EnsembleService, store_url: str, registry_settings: RegistrySettings
) -> AsyncIterator[httpx.AsyncClient]:
    guard = Guard(credentials_from_environment({"ada": "trader", "bob": "viewer"}, TOKENS))
    desk = ExperimentDesk(store_url, registry_settings)
    api = create_api(InProcessBackend(service), experiments=desk, guard=guard)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        yield client


async def test_an_experiment_from_beginning_to_end(client: httpx.AsyncClient) -> None:
    """Registered by a trader, seen by all, not promoted without a pass, forced by an admin, taken back by nobody."""
    made = await client.post("/v1/experiments", json=WANTED, headers=_as("ada"))
    assert made.status_code == 201, made.text
    registered = made.json()["experiment"]
    assert {name: registered[name] for name in WANTED} == WANTED
    assert (registered["phase"], registered["run_id"], registered["who"]) == ("registered", None, "ada")
    assert (registered["kind"], registered["challenger_share"], registered["horizon"]) == ("ab", 0.1, 1000)
    seen = (await client.get("/v1/experiments/e")).json()
    assert (seen["assessment"]["verdict"], seen["assessment"]["low"], seen["history"]) == ("inconclusive", None, [])
    assert [each["name"] for each in (await client.get("/v1/experiments")).json()["experiments"]] == ["e"]

    early = await client.post("/v1/experiments/e/promote", json={"why": "now"}, headers=_as("admin"))
    assert (early.status_code, early.json()["type"]) == (409, "urn:gpt-trader:problem:conflict")
    assert "has not passed: inconclusive" in early.json()["detail"]
    forced = await client.post("/v1/experiments/e/promote", json={"why": "now", "force": True}, headers=_as("admin"))
    assert forced.status_code == 200, forced.text
    assert (forced.json()["before"], forced.json()["after"]) == (None, "1.1.0")
    history = (await client.get("/v1/experiments/e")).json()["history"]
    assert [(entry["kind"], entry["who"], entry["evidence"]["forced"]) for entry in history] == [
        ("promoted", "admin", True)
    ]
    stop = await client.post("/v1/experiments/e/stop", json={"why": "late"}, headers=_as("ada"))
    assert (stop.status_code, "is promoted already" in stop.json()["detail"]) == (409, True)


async def test_a_plan_comes_back_and_its_policy_is_asked(client: httpx.AsyncClient) -> None:
    """A ramp begins at its first step; without a run the policy holds, and that is kept."""
    plan = {"schedule": "ramp", "ramp": [0.05, 0.5, 1.0], "gate_every": 50, "gate_margin": 0.001, "policy": "auto"}
    made = await client.post("/v1/experiments", json=WANTED | plan, headers=_as("ada"))
    assert made.status_code == 201, made.text
    registered = made.json()["experiment"]
    assert {name: registered[name] for name in plan} == plan
    assert registered["challenger_share"] == made.json()["assessment"]["share"] == 0.05
    ruled = (await client.post("/v1/experiments/e/decide", headers=_as("admin"))).json()
    assert (ruled["action"], ruled["reason"]) == ("hold", "inconclusive: no look yet: 0 of 10 blocks")
    (entry,) = (await client.get("/v1/experiments/e")).json()["history"]
    assert (entry["kind"], entry["who"], entry["evidence"]["verdict"]) == ("held", "policy", "inconclusive")
    assert (await client.post("/v1/experiments/nobody/decide", headers=_as("admin"))).status_code == 404


@pytest.mark.parametrize("path", ["", "/e/promote", "/e/rollback", "/e/stop", "/e/decide"])
async def test_changes_need_a_token(client: httpx.AsyncClient, path: str) -> None:
    """None, somebody else's and one of too low a role; the answer says which role is needed, and how to ask."""
    url, body = f"/v1/experiments{path}", {"why": "x"} if path else WANTED
    for headers in ({}, {"Authorization": "Bearer ada-has-a-long-tokem"}, {"Authorization": "Basic YTpi"}):
        refused = await client.post(url, json=body, headers=headers)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert refused.headers["content-type"] == "application/problem+json"
    low = await client.post(url, json=body, headers=_as("bob"))
    assert low.status_code == 403
    assert "bob is viewer" in low.json()["detail"]
    if path in ("/e/promote", "/e/rollback", "/e/decide"):
        assert (await client.post(url, json=body, headers=_as("ada"))).status_code == 403


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"name": "../x"}, 422, "#/name"),
        ({"champion": "linear@7.0.0"}, 404, "7.0.0"),
        ({"challenger": "linear@1.0.0"}, 422, "both linear@1.0.0"),
        ({"challenger_share": 1.5}, 422, "#/challenger_share"),
        ({"kind": "shadow"}, 422, "a shadow has none of the traffic"),
        ({"schedule": "ramp", "ramp": [0.5, 0.1]}, 422, "steps rise from that share"),
        ({"schedule": "ramp"}, 422, "a ramp has steps"),
        ({"schedule": "thompson", "floor": 0.6}, 422, "#/floor"),
        ({"policy": "always"}, 422, "#/policy"),
        ({"horizon": True}, 422, "#/horizon"),
        ({"why": "  "}, 422, "#/why"),
        ({"metric": "ic"}, 422, "#/metric"),
        ({"x": 1}, 422, "#/x"),
    ],
)
async def test_bad_requests_are_refused(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, says: str
) -> None:
    refused = await client.post("/v1/experiments", json=WANTED | change, headers=_as("ada"))
    assert refused.status_code == status, refused.text
    assert says in refused.json()["detail"]
    assert (await client.get("/v1/experiments")).json()["experiments"] == []


async def test_an_unknown_name_and_a_lost_store_are_told_apart(
    service: EnsembleService, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    """404 for what is not there, 503 with Retry-After while the store cannot be read; predictions go on."""
    assert (await client.get("/v1/experiments/nobody")).status_code == 404
    (tmp_path / "broken.db").write_bytes(b"no database at all, but long enough to be read as one" * 100)
    desk = ExperimentDesk(f"sqlite:///{tmp_path}/broken.db", RegistrySettings())
    api = create_api(InProcessBackend(service), experiments=desk)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as lost:
        gone = await lost.get("/v1/experiments")
        assert (gone.status_code, gone.headers["retry-after"]) == (503, "5")
        assert (await lost.get("/readyz")).status_code == 200
        assert (await lost.post("/v1/experiments", json=WANTED, headers=_as("admin"))).status_code == 401
