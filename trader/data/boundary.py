"""The boundary: rows that cannot be true are refused here, counted by reason, so that nothing inside has to check.

Every refused row is counted once, under the first reason that applies, in the order of `REASONS`.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from trader.core.market import BarBatch, QuoteBatch, TradeBatch
from trader.core.protocols import MarketBatch

__all__ = ["REASONS", "validate", "validate_bars", "validate_quotes", "validate_trades"]

REASONS: tuple[str, ...] = (
    "missing_time",
    "missing_symbol",
    "price_not_finite",
    "price_not_positive",
    "size_not_finite",
    "size_negative",
    "crossed_quote",
    "inconsistent_bar",
    "time_travel",
    "out_of_order",
)
"""Why a row may be refused. `missing_time` and `missing_symbol` come from readers of files."""

_BoolArray = NDArray[np.bool_]
_BatchT = TypeVar("_BatchT", TradeBatch, QuoteBatch, BarBatch)


def validate_trades(batch: TradeBatch) -> tuple[TradeBatch, dict[str, int]]:
    """Return the trades that can be true, and how many were refused by reason.

    Refused are: a price or size that is NaN or infinite, a price of zero or less, a negative size, receipt before
    the event, and receipt before that of an earlier accepted trade. Event times may go back: such trades are late.

    Examples
    --------
    >>> trades = TradeBatch(ts_event_ns=[1, 2, 3], ts_recv_ns=[1, 2, 3], symbol_id=[0, 0, 0],
    ...                     price=[10.0, -1.0, float("nan")], size=[1, 1, 1], side=[0, 0, 0])
    >>> clean, refused = validate_trades(trades)
    >>> len(clean), refused
    (1, {'price_not_finite': 1, 'price_not_positive': 1})
    """
    problems = {
        "price_not_finite": ~np.isfinite(batch.price),
        "price_not_positive": batch.price <= 0,
        "size_not_finite": ~np.isfinite(batch.size),
        "size_negative": batch.size < 0,
        "time_travel": batch.ts_recv_ns < batch.ts_event_ns,
    }
    return _reject(batch, problems, batch.ts_recv_ns)


def validate_quotes(batch: QuoteBatch) -> tuple[QuoteBatch, dict[str, int]]:
    """Return the quotes that can be true, and how many were refused by reason.

    As `validate_trades`, for both sides; a bid above the ask is refused, a bid equal to the ask (a locked market) is
    not. A quote of one side only, the other zero, is refused as `price_not_positive`.
    """
    problems = {
        "price_not_finite": ~(np.isfinite(batch.bid) & np.isfinite(batch.ask)),
        "price_not_positive": (batch.bid <= 0) | (batch.ask <= 0),
        "size_not_finite": ~(np.isfinite(batch.bid_size) & np.isfinite(batch.ask_size)),
        "size_negative": (batch.bid_size < 0) | (batch.ask_size < 0),
        "crossed_quote": batch.bid > batch.ask,
        "time_travel": batch.ts_recv_ns < batch.ts_event_ns,
    }
    return _reject(batch, problems, batch.ts_recv_ns)


def validate_bars(batch: BarBatch) -> tuple[BarBatch, dict[str, int]]:
    """Return the bars that can be true, and how many were refused by reason.

    The close must be finite; any other field may be NaN (the source lacks it) but not infinite, prices not zero or
    less, volumes and spread not negative. Refused as `inconsistent_bar` are bars whose open, close or vwap lie outside
    low to high (by more than a relative 1e-9), or with more buy volume than volume; as `time_travel` those that open
    after they close; as `out_of_order` those that close before an earlier accepted bar.
    """
    prices = (batch.open, batch.high, batch.low, batch.close, batch.vwap)
    sizes = (batch.volume, batch.buy_volume, batch.spread)
    slack = 1e-9 * np.abs(np.where(np.isfinite(batch.close), batch.close, 0.0))
    inside = np.stack([batch.open, batch.close, batch.vwap])
    problems = {
        "price_not_finite": np.isnan(batch.close) | np.any([np.isinf(p) for p in prices], axis=0),
        "price_not_positive": np.any([p <= 0 for p in prices], axis=0),
        "size_not_finite": np.any([np.isinf(s) for s in sizes], axis=0),
        "size_negative": np.any([s < 0 for s in sizes], axis=0),
        "inconsistent_bar": (
            (inside > batch.high + slack).any(axis=0)
            | (inside < batch.low - slack).any(axis=0)
            | (batch.low > batch.high + slack)
            | (batch.buy_volume > batch.volume * (1 + 1e-9))
        ),
        "time_travel": batch.ts_open_ns > batch.ts_ns,
    }
    return _reject(batch, problems, batch.ts_ns)


def validate(batch: MarketBatch) -> tuple[MarketBatch, dict[str, int]]:
    """Return what the validator of the batch's type returns."""
    if isinstance(batch, TradeBatch):
        return validate_trades(batch)
    if isinstance(batch, QuoteBatch):
        return validate_quotes(batch)
    return validate_bars(batch)


def _reject(
    batch: _BatchT, problems: dict[str, _BoolArray], order: NDArray[np.int64]
) -> tuple[_BatchT, dict[str, int]]:
    good = np.ones(len(batch), np.bool_)
    counts: dict[str, int] = {}
    for reason, bad in problems.items():
        _count(counts, reason, good & bad)
        good &= ~bad
    # Only accepted rows move the clock: one absurd row that was refused above does not condemn those after it.
    latest = np.maximum.accumulate(np.where(good, order, np.iinfo(np.int64).min))
    backwards = good & (order < latest)
    _count(counts, "out_of_order", backwards)
    good &= ~backwards
    return (batch if good.all() else batch.take(good)), counts


def _count(counts: dict[str, int], reason: str, bad: _BoolArray) -> None:
    found = int(np.count_nonzero(bad))
    if found:
        counts[reason] = found
