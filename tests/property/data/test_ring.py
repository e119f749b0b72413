"""Ring buffers against a deque a symbol."""

from __future__ import annotations

import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sinks import MAKERS
from trader.core.market import TradeBatch
from trader.data.ring import RingBuffers

N_SYMBOLS = 4

sizes = st.lists(st.integers(0, 40), max_size=12)


@given(kind=st.sampled_from(sorted(MAKERS)), sizes=sizes, capacity=st.integers(1, 17), n_last=st.integers(0, 20))
def test_overwriting_rings_are_deques(kind: str, sizes: list[int], capacity: int, n_last: int) -> None:
    """Whatever the batches: the newest `capacity` rows of each symbol, and the rest is counted."""
    table = type(MAKERS[kind](0))
    ring = RingBuffers(table, N_SYMBOLS, capacity)
    truth = [collections.deque(maxlen=capacity) for _ in range(N_SYMBOLS)]
    came = collections.Counter()
    first, nbytes = 0, ring.nbytes
    for size in sizes:
        batch = MAKERS[kind](size, first)
        first += size
        assert ring.append(batch) == size
        for row in batch.records():
            truth[row["symbol_id"]].append(row)
            came[int(row["symbol_id"])] += 1
    assert ring.nbytes == nbytes
    for symbol, rows in enumerate(truth):
        expected = np.array(list(rows)[-n_last:] if n_last else [], table.record_dtype())
        assert ring.last(symbol, n_last) == table(**{name: expected[name] for name in table.DTYPES})
        assert ring.held[symbol] == len(rows)
        assert ring.overflow[symbol] == came[symbol] - len(rows)


@given(steps=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3), st.integers(0, 12)), max_size=10))
def test_refusing_rings_take_what_fits(steps: list[tuple[int, int, int]]) -> None:
    """Rows come in while there is room, in order; what is discarded makes room."""
    capacity = 9
    ring = RingBuffers(TradeBatch, N_SYMBOLS, capacity, "refuse")
    truth: list[list[int]] = [[] for _ in range(N_SYMBOLS)]
    refused, first = [0] * N_SYMBOLS, 0
    for size, symbol, n_discarded in steps:
        batch = MAKERS["trades"](size, first)
        first += size
        taken = 0
        for row in batch.records():
            mine = truth[row["symbol_id"]]
            if len(mine) < capacity:
                mine.append(int(row["ts_event_ns"]))
                taken += 1
            else:
                refused[row["symbol_id"]] += 1
        assert ring.append(batch) == taken
        assert ring.discard(symbol, n_discarded) == min(n_discarded, len(truth[symbol]))
        del truth[symbol][:n_discarded]
    assert [ring.last(symbol, 99).ts_event_ns.tolist() for symbol in range(N_SYMBOLS)] == truth
    assert ring.overflow.tolist() == refused
    assert ring.new_overflow() == {symbol: n for symbol, n in enumerate(refused) if n}
    assert ring.new_overflow() == {}


@given(n_rows=st.integers(0, 200), since=st.integers(-5, 210))
def test_rows_since_a_time(n_rows: int, since: int) -> None:
    """By event time, that instant included; of what is still held."""
    batch = MAKERS["trades"](n_rows)
    ring = RingBuffers(TradeBatch, N_SYMBOLS, 10)
    ring.append(batch)
    ts_ns = int(MAKERS["trades"](1).ts_event_ns[0]) + 1_000 * since
    for symbol in range(N_SYMBOLS):
        held = batch.take(batch.symbol_id == symbol).take(slice(-10, None))
        assert ring.since(symbol, ts_ns) == held.take(held.ts_event_ns >= ts_ns)


def test_rows_given_do_not_change() -> None:
    """What was given away stays as it was when new rows come."""
    ring = RingBuffers(TradeBatch, N_SYMBOLS, 4)
    ring.append(MAKERS["trades"](16))
    before = ring.last(0, 4)
    prices = before.price.tolist()
    ring.append(MAKERS["trades"](16, 16))
    assert before.price.tolist() == prices != ring.last(0, 4).price.tolist()
    assert ring.discard(0) == 4
    assert len(ring.last(0, 4)) == 0


@pytest.mark.parametrize("arguments", [(-1, 5), (3, 0), (3, 5, "grow")])
def test_impossible_rings_are_refused(arguments: tuple[int, int]) -> None:
    """The message says what is allowed."""
    with pytest.raises(ValueError, match="allowed"):
        RingBuffers(TradeBatch, *arguments)
