"""Returns far outside a symbol's own scale, and bad prints among them."""

from __future__ import annotations

import dataclasses

import numpy as np

from trader.data.quality.history import MarketHistory, SymbolHistory, local_scale
from trader.data.quality.report import Finding

__all__ = ["Outliers"]


@dataclasses.dataclass(frozen=True, slots=True)
class Outliers:
    """One finding an outlier, measured in robust standard deviations of the 60 returns before and after.

    A *bad print* goes away as it came: the next return takes back all of the move but `reversal` of it, the move is
    `print_sigmas` or more, its bar and the next are not separated from their neighbours by a hole, and the other
    symbols did not make a quarter of it. Rule: bad prints are rejected; a move of `sigmas` that stays is news, and
    reported. Moves below `min_move` are neither: the returns of minutes have tails that make 12 deviations ordinary.
    """

    min_move: float = 0.02
    sigmas: float = 12.0
    print_sigmas: float = 8.0
    reversal: float = 0.2
    max_days: float = 10.0
    name: str = "outliers"

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return outliers and bad prints."""
        return [finding for history in market.symbols for finding in self._of(history, market)]

    def _of(self, history: SymbolHistory, market: MarketHistory) -> list[Finding]:
        returns = history.log_return
        finite = np.abs(returns[np.isfinite(returns) & (returns != 0)])
        if finite.size < 20:
            return []
        # Measuring the scale around every bar is slow; a third of the overall scale is as calm as it gets.
        least = max(self.min_move, self.print_sigmas * float(np.median(finite)) / 2)
        suspects = np.flatnonzero(np.abs(returns) >= least)
        found: list[Finding] = []
        after_print = -1
        sizes = np.abs(returns[suspects]) / local_scale(returns, suspects)
        for row, size in zip(suspects.tolist(), sizes.tolist(), strict=True):
            if row == after_print or not size >= self.print_sigmas:
                continue
            if self._is_print(history, row, market):
                after_print = row + 1
                detail = (
                    f"close {history.close[row]:g} between {history.close[row - 1]:g} and {history.close[row + 1]:g}"
                )
                found.append(self._finding(history, row, size, f"bad print: {detail}", rejected=True))
            elif size >= self.sigmas:
                detail = f"return {np.expm1(returns[row]):+.1%} is {size:.0f} robust standard deviations"
                found.append(self._finding(history, row, size, detail, rejected=False))
        return found

    def _is_print(self, history: SymbolHistory, row: int, market: MarketHistory) -> bool:
        if row + 1 >= len(history) or not (history.days_since_last[row : row + 2] <= self.max_days).all():
            return False
        move, back = history.log_return[row], history.log_return[row + 1]
        if abs(move + back) > self.reversal * abs(move):
            return False
        return bool(abs(market.others_move(history.symbol_id, int(history.ts_ns[row]))) < abs(move) / 4)

    def _finding(self, history: SymbolHistory, row: int, size: float, detail: str, *, rejected: bool) -> Finding:
        return Finding(
            self.name,
            history.symbol,
            int(history.ts_ns[row]),
            detail,
            "critical" if rejected else "info",
            "rejected" if rejected else "reported",
            value=size,
        )
