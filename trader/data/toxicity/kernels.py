"""Compiled loops of VPIN: moves of prices in their usual size, and volume filled into buckets."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["PRICE_DTYPE", "BUCKET_DTYPE", "fill_buckets", "scaled_moves"]

PRICE_DTYPE = np.dtype([("close", "f8"), ("square", "f8"), ("weight", "f8")], align=True)
"""A symbol's last close (NaN before the first), and weighted sum of squared moves with the sum of their weights."""
BUCKET_DTYPE = np.dtype([("volume", "f8"), ("bought", "f8"), ("n", "i8")], align=True)
"""A symbol's open bucket: its volume, the bought part, and how many buckets were filled before."""

Floats = NDArray[np.float64]
Ids = NDArray[np.int32]
Table = NDArray[np.void]


@njit(cache=True, nogil=True, error_model="numpy")
def scaled_moves(symbol_id: Ids, close: Floats, decay: float, prices: Table, out: Floats) -> None:
    """Write each close's move since the symbol's one before, over the root of the mean squared move up to it.

    The first move is 0, and so is every one while the price has never moved.
    """
    for i in range(symbol_id.size):
        price = prices[symbol_id[i]]
        move = close[i] - price.close
        price.close = close[i]
        out[i] = 0.0
        if move == move:  # there was a close before
            price.square = decay * price.square + move * move
            price.weight = decay * price.weight + 1.0
            if price.square > 0.0:
                out[i] = move / np.sqrt(price.square / price.weight)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_buckets(
    symbol_id: Ids,
    volume: Floats,
    share: Floats,
    sizes: Floats,
    buckets: Table,
    ring: Floats,
    rows: NDArray[np.int64],
    imbalance: Floats,
    vpin: Floats,
) -> int:
    """Pour volume, of which `share` was bought, into each symbol's bucket, and return how many were filled.

    A bar that does not fit is split, its share with it. Of each full bucket are written: the row that filled it, its
    signed imbalance over its size, and the mean size of the imbalances in `ring` (n_symbols, window); NaN until that
    has as many.
    """
    n, window = 0, ring.shape[1]
    for i in range(symbol_id.size):
        symbol = symbol_id[i]
        bucket, size = buckets[symbol], sizes[symbol]
        left = volume[i]
        while left > 0.0:
            room = size - bucket.volume
            if left < room:
                bucket.volume += left
                bucket.bought += left * share[i]
                break
            signed = 2.0 * (bucket.bought + room * share[i]) / size - 1.0
            left -= room
            bucket.volume = 0.0
            bucket.bought = 0.0
            ring[symbol, bucket.n % window] = abs(signed)
            bucket.n += 1
            rows[n] = i
            imbalance[n] = signed
            vpin[n] = np.nan
            if bucket.n >= window:
                total = 0.0
                for place in range(window):
                    total += ring[symbol, place]
                vpin[n] = total / window
            n += 1
    return n
