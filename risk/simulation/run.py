"""Simulations in this process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from risk.panel import ReturnPanel
from risk.simulation.paths import PathSummary, run_chunks
from risk.simulation.plan import SimulationPlan, plan_simulation
from risk.simulation.result import SimulationResult, conclude
from risk.simulation.spec import SimulationSpec

__all__ = ["OnPaths", "run_plan", "simulate"]

OnPaths = Callable[[int], object]
"""Told how many paths are done so far."""

_CHUNKS_AT_ONCE = 64


def run_plan(plan: SimulationPlan, on_paths: OnPaths | None = None) -> SimulationResult:
    """Simulate all chunks of a plan, one after the other; no array of all paths is made."""
    summary = PathSummary.empty(plan)
    for first in range(0, plan.spec.n_chunks, _CHUNKS_AT_ONCE):
        summary.merge(run_chunks(plan, first, min(first + _CHUNKS_AT_ONCE, plan.spec.n_chunks), summary.floors))
        if on_paths is not None:
            on_paths(summary.losses.n)
    return conclude(plan, summary)


def simulate(
    panel: ReturnPanel,
    weights: NDArray[np.float64],
    spec: SimulationSpec | None = None,
    *,
    covariance: NDArray[np.float64] | None = None,
    on_paths: OnPaths | None = None,
) -> SimulationResult:
    """Return VaR, ES and drawdowns of a portfolio by Monte Carlo.

    Parameters
    ----------
    panel : ReturnPanel
    weights : ndarray of shape (n_assets,)
        In the order of the panel; what they lack to 1 is cash.
    spec : SimulationSpec, optional
        The default is 10,000 normal paths of 10 periods.
    covariance : ndarray of shape (n_assets, n_assets), optional
        Per period, in place of the sample's.
    on_paths : callable, optional

    Raises
    ------
    DataError
        As `plan_simulation`.

    Examples
    --------
    >>> returns = np.random.default_rng(1).normal(0.0, 0.01, (500, 3))
    >>> panel = ReturnPanel.of("ABC", returns)
    >>> found = simulate(panel, panel.weights(), SimulationSpec(horizon=1, levels=(0.99,)))
    >>> round(found.var[0] / np.sqrt(panel.weights() @ np.cov(returns.T) @ panel.weights()), 1)
    2.3
    """
    return run_plan(plan_simulation(panel, weights, spec or SimulationSpec(), covariance), on_paths)
