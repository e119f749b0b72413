"""Compiled loop of the national best bid and offer.

`prices` and `sizes` hold what every venue quotes, shape (n_symbols, 2, n_venues), bids first; a size of 0 is no quote.
`best` holds the national quote, shape (n_symbols, 2), of records of `BEST_DTYPE`. A change at one venue looks at
one side of one symbol again: venues are few, and a scan of them is shorter than keeping them in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["BEST_DTYPE", "update_best"]

BEST_DTYPE = np.dtype([("price", "f8"), ("size", "f8"), ("venues", "i4")], align=True)
"""The best of one side: price (0 if there is none), size of all venues at it, and their number."""

Floats = NDArray[np.float64]
Table = NDArray[np.void]
Best = Any  # one record of BEST_DTYPE


@njit(forceinline=True)
def _look(prices: Floats, sizes: Floats, sign: float, best: Best) -> bool:
    """Find the best of one side, shape (n_venues,) each, and return whether it changed."""
    price, size, venues = 0.0, 0.0, 0
    for venue in range(prices.size):
        if sizes[venue] > 0.0:
            ahead = sign * (prices[venue] - price)
            if venues == 0 or ahead > 0.0:
                price, size, venues = prices[venue], sizes[venue], 1
            elif ahead == 0.0:
                size += sizes[venue]
                venues += 1
    changed = price != best.price or size != best.size or venues != best.venues
    best.price, best.size, best.venues = price, size, venues
    return bool(changed)


@njit(cache=True, nogil=True)
def update_best(
    symbol_id: NDArray[np.int32],
    venue_id: NDArray[np.int32],
    side: NDArray[np.int8],
    new_prices: Floats,
    new_sizes: Floats,
    prices: Floats,
    sizes: Floats,
    best: Table,
    rows: NDArray[np.int64],
    out: Table,
) -> tuple[int, int]:
    """Take in quotes in order, and return how many changes of a national quote there were, and how many withdrawals.

    Of each change the place of the quote is written to `rows`, and both sides to `out` (n, 2) of `BEST_DTYPE`.
    """
    n, withdrawn = 0, 0
    for i in range(symbol_id.size):
        symbol, venue, place = symbol_id[i], venue_id[i], 0 if side[i] > 0 else 1
        price, size = new_prices[i], new_sizes[i]
        quoted = price > 0.0 and size > 0.0 and price < np.inf and size < np.inf
        if not quoted:
            withdrawn += 1
        prices[symbol, place, venue] = price if quoted else 0.0
        sizes[symbol, place, venue] = size if quoted else 0.0
        sign = 1.0 if place == 0 else -1.0
        if _look(prices[symbol, place], sizes[symbol, place], sign, best[symbol, place]):
            rows[n] = i
            for other in range(2):
                out[n, other].price = best[symbol, other].price
                out[n, other].size = best[symbol, other].size
                out[n, other].venues = best[symbol, other].venues
            n += 1
    return n, withdrawn
