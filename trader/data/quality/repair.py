"""Acting on findings by the stated rules."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarBatch, Universe
from trader.data.quality.duplicates import repeated
from trader.data.quality.prices import unpriced
from trader.data.quality.report import QualityReport
from trader.data.quality.time_travel import misplaced

__all__ = ["RepairRules", "repair"]


@dataclasses.dataclass(frozen=True, slots=True)
class RepairRules:
    """Which checks' findings are acted on; a check that is switched off is only reported."""

    duplicates: bool = True
    """Of bars with one stamp the first stays."""
    prices: bool = True
    """Bars without a positive close are dropped."""
    time_travel: bool = True
    """Bars that open after their close, or follow a later close, are dropped."""
    outliers: bool = True
    """Bad prints are dropped."""
    reuse: bool = True
    """Bars before a ticker's reuse are dropped."""
    splits: bool = True
    """Prices before a confirmed split are divided by its factor, volumes multiplied (the value traded stays)."""


_PRICES = ("open", "high", "low", "close", "vwap", "spread")
_SIZES = ("volume", "buy_volume")


def repair(bars: BarBatch, report: QualityReport, rules: RepairRules | None = None) -> BarBatch:
    """Return the bars with the findings of `report` acted on; what the rules leave alone is unchanged.

    A repair is exact: a split that was put in and found is taken out again to rounding. Returns before a split do not
    change, so nothing of the future enters them; price levels do, as in any back-adjusted series.

    Parameters
    ----------
    bars : BarBatch
        The bars that were inspected.
    report : QualityReport
        What `inspect` said of them.
    rules : RepairRules, optional
        Which findings to act on; by default all that do not say "reported".
    """
    enabled = dataclasses.asdict(rules or RepairRules())
    acted = [f for f in report.findings if f.action != "reported" and enabled.get(f.check, False)]
    universe = Universe(report.symbols)
    keep = np.ones(len(bars), np.bool_)
    for check, rows_of in (("prices", unpriced), ("time_travel", misplaced)):
        if any(f.check == check for f in acted):
            keep &= ~rows_of(bars)
    if any(f.check == "duplicates" for f in acted):
        # Which bar is the first of a stamp is settled among those that stay.
        kept = np.flatnonzero(keep)
        keep[kept[repeated(bars.take(kept))]] = False
    columns = {name: np.array(getattr(bars, name)) for name in (*_PRICES, *_SIZES)}
    for finding in acted:
        mine = bars.symbol_id == universe.id_of(finding.symbol)
        if finding.check == "outliers":
            keep &= ~(mine & (bars.ts_ns == finding.ts_ns))
        elif finding.check == "reuse":
            keep &= ~(mine & (bars.ts_ns < finding.ts_ns))
        elif finding.check == "splits":
            _adjust(columns, mine & (bars.ts_ns < finding.ts_ns), finding.value)
    return bars if not acted else BarBatch(**(bars.columns() | columns)).take(keep)


def _adjust(columns: dict[str, NDArray[np.float64]], rows: NDArray[np.bool_], factor: float) -> None:
    for name in _PRICES:
        columns[name][rows] /= factor
    for name in _SIZES:
        columns[name][rows] *= factor
