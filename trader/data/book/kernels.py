"""Compiled loops of the order book.

A side is two arrays of which the first `n` places count: keys in rising order and the size at each. The key of a bid is
its price, that of an ask its negated price, so the best level of either side is the last one: nearly all changes are
near it, and move little.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["apply_levels", "best_levels"]

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def apply_levels(keys: Floats, sizes: Floats, n: int, new_keys: Floats, new_sizes: Floats) -> int:
    """Set the size at each new key, in order, and return the number of levels; size 0 takes a level away.

    The arrays need room for as many more levels as there are new keys. Taking away a level that is not there
    changes nothing.
    """
    for i in range(new_keys.size):
        key, size = new_keys[i], new_sizes[i]
        low, high = 0, n
        while low < high:
            middle = (low + high) // 2
            if keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        found = low < n and keys[low] == key
        if size == 0.0:
            if found:
                n -= 1
                for j in range(low, n):
                    keys[j], sizes[j] = keys[j + 1], sizes[j + 1]
        elif found:
            sizes[low] = size
        else:
            for j in range(n, low, -1):
                keys[j], sizes[j] = keys[j - 1], sizes[j - 1]
            keys[low], sizes[low] = key, size
            n += 1
    return n


@njit(cache=True, nogil=True)
def best_levels(keys: Floats, sizes: Floats, n: int, sign: float, out: Floats) -> None:
    """Write price and size of the best levels, best first, into `out` (n_levels, 2); NaN where there are no more."""
    for i in range(out.shape[0]):
        if i < n:
            out[i, 0], out[i, 1] = sign * keys[n - 1 - i], sizes[n - 1 - i]
        else:
            out[i, 0], out[i, 1] = np.nan, np.nan
