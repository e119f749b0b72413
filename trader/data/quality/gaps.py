"""Instants at which the panel trades and a symbol does not."""

from __future__ import annotations

import dataclasses

import numpy as np

from trader.data.quality.history import MarketHistory, SymbolHistory
from trader.data.quality.report import Finding

__all__ = ["Gaps"]


@dataclasses.dataclass(frozen=True, slots=True)
class Gaps:
    """One finding a hole of `long_hole` instants or more, and one a symbol for all its shorter ones.

    The calendar is the panel's own, so a single symbol has no gaps, and neither holidays nor the time before a listing
    count. Rule: reported; a missing bar is never invented.
    """

    long_hole: int = 5
    """Missing instants from which a hole is reported by itself."""
    name: str = "gaps"

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return the holes."""
        return [finding for history in market.symbols for finding in self._of(history, market)]

    def _of(self, history: SymbolHistory, market: MarketHistory) -> list[Finding]:
        if not len(history):
            return []
        # Calendar instants strictly between two consecutive bars.
        after = np.searchsorted(market.calendar, history.ts_ns, "right")
        missing = np.searchsorted(market.calendar, history.ts_ns[1:], "left") - after[:-1]
        found = []
        for row in np.flatnonzero(missing >= self.long_hole):
            count, days = int(missing[row]), history.days_since_last[row + 1]
            stamp = int(market.calendar[after[row]])
            detail = f"no bar at {count} instants in a row ({days:.0f} days between bars)"
            found.append(Finding(self.name, history.symbol, stamp, detail, "warning", "reported", count, float(count)))
        short = np.flatnonzero((missing > 0) & (missing < self.long_hole))
        if short.size:
            count = int(missing[short].sum())
            share = count / (len(history) + int(missing.sum()))
            stamp = int(market.calendar[after[short[0]]])
            detail = f"{short.size} short holes, {count} missing bars in all ({share:.2%})"
            found.append(Finding(self.name, history.symbol, stamp, detail, "info", "reported", count, float(count)))
        return found
