from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.core.market import BarBatch, QuoteBatch, TradeBatch, Universe
from trader.data.boundary import validate_bars, validate_quotes, validate_trades
from trader.data.content import describe
from trader.data.numbering import WARMUP_INSTANTS, BatchPlan
from trader.data.replay import ReplayFeed

plans = st.tuples(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 700)).map(
    lambda t: BatchPlan(n_units=t[0], n_warmup=min(t[0], t[1]), per_batch=t[2])
)
wild = st.one_of(st.floats(0.5, 100), st.sampled_from([0.0, -1.0, float("nan"), float("inf"), -float("inf")]))


@settings(deadline=None)
@given(plan=plans)
def test_batches_cover_every_unit_once(plan: BatchPlan) -> None:
    """Batches join without gap or overlap, none is empty, and none holds warm-up and trading."""
    bounds = [plan.bounds(seq) for seq in range(len(plan))]
    assert [a for a, _ in bounds] == [0, *(b for _, b in bounds)][: len(bounds)]
    assert (bounds[-1][1] if bounds else 0) == plan.n_units
    for first, stop in bounds:
        warm = stop <= plan.n_warmup
        assert 0 < stop - first <= (WARMUP_INSTANTS if warm else plan.per_batch)
        assert warm or first >= plan.n_warmup
    with pytest.raises(IndexError):
        plan.bounds(len(plan))


@settings(deadline=None)
@given(
    stamps=st.lists(st.integers(0, 40), min_size=1, max_size=80).map(sorted),
    start=st.one_of(st.none(), st.integers(0, 41)),
    slices=st.integers(1, 6),
)
def test_replayed_bars_are_the_bars(stamps: list[int], start: int | None, slices: int) -> None:
    """Joined batches are the table; instants are whole; each watermark is the batch's own last close."""
    n = len(stamps)
    empty = dict.fromkeys(("open", "high", "low", "volume", "vwap", "buy_volume", "spread"), np.full(n, np.nan))
    bars = BarBatch(
        ts_open_ns=stamps, ts_ns=stamps, symbol_id=np.zeros(n), n_trades=np.zeros(n), close=np.ones(n), **empty
    )
    feed = ReplayFeed(bars, describe("x", bars, Universe(("A",))), batch_slices=slices, start_ns=start)
    batches = list(feed.batches())
    assert BarBatch.concat([b.data for b in batches]) == bars  # type: ignore[misc]
    assert len(feed) == len(batches)
    for batch, following in itertools.pairwise(batches):
        assert batch.watermark_ns == batch.data.ts_ns[-1] < following.data.ts_ns[0]  # type: ignore[union-attr]


@settings(deadline=None)
@given(events=st.lists(st.integers(0, 30), min_size=1, max_size=80), rows=st.integers(1, 20))
def test_tick_watermarks_promise_only_what_was_seen(events: list[int], rows: int) -> None:
    """A watermark never exceeds the latest event so far; only late events break its promise."""
    n = len(events)
    received = np.maximum.accumulate(events)
    trades = TradeBatch(
        ts_event_ns=events, ts_recv_ns=received, symbol_id=np.zeros(n), price=np.ones(n), size=np.ones(n),
        side=np.zeros(n),
    )  # fmt: skip
    feed = ReplayFeed(trades, describe("x", trades, Universe(("A",))), batch_rows=rows)
    seen, promised = -1, -1
    for batch in feed.batches():
        assert isinstance(batch.data, TradeBatch)
        broken = batch.data.ts_event_ns[batch.data.ts_event_ns <= promised]
        assert (broken < seen).all()
        seen = max(seen, int(batch.data.ts_event_ns.max()))
        assert promised <= batch.watermark_ns <= seen
        promised = batch.watermark_ns
    assert promised == max(events)


@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(wild, wild, st.integers(0, 20), st.integers(-3, 3)), max_size=60),
)
def test_what_passes_the_boundary_passes_again(rows: list[tuple[float, float, int, int]]) -> None:
    """Cleaning is complete: rows are kept or counted, and a second pass refuses none."""
    a, b, when, lag = (np.array(c, float) for c in zip(*rows, strict=True)) if rows else (np.empty(0),) * 4
    zero = np.zeros(a.size)
    trades = TradeBatch(ts_event_ns=when, ts_recv_ns=when + lag, symbol_id=zero, price=a, size=b, side=zero)
    quotes = QuoteBatch(
        ts_event_ns=when, ts_recv_ns=when + lag, symbol_id=zero, bid=a, ask=b, bid_size=abs(lag), ask_size=b
    )
    bars = BarBatch(
        ts_open_ns=when, ts_ns=when + lag, symbol_id=zero, open=b, high=np.maximum(a, b), low=np.minimum(a, b), close=a,
        volume=b, vwap=a, buy_volume=b / 2, spread=abs(lag), n_trades=zero,
    )  # fmt: skip
    for clean in (validate_trades, validate_quotes, validate_bars):
        given_rows = {validate_trades: trades, validate_quotes: quotes, validate_bars: bars}[clean]
        kept, counts = clean(given_rows)  # type: ignore[arg-type]
        assert len(kept) + sum(counts.values()) == a.size
        assert clean(kept) == (kept, {})  # type: ignore[arg-type]
