"""A search whose driver is killed goes on, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.ray.tune.conftest import MARKET, Start
from trader.registry import Registry
from trader.settings import load_settings
from trader.storage import Store
from tune.journal import Trial, read_spec, read_trials
from tune.session import resume, search
from tune.spec import SearchSpec

pytestmark = [pytest.mark.ray, pytest.mark.slow]

TRIALS = 4
SEARCH = (
    *("search", "--model", "boosting", "--preset", "ci", "--trials", str(TRIALS), "--concurrent", "2"),
    *("--scheduler", "none", "--searcher", "random", *MARKET),
)


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


def test_killed_driver_resumes(start_tune: Start, ray_cluster: Any, tmp_path: Path) -> None:
    """SIGKILL in mid-search: no finished trial is lost or run again, and the winner is registered with its search."""
    folder = tmp_path / "searches" / "killed"
    process = start_tune(*SEARCH, "--name", "killed", "--set", f"ray.address={ray_cluster.address}")
    _wait_for(folder, process, 2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = [trial for trial in read_trials(folder) if trial.status != "running"]
    assert 2 <= len(kept) < TRIALS

    base = load_settings(
        overrides={
            "ray": {"address": ray_cluster.address},
            "run": {"runs_dir": tmp_path},
            "registry": {"artifacts": str(tmp_path / "models")},
        }
    )
    resumed = resume(base, "killed")
    trials = read_trials(folder)
    assert [trial for trial in trials if trial.number in {t.number for t in kept}] == kept
    begun = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    starts = [event["trial"] for event in begun if event["event"] == "begin"]
    assert sorted(starts) == list(range(TRIALS))

    assert resumed.result.counts == {"complete": TRIALS}
    assert resumed.version is not None
    with Store.open(base.store_url) as store:
        registry = Registry.of(store, base.registry)
        lineage = registry.lineage(resumed.version)
        assert registry.load(resumed.version).name == "boosting"
    assert (lineage.search, lineage.trials) == ("killed", TRIALS)
    assert (folder / "report.html").exists()
    assert (folder / "trials.parquet").exists()

    record = read_spec(folder)
    undisturbed = search(
        load_settings(overrides=record["settings"] | {"run": {"runs_dir": tmp_path / "whole"}}),
        SearchSpec.from_dict(record["spec"]),
        register=False,
    )
    assert _course(trials) == _course(list(undisturbed.result.trials))
