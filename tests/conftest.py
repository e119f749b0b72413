"""Fixtures every test may use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from filelock import FileLock
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.cluster import uses_cluster
from tests.support.command import run_trader

# BLAS and OpenMP threads fight over two cores with Ray's workers; results do not depend on them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray gives its workers the lowest priority but four: beside another pytest worker they would get a thirtieth of a core.
os.environ.setdefault("RAY_worker_niceness", "0")
# Serve kills a proxy that is not up in five seconds, which a busy machine takes longer for.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")
os.environ.setdefault("RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S", "60")


_AMONG_PROCESSES = ("tests/conformance/", "tests/integration/", "tests/notebooks/", "tests/ray/")


class Scheduling(LoadScopeScheduling):
    """What pytest-xdist runs together: the tests of a worker's Ray cluster, and those of a file.

    Commands and notebooks have processes of their own and run wherever there is time. Those of Serve have a worker's
    cluster for themselves, for all tests of one cluster come one after the other.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(("tests/ray/cli/", "tests/notebooks/")):
            return nodeid
        if nodeid.startswith("tests/ray/"):
            return "tests/ray/serve" if nodeid.startswith("tests/ray/serve/") else "tests/ray"
        return nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Schedule as above, whatever `--dist` says."""
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, and give tests among other processes a second try, which the summary shows."""

    def place(item: pytest.Item) -> int:
        if uses_cluster(item):
            return 0
        return 1 if item.get_closest_marker("slow") else 2

    items.sort(key=place)
    for item in items:
        if item.nodeid.startswith(_AMONG_PROCESSES):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def reference_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the ci preset's backtest, made once for all workers: every run of that preset must reproduce it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "reference"
    summary = folder / "summary.json"
    with FileLock(f"{folder}.lock"):
        if not summary.exists():
            done = run_trader(folder, "backtest", "--preset", "ci", "--json")
            assert done.returncode == 0, done.stderr
            summary.write_text(done.stdout, encoding="utf-8")
    return Path(json.loads(summary.read_text(encoding="utf-8"))["run_dir"])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data beside the checkout; tests that need it skip without it."""
    folder = Path(os.environ.get("TRADER_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real market data at {folder}; set TRADER_SHARED_DATA")
    return folder
