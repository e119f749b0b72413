"""What a reordering buffer gives out is sorted, and nothing is lost but what it counts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.core.market import QuoteBatch, TradeBatch
from trader.data.live.reorder import ReorderBuffer


def make_trades(seed: int, n: int, disorder: int) -> TradeBatch:
    """Trades that came up to `disorder` late, many of them at equal times; sizes tell them apart."""
    rng = np.random.default_rng(seed)
    event = np.cumsum(rng.integers(0, 4, n)) - rng.integers(0, disorder + 1, n)
    recv = np.arange(n) + 10_000
    return TradeBatch(event, recv, rng.integers(0, 3, n), np.ones(n), np.arange(n), np.zeros(n))


def run(trades: TradeBatch, delay: int, cuts: list[int], max_rows: int = 10**6) -> tuple[TradeBatch, ReorderBuffer]:
    buffer, parts = ReorderBuffer[TradeBatch](delay, max_rows), []
    for start, stop in itertools.pairwise(sorted({0, len(trades), *(c for c in cuts if c < len(trades))})):
        parts.append(buffer.push(trades.take(slice(start, stop))))
        assert len(buffer) <= max_rows
    return TradeBatch.concat([*parts, buffer.flush() or trades.take(slice(0, 0))]), buffer


CUTS = st.lists(st.integers(0, 300), max_size=20)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 300),
    disorder=st.sampled_from([0, 5, 40]),
    delay=st.sampled_from([1, 5, 60]),
    cuts=CUTS,
)
def test_sorted_and_complete(seed, n, disorder, delay, cuts):
    """A row is late if one came before it that is newer by more than the delay; the others come out in order."""
    trades = make_trades(seed, n, disorder)
    newest, on_time = -(10**9), []
    for i, event in enumerate(trades.ts_event_ns.tolist()):
        if event >= newest - delay:
            on_time.append((event, i))
        newest = max(newest, event)
    out, buffer = run(trades, delay, cuts)
    assert out == trades.take(np.array([i for _, i in sorted(on_time)]))
    assert (buffer.late, buffer.forced, len(buffer)) == (n - len(on_time), 0, 0)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 300), max_rows=st.integers(1, 20), cuts=CUTS)
def test_bounded_rows(seed, n, max_rows, cuts):
    """With room for few, rows leave early, still in order, and what comes too late for that is counted."""
    trades = make_trades(seed, n, 40)
    out, buffer = run(trades, 50, cuts, max_rows)
    assert (np.diff(out.ts_event_ns) >= 0).all()
    assert len(set(out.size.tolist())) == len(out) == n - buffer.late
    assert out == trades.take(out.size.astype(int))


@given(seed=st.integers(0, 2**32), n=st.integers(1, 100), cuts=CUTS)
def test_without_delay_rows_pass_as_they_come(seed, n, cuts):
    """Nothing is held, sorted or left out."""
    trades = make_trades(seed, n, 40)
    out, buffer = run(trades, 0, cuts)
    assert out == trades
    assert (buffer.late, len(buffer)) == (0, 0)


def test_rows_wait_for_newer_ones_or_for_time():
    """Quotes of a quiet symbol leave when other evidence says that time has passed; older ones are late then."""
    one = np.ones(2)
    quotes = QuoteBatch([100, 105], [200, 201], [0, 0], one, one, one, one)
    buffer = ReorderBuffer[QuoteBatch](10)
    assert buffer.advance(1_000) is None
    assert buffer.flush() is None
    assert len(buffer.push(quotes)) == 0
    assert buffer.advance(109) is None
    left = buffer.advance(110)
    assert left is not None
    assert left.ts_event_ns.tolist() == [100]
    again = buffer.push(QuoteBatch([100, 99], [300, 301], [0, 0], one, one, one, one))
    assert again.ts_event_ns.tolist() == [100]
    assert (buffer.late, len(buffer)) == (1, 1)


@pytest.mark.parametrize(("options", "message"), [((-1,), "delay_ns=-1; 0 or"), ((1, 0), "max_rows=0; 1 or")])
def test_bad_arguments(options, message):
    """Errors name the argument, the value and what is allowed."""
    with pytest.raises(ValueError, match=message):
        ReorderBuffer(*options)
