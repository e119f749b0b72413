"""A buffered feed keeps its numbers, drops by rule and passes errors on."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from tests.support.waiting import wait_until
from trader.core.errors import DataError, OperationError
from trader.core.market import TradeBatch, Universe
from trader.core.protocols import FeedBatch, FeedInfo
from trader.data.buffer import BoundedBuffer
from trader.data.live.troubles import Trouble
from trader.engine.source import LiveReader, read_through


class _Burst:
    """A feed that gives all it has at once, and then may fail."""

    info = FeedInfo("burst", Universe(("A",)), "trades", frozenset(), "x")

    def __init__(self, n: int, error: Exception | None = None) -> None:
        self._n = n
        self._error = error
        self.sent = 0

    def batches(self, from_seq: int = 0) -> Iterator[FeedBatch]:
        one = np.ones(1)
        for seq in range(from_seq, self._n):
            self.sent += 1
            yield FeedBatch(seq, seq, TradeBatch(one, one, 0 * one, one, one, one))
        if self._error is not None:
            raise self._error

    def rejected(self) -> Mapping[str, int]:
        return {}


def test_a_slow_consumer_sees_every_number_and_the_newest_rows() -> None:
    """Dropped batches come as empty ones; rows delivered and dropped add up."""
    feed, buffer = _Burst(50), BoundedBuffer(4, "drop_oldest")
    stream = read_through(feed, 3, buffer)
    first = next(stream)
    wait_until(lambda: feed.sent == 47)
    rest = list(stream)
    batches = [first, *rest]
    assert [batch.seq for batch in batches] == list(range(3, 50))
    assert len(rest[-1].data) == 1
    assert buffer.dropped_batches > 30
    assert sum(len(batch.data) for batch in batches) + buffer.dropped_rows == 47
    marks = [batch.watermark_ns for batch in batches]
    assert marks == sorted(marks)


def test_a_blocking_buffer_loses_nothing() -> None:
    """The source waits instead."""
    buffer = BoundedBuffer(2, "block")
    assert [len(batch.data) for batch in read_through(_Burst(30), 0, buffer)] == [1] * 30
    assert buffer.dropped_rows == 0


def test_an_error_of_the_source_reaches_the_consumer() -> None:
    """After everything that was read before it."""
    stream = read_through(_Burst(2, DataError("broken")), 0, BoundedBuffer(8))
    assert [next(stream).seq, next(stream).seq] == [0, 1]
    with pytest.raises(OperationError, match="broken"):
        next(stream)


class _Endless:
    """A live feed that brings two rows a batch."""

    info = FeedInfo("endless", Universe(("A",)), "trades", frozenset(), "x")
    dropped_rows = 0

    def batches(self, from_seq: int = 0) -> Iterator[FeedBatch]:
        for seq in itertools.count(from_seq):
            pair = np.array([seq, seq])
            yield FeedBatch(seq, seq, TradeBatch(pair, pair, 0 * pair, 1 + pair, pair, 0 * pair))

    def troubles(self) -> list[Trouble]:
        return []


def _read(reader: LiveReader, from_seq: int, durable: int, n: int) -> list[tuple[int, int]]:
    """Number and rows of the first `n` batches of a pass."""
    with contextlib.closing(reader.batches(from_seq, durable)) as stream:
        return [(batch.seq, len(batch.data)) for batch in itertools.islice(stream, n)]


def test_a_live_feed_can_be_read_again() -> None:
    """A pass that goes back gets the same batches under the same numbers, and then what is new."""
    reader = LiveReader(_Endless())  # type: ignore[arg-type]
    assert _read(reader, 0, -1, 9) == [(seq, 2) for seq in range(9)]
    assert _read(reader, 4, 6, 8) == [(seq, 2) for seq in range(4, 12)]
    assert _read(reader, 12, 11, 1) == [(12, 2)]
    assert reader.troubles() == []


def test_what_is_kept_is_bounded_and_the_rest_is_told() -> None:
    """Batches that were let go of come empty."""
    reader = LiveReader(_Endless(), keep_rows=6)  # type: ignore[arg-type]
    _read(reader, 0, -1, 9)
    assert _read(reader, 4, 5, 6) == [(4, 0), (5, 0), (6, 2), (7, 2), (8, 2), (9, 2)]
    assert [trouble.detail for trouble in reader.troubles()] == ["batches 4 to 5 cannot be given again"]


def test_a_reader_that_died_says_so() -> None:
    """A new one that is to go on in the middle has nothing of what is decided on."""
    reader = LiveReader(_Endless())  # type: ignore[arg-type]
    assert _read(reader, 4, 6, 4) == [(4, 0), (5, 0), (6, 0), (7, 2)]
    assert [trouble.detail for trouble in reader.troubles()] == ["batches 4 to 6 cannot be given again"]
