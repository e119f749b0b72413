"""Scenarios shared out to Ray tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

from risk.stress import Scenario, StressResult, StressTester
from risk.stress.tester import OnScenario
from trader.core.errors import OperationError

__all__ = ["stress_on_ray"]

_RETRIES = 5


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def run_scenarios(tester: StressTester, scenarios: Sequence[Scenario]) -> list[StressResult]:
    """Run a task's scenarios."""
    return tester.run_all(scenarios)


def stress_on_ray(
    tester: StressTester, scenarios: Sequence[Scenario], on_scenario: OnScenario | None = None
) -> list[StressResult]:
    """Return the results of scenarios, in their order, from the cluster that this process is connected to.

    Tasks whose workers die are run again.

    Parameters
    ----------
    tester : StressTester
    scenarios : sequence of Scenario
    on_scenario : callable, optional
        Told how many are done.

    Raises
    ------
    OperationError
        If no cluster is connected, or a task's workers died too often.
    """
    if not ray.is_initialized():
        raise OperationError("no Ray cluster is connected; start one with trader.runtime.cluster.start_cluster")
    n_tasks = max(2 * int(ray.cluster_resources().get("CPU", 1)), 1)
    size = max(-(-len(scenarios) // n_tasks), 1)
    shared = ray.put(tester)
    parts = [scenarios[start : start + size] for start in range(0, len(scenarios), size)]
    tasks = [run_scenarios.remote(shared, part) for part in parts]
    waiting: list[Any] = list(tasks)
    done = 0
    try:
        while waiting:
            ready, waiting = ray.wait(waiting, num_returns=1)
            done += len(parts[tasks.index(ready[0])])
            if on_scenario is not None:
                on_scenario(done)
        return [result for results in ray.get(tasks) for result in results]
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    except ray.exceptions.RayError as error:
        reason = str(error).strip().partition("\n")[0]
        raise OperationError(f"the stress test broke off after {done} scenarios: {reason}") from error
