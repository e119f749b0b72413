"""Tickers that were given to another company."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from trader.data.quality.history import MarketHistory, SymbolHistory
from trader.data.quality.report import Finding

__all__ = ["Reuse"]


@dataclasses.dataclass(frozen=True, slots=True)
class Reuse:
    """One finding a hole after which a ticker seems to be another company's.

    A hole is `min_days` or more between two bars. Compared across it are the prices just before and after, and medians of
    up to `window` bars on its sides: of the price, the value traded and the absolute return. If any of them changed by
    `factor` or more, the ticker was reused. Rule: repaired by cutting everything before the last such hole. A hole
    without a break is left to the check of gaps.
    """

    min_days: float = 90.0
    window: int = 60
    factor: float = 8.0
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
                detail = f"after {days:.0f} days without a bar: {what}; another company's ticker before"
                worst = max(breaks.values(), key=lambda ratio: abs(np.log(ratio)))
                stamp = int(history.ts_ns[row])
                found.append(
                    Finding(self.name, history.symbol, stamp, detail, "critical", "repaired", int(row), float(worst))
                )
        return found

    def _breaks(self, history: SymbolHistory, before: slice, after: slice) -> dict[str, float]:
        measures: dict[str, NDArray[np.float64]] = {
            "price": history.close,
            "value traded": history.volume * history.close,
            "volatility": np.abs(history.log_return),
        }
        # The return across the hole belongs to neither side.
        inner = {"volatility": 1}
        breaks: dict[str, float] = {}
        across = float(history.close[after.start] / history.close[before.stop - 1])
        if abs(np.log(across)) >= np.log(self.factor):
            breaks["price across"] = across
        for name, values in measures.items():
            skip = inner.get(name, 0)
            old = _median(values[before.start + skip : before.stop])
            new = _median(values[after.start + skip : after.stop])
            if old > 0 and new > 0 and abs(np.log(new / old)) >= np.log(self.factor):
                breaks[name] = new / old
        return breaks


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size >= 5 else float("nan")
