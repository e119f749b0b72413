"""Tickers that were given to another company."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.data.quality.history import MarketHistory, SymbolHistory
from trader.data.quality.report import Finding

__all__ = ["Reuse"]

_FEW = 5
"""Fewer bars on a side say nothing about its level."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reuse:
    """One finding a hole after which a ticker seems to be another company's.

    A hole is `min_days` or more between two bars. Compared across it are the prices just before and after, and up to
    `window` bars on its sides: their median price, median value traded and root mean square return (each over the root
    of the days it took). If the value traded changed by `activity_factor` or more, or another by `factor`, the ticker
    may have been reused. Rule: repaired by cutting everything before the last such hole; where volatility alone
    changed, which the time of day or a crisis can do, reported. A hole without a break is left to the check of gaps.
    """

    min_days: float = 90.0
    window: int = 60
    factor: float = 8.0
    activity_factor: float = 100.0
    name: str = "reuse"

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return the holes with a break."""
        return [finding for history in market.symbols for finding in self._of(history)]

    def _of(self, history: SymbolHistory) -> list[Finding]:
        found = []
        holes = np.flatnonzero(history.days_since_last >= self.min_days)
        edges = np.r_[0, holes, len(history)]
        for number, row in enumerate(holes, start=1):
            before = slice(max(edges[number - 1], row - self.window), row)
            after = slice(row, min(edges[number + 1], row + self.window))
            breaks = self._breaks(history, before, after)
            if breaks:
                days = history.days_since_last[row]
                what = ", ".join(f"{name} x{ratio:.3g}" for name, ratio in breaks.items())
                detail = f"after {days:.0f} days without a bar: {what}; perhaps another company's ticker before"
                cut = breaks.keys() != {"volatility"}
                worst = max(breaks.values(), key=lambda ratio: abs(np.log(ratio)))
                found.append(
                    Finding(
                        self.name,
                        history.symbol,
                        int(history.ts_ns[row]),
                        detail,
                        "critical" if cut else "warning",
                        "repaired" if cut else "reported",
                        rows=int(row),
                        value=float(worst),
                    )
                )
        return found

    def _breaks(self, history: SymbolHistory, before: slice, after: slice) -> dict[str, float]:
        value = history.volume * history.close
        changes = {
            "price across": (history.close[before.stop - 1], history.close[after.start]),
            "price": (_median(history.close[before]), _median(history.close[after])),
            "volatility": (_volatility(history, before), _volatility(history, after)),
            "value traded": (_median(value[before]), _median(value[after])),
        }
        breaks = {}
        for name, (old, new) in changes.items():
            limit = self.activity_factor if name == "value traded" else self.factor
            if old > 0 and new > 0 and abs(np.log(new / old)) >= np.log(limit):
                breaks[name] = float(new / old)
        return breaks


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size >= _FEW else float("nan")


def _volatility(history: SymbolHistory, rows: slice) -> float:
    # The first return of each side crosses a hole, or has nothing before it.
    inner = slice(rows.start + 1, rows.stop)
    speed = history.log_return[inner] / np.sqrt(history.days_since_last[inner])
    return float(np.sqrt(np.mean(speed**2))) if speed.size >= _FEW else float("nan")
