"""The best levels of order books, from the thread that follows them to those who want to see or keep them."""

from __future__ import annotations

import dataclasses
import struct
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trader.data.book import Depth

__all__ = ["DepthBatch", "DepthLog"]

FloatArray = NDArray[np.float64]
_pack = struct.Struct("qqq").pack
_STAMPS = ("ts_event_ns", "ts_recv_ns", "symbol_id")
_LEVELS = ("bid", "bid_size", "ask", "ask_size")


@dataclasses.dataclass(frozen=True, slots=True)
class DepthBatch:
    """States of books, in the order in which they were known.

    Parameters
    ----------
    ts_event_ns, ts_recv_ns, symbol_id : ndarray of int64 of shape (n,)
    depth : Depth
        Arrays of shape (n, n_levels).
    """

    ts_event_ns: NDArray[np.int64]
    ts_recv_ns: NDArray[np.int64]
    symbol_id: NDArray[np.int64]
    depth: Depth

    def __len__(self) -> int:
        return self.ts_event_ns.size

    @classmethod
    def concat(cls, batches: Sequence[DepthBatch]) -> DepthBatch:
        """Return the rows of one or more batches of as many levels, one after the other."""
        event, recv, symbol = (np.concatenate([getattr(each, name) for each in batches]) for name in _STAMPS)
        levels = (np.concatenate([getattr(each.depth, name) for each in batches]) for name in _LEVELS)
        return cls(event, recv, symbol, Depth(*levels))

    def take(self, rows: NDArray[np.bool_]) -> DepthBatch:
        """Return the rows that a mask names."""
        depth = self.depth
        return DepthBatch(
            self.ts_event_ns[rows],
            self.ts_recv_ns[rows],
            self.symbol_id[rows],
            Depth(depth.bid[rows], depth.bid_size[rows], depth.ask[rows], depth.ask_size[rows]),
        )


class DepthLog:
    """A thread-safe list of states that is taken away bit by bit; when it is full, new ones are dropped and counted.

    Parameters
    ----------
    n_levels : int
    every_ns : int, default=0
        At most one row a symbol is kept for each interval of so many nanoseconds of event time, its first; 0 keeps all.
    capacity : int, default=100_000
        Rows kept; of ten levels they take 34 MB.

    Examples
    --------
    >>> log = DepthLog(n_levels=1)
    >>> log.add(5, 6, 0, np.array([[9.0, 2.0]]), np.array([[10.0, 1.0]]))
    >>> batch = log.take()
    >>> len(batch), batch.depth.bid.tolist(), batch.depth.ask_size.tolist()
    (1, [[9.0]], [[1.0]])
    """

    def __init__(self, n_levels: int, every_ns: int = 0, capacity: int = 100_000) -> None:
        if n_levels < 1 or every_ns < 0 or capacity < 1:
            raise ValueError(
                f"n_levels={n_levels}, every_ns={every_ns}, capacity={capacity}; 1, 0 and 1 or more are allowed"
            )
        self.n_levels = n_levels
        """Levels of each side."""
        self.dropped = 0
        """Rows that nobody took in time."""
        self._every_ns = every_ns
        self._capacity = capacity
        self._lock = threading.Lock()
        self._stamps = bytearray()
        self._levels = bytearray()
        self._n = 0
        self._interval: dict[int, int] = {}
        self._newest: dict[int, tuple[int, FloatArray, FloatArray]] = {}

    def add(self, event_ns: int, recv_ns: int, symbol_id: int, bids: FloatArray, asks: FloatArray) -> None:
        """Keep the best levels of a symbol, price and size in rows, shape (n_levels, 2)."""
        self.show(event_ns, symbol_id, bids, asks)
        with self._lock:
            if self._every_ns:
                interval = event_ns // self._every_ns
                if self._interval.get(symbol_id) == interval:
                    return
                self._interval[symbol_id] = interval
            if self._n >= self._capacity:
                self.dropped += 1
                return
            self._stamps += _pack(event_ns, recv_ns, symbol_id)
            self._levels += bids.tobytes()
            self._levels += asks.tobytes()
            self._n += 1

    def show(self, event_ns: int, symbol_id: int, bids: FloatArray, asks: FloatArray) -> None:
        """Make levels the newest state of a symbol, without a row: they came as a snapshot."""
        with self._lock:
            self._newest[symbol_id] = (event_ns, bids, asks)

    def forget(self, symbol_id: int) -> None:
        """Show no newest state of a symbol: its book is not to be used."""
        with self._lock:
            self._newest.pop(symbol_id, None)

    def newest(self, symbol_id: int) -> tuple[int, Depth] | None:
        """Return the event time and the best levels of a symbol; None while its book is not to be used."""
        with self._lock:
            found = self._newest.get(symbol_id)
        if found is None:
            return None
        event_ns, bids, asks = found
        return event_ns, Depth(bids[:, 0], bids[:, 1], asks[:, 0], asks[:, 1])

    def take(self) -> DepthBatch:
        """Return the rows since the last call."""
        with self._lock:
            raw_stamps, raw_levels, n = self._stamps, self._levels, self._n
            self._stamps, self._levels, self._n = bytearray(), bytearray(), 0
        stamps = np.frombuffer(raw_stamps, np.int64).reshape(n, 3)
        levels = np.frombuffer(raw_levels, np.float64).reshape(n, 2, self.n_levels, 2)
        bids, asks = levels[:, 0], levels[:, 1]
        depth = Depth(bids[..., 0], bids[..., 1], asks[..., 0], asks[..., 1])
        return DepthBatch(stamps[:, 0], stamps[:, 1], stamps[:, 2], depth)
