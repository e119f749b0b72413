"""The decision loop: from one instant of the market to the next, pure."""

from __future__ import annotations

from trader.pipeline.loop import DecisionLoop

__all__ = ["DecisionLoop"]
