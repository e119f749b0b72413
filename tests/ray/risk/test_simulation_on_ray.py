"""Simulations on real workers: any number of them, and any death among them, gives the bits of one process."""

from __future__ import annotations

import os
import signal

import numpy as np
import psutil
import pytest

from risk.panel import ReturnPanel
from risk.simulation import SimulationPlan, SimulationSpec, plan_simulation, run_plan
from trader.core.errors import UserError
from trader.runtime.simulation import simulate_on_ray

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_cluster")]


_TASK = "ray::simulate_chunks"


def _plan(n_paths: int, **chosen: object) -> SimulationPlan:
    returns = np.random.default_rng(3).normal(0.0, 0.01, (250, 8))
    panel = ReturnPanel.of("ABCDEFGH", returns)
    return plan_simulation(panel, panel.weights(), SimulationSpec(n_paths=n_paths, **chosen))  # type: ignore[arg-type]


@pytest.mark.parametrize("levels", [(0.95, 0.99), (0.6,)])
def test_any_number_of_workers_finds_the_same(levels: tuple[float, ...]) -> None:
    """Worst losses that are kept, and bins where they are too many; the last chunk is smaller."""
    plan = _plan(2_700_001 if levels == (0.6,) else 100_001, horizon=1, levels=levels)
    alone = run_plan(plan).to_dict()
    assert alone["exact"] is (levels != (0.6,))
    told: list[int] = []
    assert simulate_on_ray(plan, n_workers=1).to_dict() == alone
    assert simulate_on_ray(plan, n_workers=3, on_paths=told.append).to_dict() == alone
    assert told == sorted(told)
    assert told[-1] == plan.spec.n_paths


def test_a_killed_worker_changes_nothing() -> None:
    """SIGKILL after one of the first results: its task is run again, and nothing is counted twice."""
    plan = _plan(200_000, horizon=100, holding="held")
    killed: list[int] = []

    def on_paths(n_paths: int) -> None:
        for worker in _busy()[: 1 - len(killed)]:
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    found = simulate_on_ray(plan, n_workers=2, on_paths=on_paths)
    assert killed
    assert found.to_dict() == run_plan(plan).to_dict()


def test_no_worker_is_no_simulation() -> None:
    """The error says what is needed."""
    with pytest.raises(UserError, match="n_workers=0"):
        simulate_on_ray(_plan(10), n_workers=0)


def _busy() -> list[psutil.Process]:
    """The workers that are at a task of the simulation."""
    return [process for process in psutil.Process().children(recursive=True) if _title(process) == _TASK]


def _title(process: psutil.Process) -> str:
    """Empty where the process has ended."""
    try:
        return "".join(process.cmdline()[:1])
    except psutil.NoSuchProcess:
        return ""
