"""Monte Carlo: normal, t and bootstrap paths of a portfolio, in chunks that any number of processes may share."""

from risk.simulation.paths import PathSummary, run_chunks
from risk.simulation.plan import SimulationPlan, plan_simulation
from risk.simulation.result import LevelFigures, SimulationResult, conclude
from risk.simulation.run import run_plan, simulate
from risk.simulation.spec import SimulationSpec

__all__ = [
    "LevelFigures",
    "PathSummary",
    "SimulationPlan",
    "SimulationResult",
    "SimulationSpec",
    "conclude",
    "plan_simulation",
    "run_chunks",
    "run_plan",
    "simulate",
]
