"""`python -m tune` as a user has it: another process, own runs folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MARKET = (
    "--feed",
    "simulated",
    "--set",
    "feed.simulation.n_symbols=8",
    "--set",
    "feed.simulation.n_days=900",
    "--set",
    "feed.simulation.planted_ic=0.2",
    "--set",
    "models.n_splits=3",
    "--set",
    "ray.num_cpus=2",
)
"""Options of a small simulated market."""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start_tune(tmp_path: Path) -> Iterator[Start]:
    """Start a command in the background; whatever is left of it at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tune", *args, "--set", f"run.runs_dir={tmp_path}"]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        process = subprocess.Popen(
            [*command, "--set", f"registry.artifacts={tmp_path / 'models'}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
