"""Chunks of paths, and what is kept of them."""

from __future__ import annotations

import dataclasses
import math
from typing import Self

import numpy as np

from risk.simulation.draws import shocks
from risk.simulation.kernels import grow_assets, grow_portfolio
from risk.simulation.plan import SimulationPlan
from risk.simulation.spec import CHUNK_PATHS
from risk.simulation.tally import LossTally, n_kept
from risk.threads import one_thread

__all__ = ["PathSummary", "run_chunks"]

_BLOCK = 2048
"""Paths of many assets that are taken together: their values then fit a core's cache."""


Floors = tuple[float, float]
NO_FLOORS = (-math.inf, -math.inf)


@dataclasses.dataclass(slots=True)
class PathSummary:
    """Losses and drawdowns of the paths of some chunks."""

    losses: LossTally
    drawdowns: LossTally
    n_ruined: int = 0

    @classmethod
    def empty(cls, plan: SimulationPlan, floors: Floors = NO_FLOORS) -> Self:
        """Return one of no path, which need not keep what is below the floors of another."""
        kept = n_kept(plan.spec.n_paths, plan.spec.levels)
        return cls(LossTally(kept, plan.scale, floor=floors[0]), LossTally(kept, plan.scale, floor=floors[1]))

    @property
    def floors(self) -> Floors:
        """Loss and drawdown below which a path is known not to be among the worst."""
        return self.losses.floor, self.drawdowns.floor

    def merge(self, other: PathSummary) -> None:
        """Add other chunks; the order makes no difference, not to a bit."""
        self.losses.merge(other.losses)
        self.drawdowns.merge(other.drawdowns)
        self.n_ruined += other.n_ruined


def run_chunks(plan: SimulationPlan, first: int, last: int, floors: Floors = NO_FLOORS) -> PathSummary:
    """Simulate chunks `first` up to, not including, `last`, on one thread.

    With the floors of a summary that it is then merged into, less comes back. Else the result depends on nothing but
    the plan and the numbers of the chunks, on processors of one kind; another kind may add up a matrix product in
    another order.
    """
    summary = PathSummary.empty(plan, floors)
    with one_thread():
        for chunk in range(first, last):
            rng, size = plan.spec.generator(chunk), plan.spec.chunk_size(chunk)
            step = CHUNK_PATHS if len(plan.weights) == 1 or plan.spec.sampling == "sobol" else _BLOCK
            equity, drawdown = np.empty(size, plan.spec.dtype), np.zeros(size, plan.spec.dtype)
            for start in range(0, size, step):
                block = slice(start, min(start + step, size))
                _run_block(plan, rng, equity[block], drawdown[block])
            losses = 1.0 - equity.astype(np.float64)
            summary.losses.add(losses)
            summary.drawdowns.add(drawdown.astype(np.float64))
            summary.n_ruined += int(np.count_nonzero(losses >= 1.0))
    summary.losses.trim()
    summary.drawdowns.trim()
    return summary


def _run_block(plan: SimulationPlan, rng: np.random.Generator, equity: np.ndarray, drawdown: np.ndarray) -> None:
    """Fill in the final value of each path and its greatest fall from a peak, the start being one."""
    dtype = equity.dtype
    equity[:] = 1.0
    peak = np.ones_like(equity)
    if plan.spec.holding == "rebalanced":
        mean = dtype.type(plan.mean[0])
        for returns in shocks(plan, rng, equity.size):
            grow_portfolio(returns[0] + mean, peak, drawdown, equity)
        return
    values = np.repeat(plan.weights.astype(dtype)[:, None], equity.size, axis=1)
    growth, cash = (1.0 + plan.mean).astype(dtype), np.array([plan.cash], dtype)
    for moves in shocks(plan, rng, equity.size):
        grow_assets(values, moves, growth, cash, peak, drawdown, equity)
