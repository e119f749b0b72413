"""A search whose driver is killed goes on, and ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.ray.tune.conftest import MARKET, Start
from trader.registry import Registry
from trader.settings import RegistrySettings
from trader.storage import Store
from tune.journal import Trial, read_trials

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TRIALS = 8
SEARCH = ("search", "--model", "boosting", "--preset", "ci", "--trials", str(TRIALS), "--scheduler", "none", *MARKET)


def _wait_for(folder: Path, process: Any, n_ended: int) -> list[Trial]:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        ended = [trial for trial in read_trials(folder) if trial.status != "running"]
        if len(ended) >= n_ended:
            return ended
        time.sleep(0.1)
    raise AssertionError(f"no search came to {n_ended} trials")


def _course(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(t.number, t.status, dict(t.params), t.scores, t.returns) for t in trials]


def test_killed_driver_resumes(start_tune: Start, tmp_path: Path) -> None:
    """SIGKILL in mid-search: no finished trial is lost or run again, and the winner is registered with its search."""
    first = start_tune(*SEARCH, "--name", "killed", "--no-register")
    undisturbed = first.communicate(timeout=300)
    assert first.returncode == 0, undisturbed[1]
    expected = read_trials(tmp_path / "searches" / "killed")
    (tmp_path / "searches" / "killed").rename(tmp_path / "searches" / "whole")

    folder = tmp_path / "searches" / "killed"
    process = start_tune(*SEARCH, "--name", "killed")
    kept = _wait_for(folder, process, 3)
    family = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for child in family:  # Ray's own processes notice after a while
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    kept = [trial for trial in read_trials(folder) if trial.status != "running"]
    assert 3 <= len(kept) < TRIALS

    resumed = start_tune("search", "--resume", "killed", "--json")
    stdout, stderr = resumed.communicate(timeout=300)
    assert resumed.returncode == 0, stderr
    trials = read_trials(folder)
    assert _course(trials) == _course(expected)
    assert [trial for trial in trials if trial.number in {t.number for t in kept}] == kept
    begun = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    starts = [event["trial"] for event in begun if event["event"] == "begin"]
    assert sorted(starts) == list(range(TRIALS))

    found = json.loads(stdout)
    assert found["counts"] == {"complete": TRIALS}
    with Store.open(f"sqlite:///{tmp_path / 'trader.db'}") as store:
        registry = Registry.of(store, RegistrySettings(artifacts=str(tmp_path / "models")))
        lineage = registry.lineage(found["version"])
        assert registry.load(found["version"]).name == "boosting"
    assert (lineage.search, lineage.trials) == ("killed", TRIALS)
    assert (folder / "report.html").exists()
    assert (folder / "trials.parquet").exists()
