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
from trader.models.artifacts import read_manifest, save_ensemble
from trader.models.base import create
from trader.models.ensemble import Ensemble
from trader.registry import Lineage, Registry
from trader.settings import RegistrySettings
from trader.storage import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

NAMES = ("momentum_252_21", "return_5d")
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
    process.communicate("", timeout=60)


def fitted(kind: str) -> Any:
    """A small model."""
    rows = np.random.default_rng(2).normal(size=(200, 2))
    return create(kind).fit(rows, rows[:, 0], feature_names=NAMES)


def wait_for_session(process: subprocess.Popen[str], file: Path) -> dict[str, Any]:
    """Return the session of an application that has become ready."""
    deadline = time.monotonic() + 240
    while not file.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    session: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return session


def is_free(port: int) -> bool:
    """Whether a port of the loopback can be bound."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_up_stands_until_down(
    start_trader: Any, trader: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """One life: ready, predicting the models' own bits, seen and not replaced by other processes, down, port free."""
    save_ensemble(Ensemble({f"{kind}@1.0.0": fitted(kind) for kind in ("momentum", "linear")}), tmp_path / "models")
    process = start_trader("serve", "up", "--models", str(tmp_path / "models"), "--port", "0", "--json", *SMALL)
    session = wait_for_session(process, tmp_path / "serve/standing/session.json")
    assert session["pid"] == process.pid
    url = session["http_url"]
    assert url.startswith("http://127.0.0.1:")

    features = [[0.3, -1.25], [2.0, None]]
    asked = {"feature_names": NAMES, "symbols": ["A", "B"], "features": features}
    answer = httpx.post(f"{url}/v1/predict", json=asked, timeout=30)
    assert answer.status_code == 200, answer.text
    oracle = EnsembleService(tmp_path / "models").score(NAMES, np.array([features], dtype=float))
    assert answer.json()["scores"] == oracle.score[0].tolist()

    config = yaml.safe_load((tmp_path / "serve/standing/config.yaml").read_text(encoding="utf-8"))
    schema = ServeDeploySchema.model_validate(config)
    assert (schema.http_options.host, f"http://127.0.0.1:{schema.http_options.port}") == ("127.0.0.1", url)

    seen = trader("serve", "status", "--json")
    assert seen.returncode == 0, seen.stderr
    status = json.loads(seen.stdout)
    assert (status["ready"], status["pid"], status["http_url"]) == (True, process.pid, url)
    assert [member["key"] for member in status["members"]] == ["momentum@1.0.0", "linear@1.0.0"]
    (application,) = status["applications"]
    assert application["status"] == "RUNNING"
    states = {part["name"]: [r["state"] for r in part["replicas"]] for part in application["deployments"]}
    assert states == {deployment_of(tmp_path / "models"): ["RUNNING"], "ingress": ["RUNNING"]}

    again = trader("serve", "up", "--models", str(tmp_path / "models"))
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert f"is up at {url}, held by process {process.pid}" in again.stderr

    done = trader("serve", "down", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done"] == f"process {process.pid} ended"
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert json.loads(stdout)["http_url"] == url
    assert is_free(schema.http_options.port)
    assert not (tmp_path / "serve/standing/session.json").exists()


def test_detached_stays_on_its_cluster(
    head: str, start_trader: Any, trader: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Registered versions, left on a cluster; another is refused their place; Ctrl-C is a clean end; `down` deletes."""
    with Store.open(f"sqlite:///{tmp_path}/trader.db") as store:
        registry = Registry.of(store, RegistrySettings(artifacts=str(tmp_path / "artifacts")))
        for kind in ("linear", "momentum"):
            (tmp_path / kind).mkdir()
            fitted(kind).save(tmp_path / kind)
            lineage = Lineage(data_fingerprint="f", settings={}, seed=1)
            registry.register(kind, tmp_path / kind, lineage=lineage, report={}, metrics={}, who="test", why="test")
    kept = ("--set", f"registry.artifacts={tmp_path / 'artifacts'}")
    members = ("--members", "linear@1.0.0,momentum", *kept, "--address", head, "--port", "0")
    left = trader("serve", "up", *members, "--detach", "--json", RAY_AUTH_MODE="disabled")
    assert left.returncode == 0, left.stderr
    session = json.loads(left.stdout)
    assert (session["detached"], session["members"]) == (True, ["linear@1.0.0", "momentum@1.0.0"])
    assert httpx.get(f"{session['http_url']}/readyz", timeout=30).status_code == 200
    manifest = read_manifest(Path(session["model_dir"]))
    assert [member["weight"] for member in manifest["members"]] == [0.5, 0.5]
    assert Path(session["model_dir"]).parent == tmp_path / "serve/standing/models"

    other = trader("serve", "up", *members, "--name", "other", RAY_AUTH_MODE="disabled")
    assert other.returncode == 1
    assert "application 'standing' answers at '/' on this cluster" in other.stderr

    done = trader("serve", "down", "--json")
    assert done.returncode == 0, done.stderr
    port = int(session["http_url"].rpartition(":")[2])
    assert is_free(port)

    process = start_trader("serve", "up", *members[:-1], str(port), RAY_AUTH_MODE="disabled")
    assert wait_for_session(process, tmp_path / "serve/standing/session.json")["http_url"] == session["http_url"]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert is_free(port)
