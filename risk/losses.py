"""Losses of the day and from the peak, as equity goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trader.core.orders import DenialReason

__all__ = ["LossWatch"]

_DAY_NS = 86_400_000_000_000
_ROUNDING = 1e-12


class LossWatch:
    """Measures the loss since the previous day's last equity, and the drawdown from the highest equity.

    Losses are fractions at or above 0. The first equity ever seen begins its day.

    Parameters
    ----------
    max_daily_loss, max_drawdown : float
        Limits to compare with; infinite for none.
    day_start_ns : int, default=0
        When a day begins, in ns after midnight UTC.

    Examples
    --------
    >>> watch = LossWatch(0.05, 0.2)
    >>> watch.update(0, 100.0), watch.update(1, 80.0)
    (True, False)
    >>> round(watch.daily_loss, 6), round(watch.drawdown, 6)
    (0.2, 0.2)
    >>> watch.update(86_400_000_000_000, 90.0)  # a new day is measured from 80
    True
    >>> round(watch.daily_loss, 6), round(watch.drawdown, 6)
    (0.0, 0.1)
    """

    def __init__(self, max_daily_loss: float, max_drawdown: float, *, day_start_ns: int = 0) -> None:
        self.max_daily_loss = max_daily_loss
        self.max_drawdown = max_drawdown
        self._day_start_ns = day_start_ns
        self._day: int | None = None
        self._day_equity = 0.0
        self._peak = 0.0
        self._equity = 0.0
        self.daily_loss = 0.0
        """Loss of the day so far."""
        self.drawdown = 0.0
        """Loss from the peak."""

    def update(self, ts_ns: int, equity: float) -> bool:
        """Take the equity at an instant; return whether a new day began."""
        day = (ts_ns - self._day_start_ns) // _DAY_NS
        new_day = self._day is None or day > self._day
        if self._day is None:
            self._day_equity = self._peak = equity
        elif new_day:
            self._day_equity = self._equity
        if new_day:
            self._day = day
        self._equity = equity
        self._peak = max(self._peak, equity)
        self._measure()
        return new_day

    def accept(self) -> None:
        """Measure both losses from the last equity on."""
        self._day_equity = self._peak = self._equity
        self._measure()

    @property
    def too_much_in_a_day(self) -> bool:
        """Whether the day's loss is beyond its limit."""
        return self.daily_loss > self.max_daily_loss + _ROUNDING

    @property
    def too_far_from_peak(self) -> bool:
        """Whether the drawdown is beyond its limit."""
        return self.drawdown > self.max_drawdown + _ROUNDING

    def measured(self, rule: DenialReason) -> tuple[float, float]:
        """Return what a rule measures now and its limit; zeros for a rule that is not about losses."""
        if rule is DenialReason.DAILY_LOSS:
            return self.daily_loss, self.max_daily_loss
        if rule is DenialReason.DRAWDOWN:
            return self.drawdown, self.max_drawdown
        return 0.0, 0.0

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        return {"day": self._day, "day_equity": self._day_equity, "peak": self._peak, "equity": self._equity}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._day = state["day"]
        self._day_equity, self._peak, self._equity = state["day_equity"], state["peak"], state["equity"]
        self._measure()

    def _measure(self) -> None:
        self.daily_loss = _loss(self._equity, self._day_equity)
        self.drawdown = _loss(self._equity, self._peak)


def _loss(equity: float, reference: float) -> float:
    return max(1.0 - equity / reference, 0.0) if reference > 0.0 else 0.0
