"""Several bars of one symbol with one close stamp."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarBatch
from trader.data.quality.history import MarketHistory
from trader.data.quality.report import Finding

__all__ = ["Duplicates", "repeated"]


def repeated(bars: BarBatch) -> NDArray[np.bool_]:
    """Return which bars have the symbol and close stamp of an earlier row, shape (n_bars,)."""
    order = np.lexsort((bars.ts_ns, bars.symbol_id))
    again = np.zeros(len(bars), np.bool_)
    again[order[1:]] = (np.diff(bars.symbol_id[order]) == 0) & (np.diff(bars.ts_ns[order]) == 0)
    return again


@dataclasses.dataclass(frozen=True, slots=True)
class Duplicates:
    """One finding a symbol that has duplicates. Rule: the first bar stays, the others are rejected."""

    name: str = "duplicates"

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return the symbols with repeated stamps."""
        bars = market.bars
        found = []
        for symbol, mine in market.by_symbol(np.flatnonzero(repeated(bars))):
            found.append(
                Finding(
                    self.name,
                    symbol,
                    int(bars.ts_ns[mine].min()),
                    f"{mine.size} bars repeat the stamp of another; the first of each is kept",
                    "warning",
                    "rejected",
                    rows=int(mine.size),
                )
            )
        return found
