"""The newest rows of every symbol in fixed memory."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from trader.core.columns import Columns
from trader.core.market import BarBatch

__all__ = ["RingBuffers"]

Batch = TypeVar("Batch", bound=Columns)


class RingBuffers(Generic[Batch]):
    """A ring of `capacity` rows for each symbol, by column.

    All memory is taken at the beginning. What does not fit is counted by symbol: with `overwrite` the oldest rows go,
    with `refuse` the newest do not come in until `discard` has made room.

    Parameters
    ----------
    table : type
        What is kept: `TradeBatch`, `QuoteBatch` or `BarBatch`.
    n_symbols : int
    capacity : int
        Rows of a symbol.
    policy : {"overwrite", "refuse"}, default="overwrite"

    Examples
    --------
    >>> from trader.core.market import TradeBatch
    >>> ring = RingBuffers(TradeBatch, n_symbols=2, capacity=3)
    >>> ring.append(TradeBatch([1, 2, 3, 4], [1, 2, 3, 4], [0, 0, 0, 0], [9.0, 9.1, 9.2, 9.3], [1, 1, 1, 1], [0] * 4))
    4
    >>> ring.last(0, 2).price.tolist(), ring.since(0, 3).price.tolist(), ring.overflow.tolist()
    ([9.2, 9.3], [9.2, 9.3], [1, 0])
    """

    def __init__(
        self,
        table: type[Batch],
        n_symbols: int,
        capacity: int,
        policy: Literal["overwrite", "refuse"] = "overwrite",
    ) -> None:
        if n_symbols < 0 or capacity < 1:
            raise ValueError(f"n_symbols={n_symbols}, capacity={capacity}; at least 0 and 1 are allowed")
        if policy not in ("overwrite", "refuse"):
            raise ValueError(f"policy={policy!r}; 'overwrite' and 'refuse' are allowed")
        self._table = table
        self._capacity = capacity
        self._overwrites = policy == "overwrite"
        self._columns: dict[str, NDArray[Any]] = {
            name: np.zeros((n_symbols, capacity), dtype) for name, dtype in table.DTYPES.items() if name != "symbol_id"
        }
        self._time = "ts_ns" if table is BarBatch else "ts_event_ns"
        # Rows that came in and that went, since the beginning: the ring holds those between.
        self._come = np.zeros(n_symbols, np.int64)
        self._gone = np.zeros(n_symbols, np.int64)
        self._overflow = np.zeros(n_symbols, np.int64)
        self._told = np.zeros(n_symbols, np.int64)

    @property
    def overflow(self) -> NDArray[np.int64]:
        """Rows overwritten or refused since the beginning, shape (n_symbols,)."""
        return self._overflow.copy()

    @property
    def held(self) -> NDArray[np.int64]:
        """Rows held, shape (n_symbols,)."""
        return self._come - self._gone

    @property
    def nbytes(self) -> int:
        """Memory of the rows; it does not change."""
        return sum(column.nbytes for column in self._columns.values())

    def append(self, batch: Batch) -> int:
        """Take rows in, in their order; return how many were taken.

        With `overwrite` all count as taken, those too that later rows of the same batch push out.
        """
        if not len(batch):
            return 0
        ids = batch.columns()["symbol_id"]
        order = np.argsort(ids, kind="stable")
        symbol = ids[order].astype(np.intp)
        count = np.bincount(symbol, minlength=self._come.size)
        first = np.cumsum(count) - count
        place = np.arange(symbol.size) - first[symbol]
        room = self._capacity - self.held
        if self._overwrites:
            kept = place >= (count - self._capacity)[symbol]
            taken = count
            self._gone += np.maximum(count - room, 0)
        else:
            kept = place < room[symbol]
            taken = np.minimum(count, room)
        slot = (self._come[symbol] + place) % self._capacity
        rows, symbol, slot = order[kept], symbol[kept], slot[kept]
        for name, column in self._columns.items():
            column[symbol, slot] = getattr(batch, name)[rows]
        self._come += taken
        self._overflow += np.maximum(count - room, 0)
        return int(taken.sum())

    def last(self, symbol_id: int, n_rows: int) -> Batch:
        """Return the newest rows of a symbol, at most `n_rows`, oldest first, as a copy."""
        held = int(self._come[symbol_id] - self._gone[symbol_id])
        return self._rows(symbol_id, self._slots(symbol_id, min(max(n_rows, 0), held)))

    def since(self, symbol_id: int, ts_ns: int) -> Batch:
        """Return the rows of a symbol with event time (bars: close) at or after `ts_ns`, in order of receipt."""
        slots = self._slots(symbol_id, int(self._come[symbol_id] - self._gone[symbol_id]))
        return self._rows(symbol_id, slots[self._columns[self._time][symbol_id, slots] >= ts_ns])

    def discard(self, symbol_id: int, n_rows: int | None = None) -> int:
        """Let go of the oldest rows of a symbol, all by default; return how many there were."""
        held = int(self._come[symbol_id] - self._gone[symbol_id])
        n_gone = held if n_rows is None else min(max(n_rows, 0), held)
        self._gone[symbol_id] += n_gone
        return n_gone

    def new_overflow(self) -> dict[int, int]:
        """Return rows overwritten or refused since the last call, by symbol; what there is to be alerted on."""
        new = self._overflow - self._told
        self._told = self._overflow.copy()
        return {int(symbol): int(new[symbol]) for symbol in np.flatnonzero(new)}

    def _slots(self, symbol_id: int, n_rows: int) -> NDArray[np.int64]:
        come = int(self._come[symbol_id])
        return np.arange(come - n_rows, come) % self._capacity

    def _rows(self, symbol_id: int, slots: NDArray[np.int64]) -> Batch:
        columns = {name: column[symbol_id, slots] for name, column in self._columns.items()}
        columns["symbol_id"] = np.full(slots.size, symbol_id, np.int32)
        return self._table(**columns)
