"""Bars that open after they close, or arrive after a later one."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarBatch
from trader.data.quality.history import MarketHistory
from trader.data.quality.report import Finding

__all__ = ["TimeTravel", "misplaced"]


def misplaced(bars: BarBatch) -> NDArray[np.bool_]:
    """Return which bars open after they close, or close before an earlier row, shape (n_bars,)."""
    return (bars.ts_ns < np.maximum.accumulate(bars.ts_ns)) | (bars.ts_open_ns > bars.ts_ns)


@dataclasses.dataclass(frozen=True, slots=True)
class TimeTravel:
    """One finding a symbol. Rule: rejected; what arrived after it was superseded cannot be replayed honestly."""

    name: str = "time_travel"

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return the symbols with such bars."""
        bars = market.bars
        found = []
        for symbol, mine in market.by_symbol(np.flatnonzero(misplaced(bars))):
            found.append(
                Finding(
                    self.name,
                    symbol,
                    int(bars.ts_ns[mine[0]]),
                    f"{mine.size} bars open after their close or come after a later close",
                    "critical",
                    "rejected",
                    rows=int(mine.size),
                )
            )
        return found
