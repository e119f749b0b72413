"""Checks of historical bars: what is wrong with them, and the stated repair of what can be repaired."""

from trader.data.quality.check import Check
from trader.data.quality.history import MarketHistory, SymbolHistory
from trader.data.quality.inspection import CHECKS, inspect
from trader.data.quality.repair import RepairRules, repair
from trader.data.quality.report import Finding, QualityReport

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "MarketHistory",
    "QualityReport",
    "RepairRules",
    "SymbolHistory",
    "inspect",
    "repair",
]
