"""One small Ray cluster with Serve for all tests that need one, and commands from outside."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import uses_cluster
from tests.support.command import command, environment, run_trader

NAMESPACE = "gpt-trader"


@dataclasses.dataclass(frozen=True)
class RayCluster:
    """The session's cluster; Serve listens on `host:port`."""

    address: str
    namespace: str
    host: str
    port: int


@pytest.fixture(scope="session")
def ray_cluster() -> RayCluster:
    """A local cluster of four logical CPUs with Serve on a free port; it ends with the last test that needs it."""
    # Set here and not at import: tests that start Ray by the command line choose for themselves.
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray import serve as ray_serve
    from ray.serve.config import HTTPOptions, ProxyLocation
    from ray.serve.schema import LoggingConfig

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        namespace=NAMESPACE,
        object_store_memory=150 * 2**20,
        log_to_driver=False,
        logging_level="WARNING",
    )
    ray_serve.start(
        proxy_location=ProxyLocation.HeadOnly,
        http_options=HTTPOptions(host="127.0.0.1", port=port),
        logging_config=LoggingConfig(log_level="WARNING", enable_access_log=False),
    )
    return RayCluster(context.address_info["address"], NAMESPACE, "127.0.0.1", port)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the cluster with the last test that needs it: an idle one takes a fifth of a core from all others."""
    if uses_cluster(item) and not uses_cluster(nextitem):
        import ray
        from ray import serve as ray_serve

        if ray.is_initialized():
            ray_serve.shutdown()
            ray.shutdown()


@pytest.fixture
def trader(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end."""
    return functools.partial(run_trader, tmp_path)


@pytest.fixture
def start_trader(tmp_path: Path) -> Any:
    """Start a command in the background, with variables for its environment; what is left at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: str, **extra: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(tmp_path, *args),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment(**extra),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
