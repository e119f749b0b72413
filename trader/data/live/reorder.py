"""Rows put in the order in which they happened, at the price of a bounded delay."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trader.core.market import QuoteBatch, TradeBatch

__all__ = ["ReorderBuffer"]

_BatchT = TypeVar("_BatchT", TradeBatch, QuoteBatch)
_NEVER = np.iinfo(np.int64).min


class ReorderBuffer(Generic[_BatchT]):
    """Holds rows until none that is older may still come.

    A row leaves once one that happened `delay_ns` after it has come, in order of event time, equal times in order of
    receipt; receipt times are left as they are and may go back. A row that comes later than that is *late*: it is
    counted and left out. While there is room, the rows that leave and those that are late are the same however
    the stream is cut into batches. When there is none, the oldest leave early, and are counted in `forced`; what comes
    before one of them is late.

    Parameters
    ----------
    delay_ns : int
        How far, in event time, a row may lag behind the newest one. With 0 rows pass as they come.
    max_rows : int, default=1_000_000
        Largest number of rows held.

    Examples
    --------
    >>> buffer = ReorderBuffer[TradeBatch](delay_ns=10)
    >>> one = np.ones(4)
    >>> out = buffer.push(TradeBatch([10, 30, 25, 15], [31, 32, 33, 34], [0, 0, 0, 0], one, one, one))
    >>> out.ts_event_ns.tolist(), len(buffer), buffer.late
    ([10], 2, 1)
    >>> buffer.flush().ts_event_ns.tolist()
    [25, 30]
    """

    def __init__(self, delay_ns: int, max_rows: int = 1_000_000) -> None:
        if delay_ns < 0:
            raise ValueError(f"delay_ns={delay_ns}; 0 or more is allowed")
        if max_rows < 1:
            raise ValueError(f"max_rows={max_rows}; 1 or more is allowed")
        self.late = 0
        """Rows left out because they came too late."""
        self.forced = 0
        """Rows that left before their time, because there was no room."""
        self._delay_ns = delay_ns
        self._max_rows = max_rows
        self._held: _BatchT | None = None
        # What is older than this is late: it has left, or may have.
        self._passed_ns = _NEVER

    def __len__(self) -> int:
        return 0 if self._held is None else len(self._held)

    def push(self, batch: _BatchT) -> _BatchT:
        """Take in rows in order of receipt, and return those that may leave."""
        if self._delay_ns == 0:
            return batch
        kind = type(batch)
        return kind.concat(
            self._push(batch.take(slice(start, start + self._max_rows)))
            for start in range(0, len(batch), self._max_rows)
        )

    def advance(self, now_ns: int) -> _BatchT | None:
        """Return rows that may leave because, by other evidence, event time has come to `now_ns`; None if none may."""
        if self._held is None or self._delay_ns == 0:
            return None
        self._passed_ns = max(self._passed_ns, now_ns - self._delay_ns)
        return self._release(self._held) or None

    def flush(self) -> _BatchT | None:
        """Return all rows held, at the end of the stream; None if there never were any."""
        held = self._held
        if held is None or not len(held):
            return held
        self._held = held.take(slice(0, 0))
        self._passed_ns = max(self._passed_ns, int(held.ts_event_ns[-1]))
        return held

    def _push(self, batch: _BatchT) -> _BatchT:
        newest = np.maximum.accumulate(batch.ts_event_ns)
        passed = np.maximum(newest - self._delay_ns, self._passed_ns)
        before = np.concatenate((np.array([self._passed_ns]), passed[:-1]))
        late = batch.ts_event_ns < before
        self.late += int(np.count_nonzero(late))
        self._passed_ns = int(passed[-1])
        fresh = batch.take(~late) if late.any() else batch
        both = fresh if self._held is None else type(batch).concat((self._held, fresh))
        return self._release(both.take(_order(both.ts_event_ns)))

    def _release(self, rows: _BatchT) -> _BatchT:
        """Keep of sorted rows those that must wait and have room, and return the others."""
        n = int(np.searchsorted(rows.ts_event_ns, self._passed_ns, "right"))
        too_many = len(rows) - n - self._max_rows
        if too_many > 0:
            self.forced += too_many
            n += too_many
            self._passed_ns = int(rows.ts_event_ns[n - 1])
        self._held = rows.take(slice(n, None))
        return rows.take(slice(0, n))


def _order(ts_ns: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.argsort(ts_ns, kind="stable")
