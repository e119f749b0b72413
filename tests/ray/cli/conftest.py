"""The command line as a user has it: other processes, own runs folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

TIMEOUT_S = 240


def command(runs_dir: Path, *args: str) -> list[str]:
    """Return the command line of a trader command in `runs_dir`."""
    return [sys.executable, "-m", "trader", *args, "--set", f"run.runs_dir={runs_dir}"]


@pytest.fixture
def trader(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end."""

    def run(*args: str, runs_dir: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command(runs_dir, *args), capture_output=True, text=True, timeout=TIMEOUT_S, check=False)

    return run


@pytest.fixture
def start_trader(tmp_path: Path) -> Any:
    """Start a command in the background; whatever is left of it at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(tmp_path, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def reference_fills(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Fills of the ci preset's backtest, which every run of that preset must reproduce."""
    runs_dir = tmp_path_factory.mktemp("reference")
    done = subprocess.run(
        command(runs_dir, "backtest", "--preset", "ci", "--json"),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fills = read_fills(Path(json.loads(done.stdout)["run_dir"]))
    assert len(fills) > 50
    return fills


def read_fills(run_dir: Path) -> list[dict[str, Any]]:
    """Return the rows of fills.parquet without what names the run."""
    table = pq.read_table(run_dir / "fills.parquet").drop_columns(["run_id", "trace_id"])
    return table.to_pylist()


def kill_part(process: subprocess.Popen[str], title: str) -> bool:
    """SIGKILL the Ray worker of `process` whose title contains `title`; return whether there was one."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.cmdline() and title in child.cmdline()[0]:
                child.kill()
                return True
        except psutil.NoSuchProcess:
            continue
    return False
