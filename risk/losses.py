"""Losses of the day and from the peak, as equity goes by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from risk.kernels import LOSSES, NO_DAY, forget_losses, loss_beyond, measure_losses, note_equity
from trader.core.orders import DenialReason

__all__ = ["LossWatch"]


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
        self.record = np.zeros(1, LOSSES)
        """Everything it knows, as compiled loops read and write it."""
        self.record["day"] = NO_DAY
        self.record["day_start_ns"] = day_start_ns
        self.record["max_daily_loss"] = max_daily_loss
        self.record["max_drawdown"] = max_drawdown

    @property
    def daily_loss(self) -> float:
        """Loss of the day so far."""
        return float(self.record["daily_loss"][0])

    @property
    def drawdown(self) -> float:
        """Loss from the peak."""
        return float(self.record["drawdown"][0])

    def update(self, ts_ns: int, equity: float) -> bool:
        """Take the equity at an instant; return whether a new day began."""
        return bool(note_equity(self.record, ts_ns, equity))

    def accept(self) -> None:
        """Measure both losses from the last equity on."""
        forget_losses(self.record)

    @property
    def too_much_in_a_day(self) -> bool:
        """Whether the day's loss is beyond its limit."""
        return bool(loss_beyond(self.daily_loss, self.max_daily_loss))

    @property
    def too_far_from_peak(self) -> bool:
        """Whether the drawdown is beyond its limit."""
        return bool(loss_beyond(self.drawdown, self.max_drawdown))

    def measured(self, rule: DenialReason) -> tuple[float, float]:
        """Return what a rule measures now and its limit; zeros for a rule that is not about losses."""
        if rule is DenialReason.DAILY_LOSS:
            return self.daily_loss, self.max_daily_loss
        if rule is DenialReason.DRAWDOWN:
            return self.drawdown, self.max_drawdown
        return 0.0, 0.0

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, ready for JSON."""
        day = int(self.record["day"][0])
        numbers = {name: float(self.record[name][0]) for name in ("day_equity", "peak", "equity")}
        return {"day": None if day == NO_DAY else day, **numbers}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.record["day"] = NO_DAY if state["day"] is None else state["day"]
        for name in ("day_equity", "peak", "equity"):
            self.record[name] = state[name]
        measure_losses(self.record)
