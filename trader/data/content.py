"""What a table of market data is: its kind, the bar fields it yields, its span and its fingerprint."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BAR_FIELDS, BarBatch, QuoteBatch, TradeBatch, Universe
from trader.core.protocols import BatchKind, FeedInfo, MarketBatch

__all__ = ["describe", "event_times", "fields_of", "fingerprint_of", "kind_of"]

_FROM_TRADES = frozenset({"open", "high", "low", "close", "volume", "vwap"})
_FROM_QUOTES = frozenset({"open", "high", "low", "close", "spread"})


def kind_of(data: MarketBatch) -> BatchKind:
    """Return the name of the batch's type."""
    if isinstance(data, TradeBatch):
        return "trades"
    return "quotes" if isinstance(data, QuoteBatch) else "bars"


def event_times(data: MarketBatch) -> NDArray[np.int64]:
    """Return when things happened: the event time of ticks, the close stamp of bars; shape (n_rows,)."""
    return data.ts_ns if isinstance(data, BarBatch) else data.ts_event_ns


def fields_of(data: MarketBatch) -> frozenset[str]:
    """Return the bar fields that `data` carry, or that bars built from them would.

    Bars carry a field if any row has a finite value. Trades yield prices, volume and vwap, and buy volume if any
    side is known; quotes yield mid prices and the spread.
    """
    if isinstance(data, BarBatch):
        return frozenset(name for name in BAR_FIELDS if np.isfinite(getattr(data, name)).any())
    if isinstance(data, QuoteBatch):
        return _FROM_QUOTES
    return _FROM_TRADES | {"buy_volume"} if data.side.any() else _FROM_TRADES


def fingerprint_of(data: MarketBatch, universe: Universe) -> str:
    """Return the SHA-256, in hex, of every column and the symbols. NaN hashes by its bits."""
    digest = hashlib.sha256(f"{kind_of(data)}:{len(data)}:{'|'.join(universe.symbols)}".encode())
    for name, column in data.columns().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(column).view(np.uint8).data)
    return digest.hexdigest()


def describe(name: str, data: MarketBatch, universe: Universe) -> FeedInfo:
    """Return the information of a feed that delivers `data`."""
    times = event_times(data)
    return FeedInfo(
        name=name,
        universe=universe,
        kind=kind_of(data),
        fields=fields_of(data),
        fingerprint=fingerprint_of(data, universe),
        span_ns=(int(times.min()), int(times.max())) if times.size else None,
    )
