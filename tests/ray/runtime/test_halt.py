"""`trader halt` and `trader resume` from outside, of a run that has joined a cluster."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.command import wait_for_decisions
from trader.storage import Store

if TYPE_CHECKING:
    from tests.ray.conftest import RayCluster

pytestmark = [pytest.mark.ray, pytest.mark.slow]


def test_halt_and_resume_act_at_once(
    start_trader: Any,
    trader: Callable[..., subprocess.CompletedProcess[str]],
    ray_cluster: RayCluster,
    tmp_path: Path,
    reference_run: Path,
) -> None:
    """After `trader halt` no order passes until `trader resume`; both are events with a name and a reason."""
    models = ("--models", str(reference_run / "models"))
    joining = ("--set", f"ray.address={ray_cluster.address}")
    process = start_trader("run", "--preset", "ci", *models, *joining, "--speed", "2", RAY_AUTH_MODE="disabled")
    run_id = wait_for_decisions(tmp_path, process, 10)
    halted = trader("halt", "--why", "test", "--json")
    assert halted.returncode == 0, halted.stderr
    assert json.loads(halted.stdout)["current"] == "halted"
    url = f"sqlite:///{tmp_path}/trader.db"
    with Store.open(url) as store:
        at_halt = store.last_seq(run_id)
    wait_for_decisions(tmp_path, process, at_halt + 12)
    assert trader("resume").returncode == 0
    with Store.open(url) as store:
        at_resume = store.last_seq(run_id)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)
    assert process.returncode == 130
    with Store.open(url) as store:
        orders = store.orders(run_id).to_pylist()
        changes = [event.payload for event in store.events(run_id, "trading_state_changed")]
    accepted = [int(row["order_id"].split("-")[1]) for row in orders if row["verdict"] == "accepted"]
    assert not [seq for seq in accepted if at_halt + 2 < seq <= at_halt + 12 and seq < at_resume]
    assert any(seq <= at_halt for seq in accepted)
    assert [change["current"] for change in changes] == ["halted", "active"]
    assert changes[0]["why"] == "test"
