"""Reading a feed in a thread of its own, so that a source that cannot wait does not have to."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from trader.core.protocols import Feed, FeedBatch
from trader.data.buffer import BoundedBuffer

__all__ = ["read_through"]


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
