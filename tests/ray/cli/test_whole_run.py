"""`trader run` from outside: equal to the backtest, undisturbed by kills, resumable, and haltable."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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


def test_run_equals_backtest(
    trader: Callable[..., subprocess.CompletedProcess[str]], reference_fills: list[dict[str, Any]]
) -> None:
    """The Ray run and the backtest agree in every column of every fill, and stdout holds the summary alone."""
    from tests.ray.cli.conftest import read_fills

    done = trader(*RUN)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["status"] == "complete"
    run_dir = Path(summary["run_dir"])
    assert read_fills(run_dir) == reference_fills
    written = {path.name for path in run_dir.iterdir() if path.is_file()}
    expected = {"summary.json", "equity.parquet", "fills.parquet", "orders.parquet", "signals.parquet"}
    assert expected | {"log.jsonl", "report.html", "equity.png"} <= written
    assert "INCOMPLETE" not in written


def test_killed_parts_change_nothing(start_trader: Any, tmp_path: Path, reference_fills: list[dict[str, Any]]) -> None:
    """SIGKILL of feed, shard, decision actor and Serve replica in mid-run: same fills, each death recorded."""
    from tests.ray.cli.conftest import kill_part, read_fills

    process = start_trader(*RUN, "--speed", "10")
    run_id = ""
    for after, title in ((10, "SymbolShard"), (35, "DecisionActor"), (60, "FeedPump"), (85, "ServeReplica")):
        run_id = _wait_for_decisions(tmp_path, process, after)
        assert kill_part(process, title), f"no process {title}"
    _, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    assert read_fills(tmp_path / run_id) == reference_fills
    with Store.open(f"sqlite:///{tmp_path}/trader.db") as store:
        restarted = [event.payload["part"] for event in store.events(run_id, "part_restarted")]
    assert {part.split("-")[0] for part in restarted} == {"shard", "decision", "feed"}


def test_interrupted_run_resumes(
    start_trader: Any,
    trader: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    reference_fills: list[dict[str, Any]],
) -> None:
    """Ctrl-C leaves a report marked incomplete; `--resume` ends with the fills of an undisturbed run."""
    from tests.ray.cli.conftest import read_fills

    process = start_trader(*RUN, "--speed", "20")
    run_id = _wait_for_decisions(tmp_path, process, 30)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert json.loads(stdout)["status"] == "incomplete"
    assert f"--resume {run_id}" in stderr
    assert (tmp_path / run_id / "report.html").exists()
    done = trader("run", "--resume", run_id, "--json", "--set", "ray.dashboard=false", "--port", "0")
    assert done.returncode == 0, done.stderr
    assert read_fills(tmp_path / run_id) == reference_fills
    again = trader("run", "--resume", run_id, "--json")
    assert again.returncode == 2
    assert "is complete" in again.stderr


def test_halt_and_resume_act_at_once(
    start_trader: Any, trader: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """After `trader halt` no order passes until `trader resume`; both are events with a name and a reason."""
    process = start_trader(*RUN, "--speed", "8")
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
