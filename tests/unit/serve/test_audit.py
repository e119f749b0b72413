"""The audit log over a real store: who asked for which change, and what came of it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from serve.audit import AuditDesk
from tests.support.problems import is_problem
from tests.support.serving import bearer, whole_api
from trader.core.errors import StoreError

WANTED = {"name": "e", "champion": "linear@1.0.0", "challenger": "linear@1.1.0", "why": "a better fit?"}


@pytest.fixture
def api(tmp_path: Path) -> FastAPI:
    return whole_api(tmp_path)[0]


@pytest.fixture
async def client(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        yield client


async def _entries(client: httpx.AsyncClient, **query: int) -> list[dict[str, Any]]:
    answer = await client.get("/v1/audit", params=query, headers=bearer("admin"))
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


async def test_every_change_is_written_down(client: httpx.AsyncClient) -> None:
    """Done, refused and denied; by whom, by which request, with the digest of what was asked."""
    before = time.time_ns()
    asked = json.dumps(WANTED).encode()
    headers = {"Content-Type": "application/json", "X-Request-ID": "first"}
    await client.post("/v1/experiments", content=asked, headers=headers | bearer("ada"))
    await client.post("/v1/experiments", json=WANTED, headers=bearer("ada"))
    await client.post("/v1/experiments", json={"name": "x"}, headers=bearer("ada"))
    await client.post("/v1/experiments/e/promote", json={"why": "now"}, headers=bearer("bob"))
    await client.post("/v1/experiments/e/stop", json={"why": "over"})
    entries = (await _entries(client))[::-1]
    assert [(each["who"], each["role"], each["path"], each["status"], each["outcome"]) for each in entries] == [
        ("ada", "trader", "/v1/experiments", 201, "done"),
        ("ada", "trader", "/v1/experiments", 409, "refused"),
        ("ada", "trader", "/v1/experiments", 422, "refused"),
        ("bob", "viewer", "/v1/experiments/e/promote", 403, "denied"),
        (None, None, "/v1/experiments/e/stop", 401, "denied"),
    ]
    first = entries[0]
    assert (first["request_id"], first["method"], first["entry_no"]) == ("first", "POST", 1)
    assert first["body_sha256"] == hashlib.sha256(asked).hexdigest()
    assert before <= first["ts_ns"] <= time.time_ns()


async def test_reading_is_not_a_change(client: httpx.AsyncClient) -> None:
    """Neither are predictions, nor what has not come as far as its token."""
    await client.get("/v1/experiments")
    await client.get("/v1/audit")
    await client.post("/v1/predict", json={})
    await client.post("/v1/experiments", content=b"{", headers={"Content-Type": "application/json"} | bearer("ada"))
    await client.put("/v1/experiments", json=WANTED, headers=bearer("ada"))
    assert await _entries(client) == []


async def test_the_log_is_for_admins_and_comes_in_pages(client: httpx.AsyncClient) -> None:
    for who, status in (("ada", 403), ("bob", 403)):
        is_problem(await client.get("/v1/audit", headers=bearer(who)), status, "forbidden")
    is_problem(await client.get("/v1/audit"), 401, "unauthenticated")
    for _ in range(5):
        await client.post("/v1/experiments/nobody/stop", json={"why": "x"}, headers=bearer("ada"))
    page = (await client.get("/v1/audit", params={"limit": 3}, headers=bearer("admin"))).json()
    assert ([each["entry_no"] for each in page["entries"]], page["next"]) == ([5, 4, 3], 3)
    rest = (await client.get("/v1/audit", params={"limit": 3, "before": 3}, headers=bearer("admin"))).json()
    assert ([each["entry_no"] for each in rest["entries"]], rest["next"]) == ([2, 1], None)
    for query in ({"limit": 0}, {"limit": 1001}, {"before": "x"}, {"before": 2**63}):
        is_problem(await client.get("/v1/audit", params=query, headers=bearer("admin")), 422, "invalid-request")


async def test_an_attacker_cannot_fill_the_disk(client: httpx.AsyncClient) -> None:
    """Sixty denied requests a minute are kept; the others are counted. Those of users are all kept."""
    for _ in range(70):
        assert (await client.post("/v1/experiments/e/stop", json={"why": "x"})).status_code == 401
    await client.post("/v1/experiments", json=WANTED, headers=bearer("ada"))
    entries = await _entries(client)
    assert entries[0]["outcome"] == "done"
    kept = len(entries) - 1
    assert 60 <= kept <= 62
    metrics = (await client.get("/metrics")).text
    assert 'gpt_trader_audit_entries_total{kept="stored",outcome="denied"' in metrics
    dropped = next(line for line in metrics.splitlines() if 'entries_total{kept="dropped",outcome="denied"' in line)
    assert float(dropped.rsplit(" ", 1)[1]) == 70 - kept


async def test_without_its_entry_a_change_is_not_answered_as_done(
    api: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The store takes the change and then goes away: 503, and the entry is in the server's log; it is counted."""

    def refuse(*_: Any) -> None:
        raise StoreError("store sqlite:///x: disk full")

    with monkeypatch.context() as patch:
        patch.setattr(AuditDesk, "add", refuse)
        answer = await client.post("/v1/experiments", json=WANTED, headers=bearer("ada"))
        problem = is_problem(answer, 503, "store-unavailable")
        denied = await client.post("/v1/experiments", json=WANTED)
    assert "the change was made" in problem["detail"]
    assert answer.headers["retry-after"] == "5"
    is_problem(denied, 401, "unauthenticated")
    assert "disk full" in caplog.text
    assert "'who': 'ada'" in caplog.text
    assert bearer("ada")["Authorization"] not in caplog.text
    assert 'kept="failed",outcome="done"' in (await client.get("/metrics")).text


async def test_a_store_that_is_gone_allows_no_change(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """503 with Retry-After, for the change and for the log."""
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / f"trader.db{suffix}").unlink(missing_ok=True)
    (tmp_path / "trader.db").write_bytes(b"no database at all, but long enough to be read as one" * 100)
    change = await client.post("/v1/experiments", json=WANTED, headers=bearer("ada"))
    assert is_problem(change, 503, "store-unavailable")
    assert change.headers["retry-after"] == "5"
    is_problem(await client.get("/v1/audit", headers=bearer("admin")), 503, "store-unavailable")
