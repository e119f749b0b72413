"""`trader run` from outside: undisturbed by kills, resumable, and haltable."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.command import read_fills
from trader.storage import Store

pytestmark = [pytest.mark.ray, pytest.mark.slow]

RUN = ("run", "--preset", "ci", "--json")


def _wait_for_decisions(runs_dir: Path, process: subprocess.Popen[str], at_least: int) -> str:
    """Return the run id once that many decisions are committed."""
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if (runs_dir / "trader.db").exists():
            with Store.open(f"sqlite:///{runs_dir}/trader.db") as store:
                for record in store.runs():
                    if store.last_seq(record.run_id) + 1 >= at_least:
                        return record.run_id
        time.sleep(0.2)
    raise AssertionError(f"no run came to {at_least} decisions")


def _kill_part(process: subprocess.Popen[str], title: str) -> bool:
    """SIGKILL the Ray worker of `process` whose title contains `title`; return whether there was one."""
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            if child.cmdline() and title in child.cmdline()[0]:
                child.kill()
                return True
        except psutil.NoSuchProcess:
            continue
    return False


def _serve(models_of: Path) -> tuple[str, ...]:
    """The same run without the training, which another has done."""
    return (*RUN, "--models", str(models_of / "models"))


def test_killed_and_interrupted_run_changes_nothing(
    start_trader: Any, trader: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, reference_run: Path
) -> None:
    """SIGKILL of feed, shard, decision actor and Serve replica, then Ctrl-C: each death is recorded, the report is
    marked incomplete, and `--resume` ends with the fills of an undisturbed run."""
    process = start_trader(*_serve(reference_run), "--speed", "10")
    run_id = ""
    for after, title in ((10, "SymbolShard"), (35, "DecisionActor"), (60, "FeedPump"), (85, "ServeReplica")):
        run_id = _wait_for_decisions(tmp_path, process, after)
        assert _kill_part(process, title), f"no process {title}"
    _wait_for_decisions(tmp_path, process, 110)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert json.loads(stdout)["status"] == "incomplete"
    assert f"--resume {run_id}" in stderr
    assert (tmp_path / run_id / "report.html").exists()
    with Store.open(f"sqlite:///{tmp_path}/trader.db") as store:
        restarted = [event.payload["part"] for event in store.events(run_id, "part_restarted")]
        fills = read_fills(reference_run)
        assert 50 < len(store.fill_batch(run_id)) < fills.num_rows
    assert {part.split("-")[0] for part in restarted} == {"shard", "decision", "feed"}

    done = trader("run", "--resume", run_id, "--json", "--set", "ray.dashboard=false", "--port", "0")
    assert done.returncode == 0, done.stderr
    assert read_fills(tmp_path / run_id) == fills
    again = trader("run", "--resume", run_id, "--json")
    assert again.returncode == 2
    assert "is complete" in again.stderr


def test_halt_and_resume_act_at_once(
    start_trader: Any, trader: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, reference_run: Path
) -> None:
    """After `trader halt` no order passes until `trader resume`; both are events with a name and a reason."""
    process = start_trader(*_serve(reference_run), "--speed", "8")
    run_id = _wait_for_decisions(tmp_path, process, 10)
    halted = trader("halt", "--why", "test", "--json")
    assert halted.returncode == 0, halted.stderr
    assert json.loads(halted.stdout)["current"] == "halted"
    url = f"sqlite:///{tmp_path}/trader.db"
    with Store.open(url) as store:
        at_halt = store.last_seq(run_id)
    _wait_for_decisions(tmp_path, process, at_halt + 12)
    assert trader("resume").returncode == 0
    with Store.open(url) as store:
        at_resume = store.last_seq(run_id)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    with Store.open(url) as store:
        orders = store.orders(run_id).to_pylist()
        changes = [event.payload for event in store.events(run_id, "trading_state_changed")]
    accepted = [int(row["order_id"].split("-")[1]) for row in orders if row["verdict"] == "accepted"]
    assert not [seq for seq in accepted if at_halt + 2 < seq <= at_halt + 12 and seq < at_resume]
    assert any(seq <= at_halt for seq in accepted)
    assert [change["current"] for change in changes] == ["halted", "active"]
    assert changes[0]["why"] == "test"
