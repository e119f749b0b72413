"""Share splits that the prices were not adjusted for."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np

from trader.data.quality.history import MarketHistory, SymbolHistory, local_scale
from trader.data.quality.report import Finding

__all__ = ["SPLIT_FACTORS", "Splits"]

_FORWARD = (5 / 4, 4 / 3, 3 / 2, 5 / 3, 2, 5 / 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 100)
_REVERSE = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 40, 50, 100)
SPLIT_FACTORS: tuple[float, ...] = (*_FORWARD, *(1 / k for k in _REVERSE))
"""New shares for one old: what the price is divided by. Stock dividends below 5:4 drown in ordinary returns."""


@dataclasses.dataclass(frozen=True, slots=True)
class Splits:
    """One finding a jump that looks like a split.

    A jump is taken for a split if all of these hold:

    1. overnight (close to open; close to close where opens are unknown) it is `min_sigmas` robust standard deviations
       or more, at least 20 %, and no hole of over `max_days` lies before it;
    2. with or without the median return of the other symbols, it misses the nearest factor of `SPLIT_FACTORS` by at
       most `max_residual` standard deviations, or `max_misfit` of the factor's logarithm;
    3. the others did not make a quarter of it;
    4. it persists: the close of that bar and the median of the `persistence` closes after differ by the factor, to
       within half of the jump, from the close before, and that median from that of as many before too (after a bad
       print it does not).

    It is *confirmed* if opens and volume are known too and either the value traded is at most `max_activity` times the
    median of the 20 bars before (a crash brings many times that, a split does not), or the price rose `sure_rise` times
    or more, which nothing but a reverse split does overnight. Rule: confirmed splits are repaired (earlier prices
    divided, earlier volumes multiplied by the factor), others reported, because closes alone cannot tell a split from a
    crash of that size.
    """

    min_sigmas: float = 15.0
    max_residual: float = 3.0
    max_misfit: float = 0.06
    max_days: float = 10.0
    persistence: int = 5
    max_activity: float = 5.0
    sure_rise: float = 5.0
    name: str = "splits"

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return confirmed and suspected splits."""
        return [finding for history in market.symbols for finding in self._of(history, market)]

    def _of(self, history: SymbolHistory, market: MarketHistory) -> list[Finding]:
        jumps = np.where(np.isfinite(history.log_gap), history.log_gap, history.log_return)
        candidates = np.flatnonzero((np.abs(jumps) >= 0.2) & (history.days_since_last <= self.max_days))
        found = []
        scales = local_scale(jumps, candidates)
        for row, scale in zip(candidates.tolist(), scales.tolist(), strict=True):
            factor = self._factor(history, row, float(jumps[row]), scale, market)
            if factor is None:
                continue
            confirmed = self._is_confirmed(history, row, factor)
            told = "" if confirmed else ", not confirmed by opening price and volume"
            found.append(
                Finding(
                    self.name,
                    history.symbol,
                    int(history.ts_ns[row]),
                    f"close {history.close[row - 1]:g} to {history.close[row]:g}: a {_ratio(factor)} split{told}",
                    "critical" if confirmed else "warning",
                    "repaired" if confirmed else "reported",
                    value=factor,
                )
            )
        return found

    def _factor(
        self,
        history: SymbolHistory,
        row: int,
        jump: float,
        scale: float,
        market: MarketHistory,
    ) -> float | None:
        market_move = market.others_move(history.symbol_id, int(history.ts_ns[row]))
        if not abs(jump) >= self.min_sigmas * scale or abs(market_move) >= abs(jump) / 4:
            return None
        factor = min(SPLIT_FACTORS, key=lambda f: abs(jump + np.log(f)))
        expected = -np.log(factor)
        residual = min(abs(jump - expected), abs(jump - market_move - expected))
        earlier = history.close[max(row - self.persistence, 0) : row]
        later = history.close[row + 1 : row + 1 + self.persistence]
        if residual > max(self.max_residual * scale, self.max_misfit * abs(expected)) or later.size < self.persistence:
            return None
        before, after = history.close[row - 1], np.median(later)
        moves = np.log([history.close[row] / before, after / before, after / np.median(earlier)])
        return factor if (np.abs(moves - expected) < abs(expected) / 2).all() else None

    def _is_confirmed(self, history: SymbolHistory, row: int, factor: float) -> bool:
        value = history.volume * history.close
        usual = value[max(row - 20, 0) : row]
        usual = usual[np.isfinite(usual)]
        if not np.isfinite(history.log_gap[row]) or usual.size < 5:
            return False
        return bool(factor <= 1 / self.sure_rise or value[row] <= self.max_activity * np.median(usual))


def _ratio(factor: float) -> str:
    exact = Fraction(factor).limit_denominator(100)
    return f"{exact.numerator}:{exact.denominator}"
