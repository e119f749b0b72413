from __future__ import annotations

import threading
import time

import pytest

from trader.core.errors import OperationError
from trader.core.protocols import FeedBatch
from trader.data.buffer import BoundedBuffer
from trader.data.simulation.ticks import simulate_trades

TRADES = simulate_trades(5, 1, seed=0)


def batch(seq: int) -> FeedBatch:
    return FeedBatch(seq, seq, TRADES.take(slice(0, 1 + seq % 5)))


def test_blocking_loses_nothing_and_keeps_order() -> None:
    """A fast source and a slow consumer: all batches arrive in order, and the buffer never overflows."""
    buffer = BoundedBuffer(4, "block")
    largest = 0

    def produce() -> None:
        nonlocal largest
        for seq in range(500):
            assert buffer.put(batch(seq))
            largest = max(largest, len(buffer))
        buffer.close()

    source = threading.Thread(target=produce)
    source.start()
    seen = [b.seq for b in buffer]
    source.join(60)
    assert seen == list(range(500))
    assert 1 <= largest <= 4
    assert (buffer.dropped_batches, buffer.dropped_rows) == (0, 0)


def test_dropping_keeps_the_newest_and_counts() -> None:
    """What was received and what was dropped add up to what was sent, in batches and rows."""
    buffer = BoundedBuffer(3, "drop_oldest")
    for seq in range(10):
        assert buffer.put(batch(seq))
    buffer.close()
    assert [b.seq for b in buffer] == [7, 8, 9]
    assert buffer.dropped_batches == 7
    assert buffer.dropped_rows == sum(len(batch(seq).data) for seq in range(7))


def test_dropping_under_threads_accounts_for_every_batch() -> None:
    """With source and consumer racing, received plus dropped is sent, and order is kept."""
    buffer = BoundedBuffer(2, "drop_oldest")

    def produce() -> None:
        for seq in range(2000):
            buffer.put(batch(seq))
        buffer.close()

    source = threading.Thread(target=produce)
    source.start()
    seen = [b.seq for b in buffer]
    source.join(60)
    assert seen == sorted(set(seen))
    assert len(seen) + buffer.dropped_batches == 2000
    assert seen[-1] == 1999


def test_an_error_of_the_source_reaches_the_consumer_after_the_data() -> None:
    """Batches sent before the failure are delivered first; the cause is attached."""
    buffer = BoundedBuffer(8)
    buffer.put(batch(0))
    fault = ConnectionError("socket closed")
    buffer.close(fault)
    stream = iter(buffer)
    assert next(stream).seq == 0
    with pytest.raises(OperationError, match="the source of the buffer failed: socket closed") as caught:
        next(stream)
    assert caught.value.__cause__ is fault


def test_closing_wakes_a_blocked_source() -> None:
    """A source that waits for room learns that its consumer has gone."""
    buffer = BoundedBuffer(1)
    buffer.put(batch(0))
    answers: list[bool] = []
    source = threading.Thread(target=lambda: answers.append(buffer.put(batch(1))))
    source.start()
    time.sleep(0.05)
    assert source.is_alive()
    buffer.close()
    source.join(60)
    assert answers == [False]
    assert buffer.put(batch(2)) is False


def test_closing_wakes_a_waiting_consumer() -> None:
    """A consumer that waits for data learns that there will be none."""
    buffer = BoundedBuffer(1)
    answers: list[FeedBatch | None] = []
    consumer = threading.Thread(target=lambda: answers.append(buffer.get()))
    consumer.start()
    buffer.close()
    consumer.join(60)
    assert answers == [None]


def test_timeouts() -> None:
    """A mute source and a stuck consumer are both noticed."""
    buffer = BoundedBuffer(1)
    with pytest.raises(TimeoutError, match="no batch came for"):
        buffer.get(timeout_s=0.01)
    buffer.put(batch(0))
    assert buffer.put(batch(1), timeout_s=0.01) is False
    assert len(buffer) == 1


@pytest.mark.parametrize(("capacity", "overflow"), [(0, "block"), (1, "explode")])
def test_impossible_buffers_are_refused(capacity: int, overflow: str) -> None:
    """The message names the argument and what is allowed."""
    with pytest.raises(ValueError, match=r"(capacity=0|overflow='explode'); .* allowed"):
        BoundedBuffer(capacity, overflow)  # type: ignore[arg-type]
