"""Bars from ticks: time, tick, volume and dollar bars, the same for every split of the ticks into batches."""

from trader.bars.builder import BAR_KINDS, BarBuilder, BarKind

__all__ = ["BAR_KINDS", "BarBuilder", "BarKind"]
