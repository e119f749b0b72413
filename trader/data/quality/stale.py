"""Prices that stand still for longer than chance allows."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from trader.data.quality.history import MarketHistory, SymbolHistory
from trader.data.quality.report import Finding

__all__ = ["Stale"]


@dataclasses.dataclass(frozen=True, slots=True)
class Stale:
    """One finding a run of unchanged closes that is too long.

    If each of n bars repeats the price before with probability p, a run of k repeats is expected about ``n p^k`` times;
    runs for which that is below `expected_runs`, and of `min_run` repeats at least, are found. Rule: reported.
    """

    min_run: int = 5
    expected_runs: float = 0.01
    name: str = "stale"

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return the runs."""
        return [finding for history in market.symbols for finding in self._of(history)]

    def _of(self, history: SymbolHistory) -> list[Finding]:
        same = np.diff(history.close) == 0
        chance = float(same.mean()) if same.size else 0.0
        if chance == 0:
            return []
        longest = self.min_run
        if chance < 1:
            longest = max(longest, math.ceil(math.log(self.expected_runs / same.size) / math.log(chance)))
        edges = np.diff(np.r_[0, same.astype(np.int8), 0])
        starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        found = []
        for start, stop in zip(starts, stops, strict=True):
            run = int(stop - start)
            if run >= longest:
                traded = np.nansum(history.volume[start + 1 : stop + 1]) > 0
                detail = (
                    f"close {history.close[start]:g} repeated {run} times, {'with' if traded else 'without'} volume"
                )
                stamp = int(history.ts_ns[start + 1])
                found.append(Finding(self.name, history.symbol, stamp, detail, "warning", "reported", run, float(run)))
        return found


def _traded(volume: NDArray[np.float64]) -> str:
    if np.isnan(volume).all():
        return "volume unknown"
    return "with volume" if np.nansum(volume) > 0 else "without volume"
