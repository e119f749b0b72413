"""How many trials a cluster has room for."""

from __future__ import annotations

import dataclasses
import math

import ray

from trader.core.errors import OperationError, UserError
from tune.spec import SearchSpec

__all__ = ["Room", "room_for"]


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """What the cluster offers, and how many trials of a search fit into it at once."""

    cpus: float
    gpus: float
    concurrent: int


def room_for(spec: SearchSpec) -> Room:
    """Size a search to the cluster that this process is connected to.

    Raises
    ------
    UserError
        If not even one trial fits, ever: Tune would wait for it without end.
    OperationError
        If no cluster is connected.
    """
    if not ray.is_initialized():
        raise OperationError("no Ray cluster is connected; start one with trader.runtime.cluster.start_cluster")
    offered = ray.cluster_resources()
    cpus, gpus = float(offered.get("CPU", 0.0)), float(offered.get("GPU", 0.0))
    for what, wanted, there in (("cpus", spec.cpus_per_trial, cpus), ("gpus", spec.gpus_per_trial, gpus)):
        if wanted > there:
            raise UserError(f"{what}_per_trial={wanted:g} is more than the cluster has: {there:g}")
    fits = cpus / spec.cpus_per_trial
    if spec.gpus_per_trial:
        fits = min(fits, gpus / spec.gpus_per_trial)
    # A float such as 1 / 0.1 may fall just short of the whole number it stands for.
    fitting = max(1, math.floor(fits + 1e-9))
    return Room(cpus, gpus, min(fitting, spec.trials, spec.concurrent or spec.trials))
