"""`trader serve up`, `status`, `down` from outside: in the foreground on a cluster of its own, and left on another."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from serve.plan import deployment_of
from serve.service import EnsembleService
from tests.support.command import environment
from tests.support.load import Load
from tests.support.standing import NAMES, register, wait_for_session
from tests.support.waiting import wait_until
from trader.experiments.assignment import Split, Variant, assign
from trader.models.artifacts import read_manifest

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TOKEN = "a-token-of-the-tests"  # noqa: S105
SMALL = ("--set", "ray.dashboard=false", "--set", "ray.object_store_mb=100")
HEAD = """
import ray, sys
context = ray.init(address="local", num_cpus=2, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)
print(context.address_info["address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def head() -> Iterator[str]:
    """The address of a bare cluster in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEAD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(RAY_AUTH_MODE="disabled", RAY_USAGE_STATS_ENABLED="0"),
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.communicate("", timeout=180)


def is_free(port: int) -> bool:
    """Whether a port of the loopback can be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_up_stands_and_changes_in_place_until_down(
    start_trader: Any, trader: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """One life under load: weights, a version, an experiment, its promotion and rollback; no request fails.

    Each answer is one of those that the models give in this process, and the ingress is the same process throughout.
    """
    register(tmp_path, "linear", "linear", "momentum")
    kept = ("--set", f"registry.artifacts={tmp_path / 'artifacts'}")
    up = ("serve", "up", "--members", "linear@champion,momentum", "--port", "0", "--json", *kept, *SMALL)
    process = start_trader(*up, TRADER_API_TOKEN=TOKEN)
    session = wait_for_session(process, tmp_path / "serve/standing/session.json")
    assert session["pid"] == process.pid
    url = session["http_url"]
    assert url.startswith("http://127.0.0.1:")

    symbols = [f"S{n}" for n in range(4)]
    features = [[0.3, -1.25], [2.0, None], [1.0, 1.0], [-0.5, 0.25]]
    asked = {"feature_names": NAMES, "symbols": symbols, "features": features}
    saved, panel = EnsembleService(session["model_dir"]), np.array([features], dtype=float)
    mine = assign(symbols, Split("retrained", 0.5)) == Variant.CHALLENGER
    assert 0 < mine.sum() < len(symbols)
    with Load(url, asked) as load:

        def apply(*options: str) -> dict[str, Any]:
            done = trader("serve", "apply", "--json", *options, *kept)
            assert done.returncode == 0, done.stderr
            found: dict[str, Any] = json.loads(done.stdout)
            return found

        def post(path: str, **body: Any) -> None:
            headers = {"Authorization": f"Bearer {TOKEN}"}
            done = httpx.post(f"{url}{path}", json=body | {"why": "a test"}, headers=headers, timeout=60)
            assert done.status_code in (200, 201), done.text

        def follow(member: str) -> None:
            def served() -> list[str]:
                return [each["key"] for each in httpx.get(f"{url}/v1/models", timeout=60).json()["members"]]

            wait_until(lambda: member in served(), 180)

        def answered(n_ways: int) -> None:
            """Wait until answers have been seen of that many ways to score."""
            wait_until(lambda: len(load.answers) >= n_ways or load.failures)

        answered(1)
        heavy = apply("--members", "linear@champion,momentum", "--weights", "3,1")
        assert (heavy["outcome"], heavy["serving"]["model_dir"]) == ("applied", session["model_dir"])
        answered(2)
        versions = {"champion": "linear@1.0.0", "challenger": "linear@1.1.0"}
        post("/v1/experiments", name="retrained", **versions, challenger_share=0.5)
        both = apply("--members", "linear@champion,momentum", "--experiment", "retrained")
        answered(3)
        post("/v1/experiments/retrained/promote", force=True)
        follow("linear@1.1.0")
        answered(4)
        post("/v1/experiments/retrained/rollback")
        follow("linear@1.0.0")
        time.sleep(0.5)
    assert load.failures == []
    other = EnsembleService(both["serving"]["challenger_dir"]).score(NAMES, panel).score[0]
    first = saved.score(NAMES, panel).score[0]
    saved.reconfigure({"weights": {"linear@1.0.0": 3.0, "momentum@1.0.0": 1.0}})
    expected = [first, saved.score(NAMES, panel).score[0], np.where(mine, other, first), other]
    assert set(load.answers) == {tuple(scores.tolist()) for scores in expected}
    assert httpx.get(f"{url}/v1/models", timeout=60).json()["members"][0]["key"] == "linear@1.0.0"

    config = yaml.safe_load((tmp_path / "serve/standing/config.yaml").read_text(encoding="utf-8"))
    schema = ServeDeploySchema.model_validate(config)
    assert (schema.http_options.host, f"http://127.0.0.1:{schema.http_options.port}") == ("127.0.0.1", url)

    seen = trader("serve", "status", "--json")
    assert seen.returncode == 0, seen.stderr
    status = json.loads(seen.stdout)
    assert (status["ready"], status["pid"], status["http_url"]) == (True, process.pid, url)
    assert [member["key"] for member in status["members"]] == ["linear@1.0.0", "momentum@1.0.0"]
    (application,) = status["applications"]
    assert application["status"] == "RUNNING"
    states = {part["name"]: [r["state"] for r in part["replicas"]] for part in application["deployments"]}
    warm = deployment_of(Path(both["serving"]["challenger_dir"]))
    assert states == {
        deployment_of(Path(session["model_dir"])): ["RUNNING"],
        warm: ["RUNNING"],
        "ingress": ["RUNNING"],
    }

    again = trader("serve", "up", "--members", "momentum", *kept)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert f"is up at {url}, held by process {process.pid}" in again.stderr

    done = trader("serve", "down", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done"] == f"process {process.pid} ended"
    stdout, stderr = process.communicate(timeout=180)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["http_url"] == url
    assert is_free(schema.http_options.port)
    assert not (tmp_path / "serve/standing/session.json").exists()


def test_detached_stays_on_its_cluster(
    head: str, start_trader: Any, trader: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Left on a cluster it still follows what is wanted; another is refused its place; Ctrl-C is a clean end; `down`
    deletes; what was wanted last comes up again.
    """
    register(tmp_path, "linear", "momentum")
    kept = ("--set", f"registry.artifacts={tmp_path / 'artifacts'}")
    members = ("--members", "linear@1.0.0,momentum", *kept, "--address", head, "--port", "0")
    left = trader("serve", "up", *members, "--detach", "--json", RAY_AUTH_MODE="disabled")
    assert left.returncode == 0, left.stderr
    session = json.loads(left.stdout)
    assert (session["detached"], session["members"]) == (True, ["linear@1.0.0", "momentum@1.0.0"])
    assert httpx.get(f"{session['http_url']}/readyz", timeout=60).status_code == 200
    manifest = read_manifest(Path(session["model_dir"]))
    assert [member["weight"] for member in manifest["members"]] == [0.5, 0.5]
    assert Path(session["model_dir"]).parent == tmp_path / "serve/standing/models"
    changed = trader("serve", "apply", "--members", "linear@1.0.0,momentum", "--weights", "1,3", *kept)
    assert changed.returncode == 0, changed.stderr
    assert "standing serves linear@1.0.0, momentum@1.0.0, after" in changed.stderr
    weights = [each["weight"] for each in httpx.get(f"{session['http_url']}/v1/models", timeout=60).json()["members"]]
    assert weights == [0.25, 0.75]

    other = trader("serve", "up", *members, "--name", "other", RAY_AUTH_MODE="disabled")
    assert other.returncode == 1
    assert "application 'standing' answers at '/' on this cluster" in other.stderr

    done = trader("serve", "down", "--json")
    assert done.returncode == 0, done.stderr
    port = int(session["http_url"].rpartition(":")[2])
    assert is_free(port)

    process = start_trader("serve", "up", *members[2:-1], str(port), RAY_AUTH_MODE="disabled")
    assert wait_for_session(process, tmp_path / "serve/standing/session.json")["http_url"] == session["http_url"]
    served = httpx.get(f"{session['http_url']}/v1/models", timeout=60).json()["members"]
    assert [(each["key"], each["weight"]) for each in served] == [("linear@1.0.0", 0.25), ("momentum@1.0.0", 0.75)]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=180)
    assert process.returncode == 0, stderr
    assert is_free(port)
