"""Prices that no one can have paid."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarBatch
from trader.data.quality.history import MarketHistory
from trader.data.quality.report import Finding

__all__ = ["Prices", "unpriced"]


def unpriced(bars: BarBatch) -> NDArray[np.bool_]:
    """Return which bars have no positive finite close, shape (n_bars,)."""
    return ~(np.isfinite(bars.close) & (bars.close > 0))


@dataclasses.dataclass(frozen=True, slots=True)
class Prices:
    """One finding a symbol with closes that are absent, infinite, zero or negative. Rule: rejected."""

    name: str = "prices"

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return the symbols with such closes."""
        bars = market.bars
        found = []
        for symbol, mine in market.by_symbol(np.flatnonzero(unpriced(bars))):
            found.append(
                Finding(
                    self.name,
                    symbol,
                    int(bars.ts_ns[mine[0]]),
                    f"{mine.size} closes are not positive numbers, the first is {bars.close[mine[0]]:g}",
                    "critical",
                    "rejected",
                    rows=int(mine.size),
                    value=float(bars.close[mine[0]]),
                )
            )
        return found
