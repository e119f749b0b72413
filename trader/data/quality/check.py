"""The interface of a check."""

from __future__ import annotations

from typing import Protocol

from trader.data.quality.history import MarketHistory
from trader.data.quality.report import Finding

__all__ = ["Check"]


class Check(Protocol):
    """Looks at all bars and says what is wrong with them, changing nothing.

    Implementations are frozen dataclasses whose fields are the thresholds. The order of rows that arrive at one
    instant, or of the symbols, must not matter.
    """

    @property
    def name(self) -> str:
        """Lower-case, unique."""
        ...

    def findings(self, market: MarketHistory) -> list[Finding]:
        """Return what it found; an empty list is good news."""
        ...
