"""Running the checks."""

from __future__ import annotations

from collections.abc import Sequence

from trader.core.market import BarBatch, Universe
from trader.data.quality.check import Check
from trader.data.quality.duplicates import Duplicates
from trader.data.quality.gaps import Gaps
from trader.data.quality.history import MarketHistory
from trader.data.quality.outliers import Outliers
from trader.data.quality.prices import Prices
from trader.data.quality.report import Finding, QualityReport
from trader.data.quality.reuse import Reuse
from trader.data.quality.splits import Splits
from trader.data.quality.stale import Stale
from trader.data.quality.time_travel import TimeTravel

__all__ = ["CHECKS", "inspect"]

CHECKS: tuple[Check, ...] = (
    TimeTravel(),
    Duplicates(),
    Prices(),
    Gaps(),
    Stale(),
    Outliers(),
    Splits(),
    Reuse(),
)
"""All checks with their default thresholds."""

_EXPLAINS_A_JUMP = ("splits", "reuse")


def inspect(bars: BarBatch, universe: Universe, checks: Sequence[Check] = CHECKS) -> QualityReport:
    """Return what the checks say of the bars, which may be in any state; nothing is changed.

    A jump that a split or a reuse explains is not listed as an outlier again.

    Examples
    --------
    >>> from trader.data.datasets import sp500_bars
    >>> report = inspect(*sp500_bars())
    >>> report.counts()["splits"] >= 0, report.actions()["repaired"]
    (True, 0)
    """
    market = MarketHistory.of(bars, universe)
    found = [finding for check in checks for finding in check.findings(market)]
    explained = {(f.symbol, f.ts_ns) for f in found if f.check in _EXPLAINS_A_JUMP}
    kept = [f for f in found if f.check != "outliers" or (f.symbol, f.ts_ns) not in explained]
    kept.sort(key=_order)
    return QualityReport(tuple(kept), len(bars), universe.symbols, tuple(check.name for check in checks))


def _order(finding: Finding) -> tuple[int, str, str]:
    return finding.ts_ns, finding.symbol, finding.check
