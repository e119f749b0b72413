"""A price-level order book of one symbol, kept up to date level by level."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trader.data.book.kernels import apply_levels, best_levels

__all__ = ["Depth", "OrderBook"]

FloatArray = NDArray[np.float64]
_FIRST_CAPACITY = 4096


@dataclasses.dataclass(frozen=True, slots=True)
class Depth:
    """The best levels of a book, best first; NaN where a side has no more.

    Parameters
    ----------
    bid, bid_size, ask, ask_size : ndarray of shape (..., n_levels)
        Prices and sizes; leading axes are instants.
    """

    bid: FloatArray
    bid_size: FloatArray
    ask: FloatArray
    ask_size: FloatArray


class _Side:
    """One side of the book; `sign` is +1 for bids and -1 for asks."""

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._keys = np.empty(_FIRST_CAPACITY)
        self._sizes = np.empty(_FIRST_CAPACITY)
        self.n = 0

    def clear(self) -> None:
        self.n = 0

    def apply(self, levels: ArrayLike) -> None:
        table = np.asarray(levels, np.float64).reshape(-1, 2)
        room = self.n + len(table)
        if room > self._keys.size:
            self._keys = np.concatenate([self._keys[: self.n], np.empty(room)])
            self._sizes = np.concatenate([self._sizes[: self.n], np.empty(room)])
        self.n = apply_levels(self._keys, self._sizes, self.n, self._sign * table[:, 0], table[:, 1])

    def best(self, n_levels: int) -> FloatArray:
        out = np.empty((n_levels, 2))
        best_levels(self._keys, self._sizes, self.n, self._sign, out)
        return out


class OrderBook:
    """Bids and asks by price.

    Prices are compared exactly: the same decimal text gives the same number, so a level is found again.

    Examples
    --------
    >>> book = OrderBook()
    >>> book.update(bids=[(99.0, 2.0), (98.5, 1.0)], asks=[(100.0, 3.0)])
    >>> book.update(bids=[(99.0, 0.0)], asks=[])
    >>> book.depth(1).bid, book.depth(1).ask
    (array([98.5]), array([100.]))
    """

    def __init__(self) -> None:
        self._bids = _Side(1.0)
        self._asks = _Side(-1.0)

    @property
    def n_levels(self) -> tuple[int, int]:
        """Levels of the bids and of the asks."""
        return self._bids.n, self._asks.n

    @property
    def is_crossed(self) -> bool:
        """Whether the best bid is at or above the best ask, which no venue shows; False while a side is empty."""
        bids, asks = self.levels(1)
        return bool(bids[0, 0] >= asks[0, 0])

    def clear(self) -> None:
        """Forget every level."""
        self._bids.clear()
        self._asks.clear()

    def update(self, bids: ArrayLike, asks: ArrayLike) -> None:
        """Set levels from rows of price and size, shape (n, 2); size 0 takes a level away."""
        self._bids.apply(bids)
        self._asks.apply(asks)

    def levels(self, n_levels: int) -> tuple[FloatArray, FloatArray]:
        """Return price and size of the best bids and of the best asks, shape (n_levels, 2) each."""
        return self._bids.best(n_levels), self._asks.best(n_levels)

    def depth(self, n_levels: int = 10) -> Depth:
        """Return the best levels, each array of shape (n_levels,)."""
        bids, asks = self.levels(n_levels)
        return Depth(bids[:, 0], bids[:, 1], asks[:, 0], asks[:, 1])
