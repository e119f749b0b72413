"""What the state of a book says: the top, and the levels behind it.

Every function takes a `Depth` whose arrays have shape (..., n_levels) and returns an array of shape (...,). Levels that
are missing (NaN) count as size 0; where a side is empty the answer is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trader.data.book.book import Depth

__all__ = ["imbalance", "microprice", "mid", "pressure", "queue_slope", "spread"]

FloatArray = NDArray[np.float64]


def mid(depth: Depth) -> FloatArray:
    """Return the mean of best bid and best ask."""
    return np.asarray(0.5 * (depth.bid[..., 0] + depth.ask[..., 0]))


def spread(depth: Depth) -> FloatArray:
    """Return best ask minus best bid, in price units."""
    return np.asarray(depth.ask[..., 0] - depth.bid[..., 0])


def imbalance(depth: Depth, n_levels: int = 1) -> FloatArray:
    """Return (bid - ask) / (bid + ask) of the sizes of the best `n_levels`, from -1 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> row = Depth(np.array([9.0]), np.array([3.0]), np.array([10.0]), np.array([1.0]))
    >>> float(imbalance(row)), float(microprice(row))
    (0.5, 9.75)
    """
    bids = np.nansum(depth.bid_size[..., :n_levels], axis=-1)
    asks = np.nansum(depth.ask_size[..., :n_levels], axis=-1)
    return _where_both(depth, _share(bids, asks))


def microprice(depth: Depth) -> FloatArray:
    """Return the mid weighted by the sizes of the opposite sides: near the side that is about to give way."""
    bid_size, ask_size = depth.bid_size[..., 0], depth.ask_size[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        weighted = (depth.bid[..., 0] * ask_size + depth.ask[..., 0] * bid_size) / (bid_size + ask_size)
    return np.asarray(weighted)


def pressure(depth: Depth) -> FloatArray:
    """Return the imbalance of all levels, each weighted by half the spread over its distance from the mid, -1 to 1."""
    half, centre = 0.5 * spread(depth)[..., None], mid(depth)[..., None]
    with np.errstate(invalid="ignore", divide="ignore"):
        bids = np.nansum(depth.bid_size * half / (centre - depth.bid), axis=-1)
        asks = np.nansum(depth.ask_size * half / (depth.ask - centre), axis=-1)
    return _where_both(depth, _share(bids, asks))


def queue_slope(depth: Depth) -> tuple[FloatArray, FloatArray]:
    """Return how fast size builds up away from the mid, of bids and of asks: units per basis point.

    The slope of the line through the origin that fits, by least squares, the size summed up to each level against the
    level's distance from the mid. A steep side takes more to move.
    """
    centre = mid(depth)[..., None]
    bid_bps = 1e4 * (centre - depth.bid) / centre
    ask_bps = 1e4 * (depth.ask - centre) / centre
    return _slope(bid_bps, depth.bid_size), _slope(ask_bps, depth.ask_size)


def _slope(distance: FloatArray, size: FloatArray) -> FloatArray:
    total = np.nancumsum(size, axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nansum(distance * total, axis=-1) / np.nansum(distance * distance, axis=-1))


def _share(bids: FloatArray, asks: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((bids - asks) / (bids + asks))


def _where_both(depth: Depth, value: FloatArray) -> FloatArray:
    return np.where(np.isfinite(depth.bid[..., 0]) & np.isfinite(depth.ask[..., 0]), value, np.nan)
