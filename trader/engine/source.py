"""Reading a feed in a thread of its own, so that a source that cannot wait does not have to."""

from __future__ import annotations

import collections
import contextlib
import threading
import time
from collections.abc import Generator, Iterator

from trader.core.market import QuoteBatch, TradeBatch
from trader.core.protocols import Feed, FeedBatch
from trader.data.buffer import BoundedBuffer
from trader.data.live.feed import LiveFeed
from trader.data.live.troubles import Trouble

__all__ = ["LiveReader", "read_through"]

_KEPT_BATCHES = 10_000
"""Batches that are kept at most; many times those between two checkpoints."""


class LiveReader:
    """Reads a live feed for passes that may be broken off.

    A live feed gives everything once, so the newest batches are kept, with their numbers: a pass that goes back begins
    with those. What it cannot give again is told.

    Parameters
    ----------
    feed : LiveFeed
    keep_rows : int, default=1_000_000
        Largest number of rows kept.
    """

    def __init__(self, feed: LiveFeed, keep_rows: int = 1_000_000) -> None:
        self._feed = feed
        self._keep_rows = keep_rows
        self._kept: collections.deque[FeedBatch] = collections.deque()
        self._kept_rows = 0
        self._own: list[Trouble] = []

    @property
    def dropped_rows(self) -> int:
        """Rows let go of because the consumer was too slow."""
        return self._feed.dropped_rows

    def troubles(self) -> list[Trouble]:
        """Return what went wrong since the last call."""
        own, self._own = self._own, []
        return own + self._feed.troubles()

    def batches(self, from_seq: int, durable_batch: int) -> Generator[FeedBatch]:
        """Yield the batches from number `from_seq` on: those kept, then what comes.

        Numbers that cannot be given again come as batches of no rows. What is new is not numbered among the batches up
        to `durable_batch`, which are decided on.
        """
        again = [batch for batch in self._kept if batch.seq >= from_seq]
        first_kept = self._kept[0].seq if self._kept else 0
        next_seq = self._kept[-1].seq + 1 if self._kept else 0
        if not first_kept <= from_seq <= next_seq:
            detail = f"batches {from_seq} to {max(first_kept - 1, durable_batch)} cannot be given again"
            self._own.append(Trouble(time.time_ns(), "rows_lost", detail))
        empty = (TradeBatch if self._feed.info.kind == "trades" else QuoteBatch).empty()
        for seq in range(from_seq, again[0].seq if again else durable_batch + 1):
            yield FeedBatch(seq, 0, empty)
        yield from again
        live = self._feed.batches(max(from_seq, next_seq, durable_batch + 1))
        with contextlib.closing(live):
            for batch in live:
                self._keep(batch)
                yield batch

    def _keep(self, batch: FeedBatch) -> None:
        self._kept.append(batch)
        self._kept_rows += len(batch.data)
        while len(self._kept) > _KEPT_BATCHES or self._kept_rows > self._keep_rows:
            self._kept_rows -= len(self._kept.popleft().data)


def read_through(feed: Feed, from_seq: int, buffer: BoundedBuffer) -> Iterator[FeedBatch]:
    """Yield the batches of a feed through a buffer, without holes in their numbers.

    Where the buffer dropped batches, batches of no rows with their numbers stand in, so that consumers that
    count on every number go on; what was dropped is counted by the buffer.
    """

    def fill() -> None:
        error: BaseException | None = None
        try:
            for batch in feed.batches(from_seq):
                if not buffer.put(batch):
                    break
        except BaseException as raised:  # noqa: BLE001 - handed to the consumer, which raises it
            error = raised
        buffer.close(error)

    threading.Thread(target=fill, name="feed-reader", daemon=True).start()
    expected = from_seq
    watermark_ns = 0
    try:
        for batch in buffer:
            for seq in range(expected, batch.seq):
                yield FeedBatch(seq, watermark_ns, type(batch.data).empty())
            yield batch
            expected, watermark_ns = batch.seq + 1, batch.watermark_ns
    finally:
        buffer.close()
