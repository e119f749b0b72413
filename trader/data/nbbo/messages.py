"""Quotes of venues in, national quotes out."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from trader.core.columns import Columns
from trader.core.market import QuoteBatch

__all__ = ["CROSSED", "LOCKED", "NORMAL", "ONE_SIDED", "NbboBatch", "VenueQuoteBatch"]

NORMAL, LOCKED, CROSSED, ONE_SIDED = range(4)
"""What the national quote is: bid below ask; equal to it; above it; or a side that nobody quotes (NaN, size 0)."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class VenueQuoteBatch(Columns):
    """What single venues quote on one side, in order of receipt.

    `side` is +1 for a bid and -1 for an ask. A price or size that is zero, negative, NaN or infinite withdraws the
    venue from that side.
    """

    ts_event_ns: IntArray
    ts_recv_ns: IntArray
    symbol_id: NDArray[np.int32]
    venue_id: NDArray[np.int32]
    side: NDArray[np.int8]
    price: FloatArray
    size: FloatArray

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {
        "ts_event_ns": np.int64,
        "ts_recv_ns": np.int64,
        "symbol_id": np.int32,
        "venue_id": np.int32,
        "side": np.int8,
        "price": np.float64,
        "size": np.float64,
    }


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class NbboBatch(Columns):
    """Changes of the national best bid and offer, in order of receipt.

    Prices are NaN and sizes 0 where nobody quotes. A size is the sum over the venues at that price, of which there are
    `bid_venues` and `ask_venues`. `state` is `NORMAL`, `LOCKED`, `CROSSED` or `ONE_SIDED`.
    """

    ts_event_ns: IntArray
    ts_recv_ns: IntArray
    symbol_id: NDArray[np.int32]
    bid: FloatArray
    ask: FloatArray
    bid_size: FloatArray
    ask_size: FloatArray
    bid_venues: NDArray[np.int32]
    ask_venues: NDArray[np.int32]
    state: NDArray[np.int8]

    DTYPES: ClassVar[Mapping[str, type[np.generic]]] = {
        **QuoteBatch.DTYPES,
        "bid_venues": np.int32,
        "ask_venues": np.int32,
        "state": np.int8,
    }

    def quotes(self) -> QuoteBatch:
        """Return the rows as quotes, crossed and one-sided ones too: the boundary refuses those, and counts them."""
        return QuoteBatch(**{name: getattr(self, name) for name in QuoteBatch.DTYPES})
