"""Stress tests: replays, hypothetical scenarios, ladders and grids, and the most likely way to lose an amount."""

from risk.stress.covariance import push_correlations
from risk.stress.history import ReturnHistory, index_factor, read_history
from risk.stress.library import choose, library, read_scenarios, sources
from risk.stress.proxy import Proxy, fit_proxy
from risk.stress.result import HOW, AssetImpact, StressResult, worst_first
from risk.stress.reverse import ReverseStress, reverse_linear, reverse_stress
from risk.stress.scenario import Scenario
from risk.stress.sensitivity import LinearBook, grid, ladder
from risk.stress.tester import StressTester

__all__ = [
    "HOW",
    "AssetImpact",
    "LinearBook",
    "Proxy",
    "ReturnHistory",
    "ReverseStress",
    "Scenario",
    "StressResult",
    "StressTester",
    "choose",
    "fit_proxy",
    "grid",
    "index_factor",
    "ladder",
    "library",
    "push_correlations",
    "read_history",
    "read_scenarios",
    "reverse_linear",
    "reverse_stress",
    "sources",
    "worst_first",
]
