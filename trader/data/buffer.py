"""A bounded buffer between a live source and its consumer."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

from trader.core.errors import OperationError
from trader.core.protocols import FeedBatch

__all__ = ["BoundedBuffer"]


class BoundedBuffer:
    """A thread-safe queue of batches that never grows beyond `capacity`.

    When it is full, `block` makes the source wait (nothing is lost, the source falls behind) and `drop_oldest` lets go
    of the oldest batch (the consumer stays near the present); what was dropped is counted. The consumer iterates: it
    gets every batch still held after `close`, then the end, or the error that ended the source.

    Parameters
    ----------
    capacity : int
        Largest number of batches held.
    overflow : {"block", "drop_oldest"}, default="block"
        What `put` does when the buffer is full.
    on_drop : callable, optional
        Given each batch that is let go of, in the thread that puts.

    Examples
    --------
    >>> from trader.core.market import TradeBatch
    >>> buffer = BoundedBuffer(1, "drop_oldest")
    >>> buffer.put(FeedBatch(0, 0, TradeBatch.empty())), buffer.put(FeedBatch(1, 0, TradeBatch.empty()))
    (True, True)
    >>> buffer.close()
    >>> [batch.seq for batch in buffer], buffer.dropped_batches
    ([1], 1)
    """

    def __init__(
        self,
        capacity: int,
        overflow: Literal["block", "drop_oldest"] = "block",
        on_drop: Callable[[FeedBatch], None] | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity={capacity}; 1 or more is allowed")
        if overflow not in ("block", "drop_oldest"):
            raise ValueError(f"overflow={overflow!r}; 'block' and 'drop_oldest' are allowed")
        self._capacity = capacity
        self._overflow = overflow
        self._on_drop = on_drop
        self._held: deque[FeedBatch] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._dropped_batches = 0
        self._dropped_rows = 0

    @property
    def dropped_batches(self) -> int:
        """Batches let go of since the beginning."""
        return self._dropped_batches

    @property
    def dropped_rows(self) -> int:
        """Rows of those batches."""
        return self._dropped_rows

    def __len__(self) -> int:
        return len(self._held)

    def put(self, batch: FeedBatch, timeout_s: float | None = None) -> bool:
        """Add a batch; return False if there was no room for `timeout_s` seconds, or the buffer was closed.

        A source that gets False after `close` knows that its consumer has gone and stops.
        """
        with self._changed:
            if self._overflow == "drop_oldest" and len(self._held) >= self._capacity and not self._closed:
                oldest = self._held.popleft()
                self._dropped_batches += 1
                self._dropped_rows += len(oldest.data)
                if self._on_drop is not None:
                    self._on_drop(oldest)
            self._changed.wait_for(lambda: self._closed or len(self._held) < self._capacity, timeout_s)
            if self._closed or len(self._held) >= self._capacity:
                return False
            self._held.append(batch)
            self._changed.notify_all()
            return True

    def get(self, timeout_s: float | None = None) -> FeedBatch | None:
        """Take the oldest batch; None when the buffer is closed and empty.

        Raises
        ------
        TimeoutError
            If none came for `timeout_s` seconds.
        OperationError
            If the source failed; its error is the cause.
        """
        with self._changed:
            began = time.monotonic()
            if not self._changed.wait_for(lambda: self._closed or bool(self._held), timeout_s):
                raise TimeoutError(f"no batch came for {time.monotonic() - began:.1f} s")
            if self._held:
                batch = self._held.popleft()
                self._changed.notify_all()
                return batch
            if self._error is not None:
                raise OperationError(f"the source of the buffer failed: {self._error}") from self._error
            return None

    def close(self, error: BaseException | None = None) -> None:
        """End the stream, with the error that ended the source if one did; later calls change nothing."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._error = error
                self._changed.notify_all()

    def __iter__(self) -> Iterator[FeedBatch]:
        while (batch := self.get()) is not None:
            yield batch
