"""Simulations as Ray tasks: the bits of one process, however many workers there are and whoever of them dies."""

from __future__ import annotations

from typing import Any

import ray

from risk.simulation import PathSummary, SimulationPlan, SimulationResult, conclude, run_chunks
from risk.simulation.run import OnPaths
from trader.core.errors import OperationError, UserError

__all__ = ["simulate_on_ray"]

_RETRIES = 5
_TASKS_A_WORKER = 16
_MAX_CHUNKS = 512


@ray.remote(num_cpus=1, max_retries=_RETRIES)
def simulate_chunks(plan: SimulationPlan, first: int, last: int, floors: tuple[float, float]) -> PathSummary:
    """Run a task's chunks; its name is that of the worker's process meanwhile."""
    return run_chunks(plan, first, last, floors)


def simulate_on_ray(
    plan: SimulationPlan, *, n_workers: int | None = None, on_paths: OnPaths | None = None
) -> SimulationResult:
    """Simulate on the cluster that this process is connected to.

    Chunks go out in runs, and what comes back is merged at once and forgotten: memory does not grow with the paths. A
    task whose worker dies is run again.

    Parameters
    ----------
    plan : SimulationPlan
    n_workers : int, optional
        Tasks at a time; all that the cluster has processors for if None.
    on_paths : callable, optional
        Told how many paths are done so far.

    Raises
    ------
    OperationError
        If no cluster is connected, or a task's workers died too often.
    UserError
        If `n_workers` is below 1.
    """
    if not ray.is_initialized():
        raise OperationError("no Ray cluster is connected; start one with trader.runtime.cluster.start_cluster")
    cpus = max(int(ray.cluster_resources().get("CPU", 1)), 1)
    if n_workers is not None and n_workers < 1:
        raise UserError(f"n_workers={n_workers} is not allowed; at least 1 is needed")
    # Without a limit, each worker that has finished finds another task waiting.
    at_once = n_workers or 2 * cpus
    n_chunks = plan.spec.n_chunks
    size = min(max(n_chunks // ((n_workers or cpus) * _TASKS_A_WORKER), 1), _MAX_CHUNKS)
    spans = iter([(first, min(first + size, n_chunks)) for first in range(0, n_chunks, size)])
    shared = ray.put(plan)
    summary = PathSummary.empty(plan)
    waiting: list[Any] = []
    try:
        while True:
            while len(waiting) < at_once and (span := next(spans, None)) is not None:
                waiting.append(simulate_chunks.remote(shared, *span, summary.floors))
            if not waiting:
                return conclude(plan, summary)
            done, waiting = ray.wait(waiting, num_returns=1)
            summary.merge(ray.get(done[0]))
            del done
            if on_paths is not None:
                on_paths(summary.losses.n)
    except ray.exceptions.RayError as error:
        raise OperationError(f"the simulation broke off after {summary.losses.n:,} paths: {_why(error)}") from error
    finally:
        for task in waiting:
            ray.cancel(task, force=True)


def _why(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
