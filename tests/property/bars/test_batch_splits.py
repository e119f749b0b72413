"""Bars do not depend on how ticks are batched, and equal those of a builder written in plain Python."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.bars import BAR_KINDS, BarBuilder
from trader.core.market import BarBatch, QuoteBatch, TradeBatch

SECOND = 1_000_000_000
SIZES = {"time": 1.0, "tick": 5, "volume": 300.0, "dollar": 30_000.0}
N_SYMBOLS = 3


def make_ticks(seed: int, n: int, disorder_ns: int) -> tuple[TradeBatch, np.ndarray]:
    """Trades about 30 ms apart, received out of order by up to `disorder_ns`; every sixth is to become a quote."""
    rng = np.random.default_rng(seed)
    ts = 1_600_000_000 * SECOND + np.cumsum(rng.integers(0, SECOND // 16, n))
    ts = ts - rng.integers(0, disorder_ns + 1, n)
    price = np.round(100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n))), 2)
    trades = TradeBatch(
        ts, ts, rng.integers(0, N_SYMBOLS, n), price, rng.integers(1, 200, n) * 0.37, rng.integers(-1, 2, n)
    )
    return trades, rng.random(n) < 1 / 6


def as_quotes(trades: TradeBatch) -> QuoteBatch:
    one = np.ones(len(trades))
    return QuoteBatch(
        trades.ts_event_ns,
        trades.ts_recv_ns,
        trades.symbol_id,
        trades.price - 0.01,
        trades.price + 0.01 * trades.size,
        one,
        one,
    )


def feed(builder: BarBuilder, trades: TradeBatch, is_quote: np.ndarray, cuts: list[int]) -> BarBatch:
    """Feed runs of equal type, cut further at `cuts`."""
    changes = (np.flatnonzero(np.diff(is_quote)) + 1).tolist()
    edges = sorted({0, len(trades), *changes, *(c for c in cuts if c < len(trades))})
    parts = []
    for start, stop in itertools.pairwise(edges):
        rows = trades.take(slice(start, stop))
        parts.append(builder.update(as_quotes(rows) if is_quote[start] else rows))
    return BarBatch.concat([*parts, builder.finish()])


@pytest.mark.parametrize("kind", BAR_KINDS)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.integers(1, 400),
    disorder_ms=st.sampled_from([0, 100, 3000]),
    late_ms=st.sampled_from([0, 100, 2500]),
    with_quotes=st.booleans(),
    cuts=st.lists(st.integers(0, 400), max_size=30),
)
def test_any_split_gives_identical_bars(kind, seed, n, disorder_ms, late_ms, with_quotes, cuts):
    """Bars, their order and the count of late ticks are the same bit for bit, with a restart in between too."""
    trades, is_quote = make_ticks(seed, n, disorder_ms * 1_000_000)
    is_quote &= with_quotes
    whole = BarBuilder(N_SYMBOLS, kind, SIZES[kind], max_late_ns=late_ms * 1_000_000)
    expected = feed(whole, trades, is_quote, [])
    split = BarBuilder(N_SYMBOLS, kind, SIZES[kind], max_late_ns=late_ms * 1_000_000)
    assert feed(split, trades, is_quote, cuts) == expected
    assert split.late == whole.late

    first = BarBuilder(N_SYMBOLS, kind, SIZES[kind], max_late_ns=late_ms * 1_000_000)
    at = n // 2
    half = slice(0, at), slice(at, n)
    before = [
        first.update(as_quotes(trades.take(slice(i, i + 1))) if is_quote[i] else trades.take(slice(i, i + 1)))
        for i in range(at)
    ]
    second = BarBuilder(N_SYMBOLS, kind, SIZES[kind], max_late_ns=late_ms * 1_000_000)
    second.restore(first.state())
    after = feed(second, trades.take(half[1]), is_quote[half[1]], [])
    assert BarBatch.concat([*before, after]) == expected


class PlainBuilder:
    """The stated rules for trades as lists and dictionaries, one symbol at a time."""

    def __init__(self, kind: str, size: float, late_ns: int) -> None:
        self.kind, self.size, self.late_ns, self.late = kind, size, late_ns, 0
        self.bars: list[tuple] = []

    def run(self, rows: list[tuple[int, float, float, int]]) -> None:
        open_bars: dict[int, list] = {}
        newest, stamp, closed, last, share = -math.inf, -math.inf, -math.inf, None, 0.5
        for ts, price, size, side in rows:
            if self.kind == "time":
                length = round(self.size * 1e9)
                if (ts // length + 1) * length + self.late_ns <= newest:
                    self.late += 1
                    continue
                newest = max(newest, ts)
                for end in sorted(open_bars):
                    if end + self.late_ns <= newest:
                        self.emit(open_bars.pop(end), end)
                key = (ts // length + 1) * length
            else:
                if ts < closed - self.late_ns:
                    self.late += 1
                    continue
                key = 0
            if last is not None and price != last:
                share = float(price > last)
            last = price
            bought = size * (share if side == 0 else (1 + side) / 2)
            open_bars.setdefault(key, []).append((ts, price, size, bought))
            if self.kind != "time" and self.measure(open_bars[0]) >= self.size:
                closed = max(closed, max(tick[0] for tick in open_bars[0]))
                stamp = max(stamp + 1, max(tick[0] for tick in open_bars[0]))
                self.emit(open_bars.pop(0), stamp)
        for end in sorted(open_bars):
            self.emit(open_bars[end], end if self.kind == "time" else max(stamp + 1, max(t[0] for t in open_bars[0])))

    def measure(self, ticks: list[tuple]) -> float:
        if self.kind == "tick":
            return len(ticks)
        total = 0.0
        for _, price, size, _ in ticks:
            total += size if self.kind == "volume" else price * size
        return total

    def emit(self, ticks: list[tuple], stamp: float) -> None:
        frame = pd.DataFrame(ticks, columns=["ts", "price", "size", "bought"])
        by_time = frame.sort_values("ts", kind="stable")
        self.bars.append(
            (
                int(stamp),
                int(by_time.ts.iloc[0]),
                by_time.price.iloc[0],
                frame.price.max(),
                frame.price.min(),
                by_time.price.iloc[-1],
                frame["size"].sum(),
                (frame.price * frame["size"]).sum() / frame["size"].sum(),
                frame.bought.sum(),
                len(frame),
            )
        )


@pytest.mark.parametrize("kind", BAR_KINDS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    disorder_ms=st.sampled_from([0, 100, 3000]),
    late_ms=st.sampled_from([0, 100, 2500]),
)
def test_bars_equal_the_plain_builder(kind, seed, disorder_ms, late_ms):
    """Every field of every bar, and the count of late ticks, equals the stated rules in plain Python."""
    trades, _ = make_ticks(seed, 250, disorder_ms * 1_000_000)
    builder = BarBuilder(N_SYMBOLS, kind, SIZES[kind], max_late_ns=late_ms * 1_000_000)
    bars = BarBatch.concat([builder.update(trades), builder.finish()])
    late = 0
    for symbol in range(N_SYMBOLS):
        rows = trades.take(trades.symbol_id == symbol)
        plain = PlainBuilder(kind, SIZES[kind], late_ms * 1_000_000)
        plain.run(
            list(
                zip(rows.ts_event_ns.tolist(), rows.price.tolist(), rows.size.tolist(), rows.side.tolist(), strict=True)
            )
        )
        late += plain.late
        mine = bars.take(bars.symbol_id == symbol)
        names = ["ts_ns", "ts_open_ns", "open", "high", "low", "close", "volume", "vwap", "buy_volume", "n_trades"]
        expected = np.array(plain.bars, float).reshape(-1, len(names))
        for at, name in enumerate(names):
            np.testing.assert_allclose(getattr(mine, name), expected[:, at], rtol=1e-12, err_msg=name)
    assert builder.late == late


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), steps=st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_a_true_watermark_changes_no_bar(seed, steps):
    """Advancing with watermarks that no later tick breaks gives the same bars, earlier."""
    trades, is_quote = make_ticks(seed, 300, 0)
    plain = feed(BarBuilder(N_SYMBOLS, "time", 1.0), trades, is_quote, [])
    builder = BarBuilder(N_SYMBOLS, "time", 1.0)
    parts, start = [], 0
    for step in [*steps, 300]:
        rows, quote = trades.take(slice(start, start + step)), is_quote[start : start + step]
        for i in range(len(rows)):
            one = rows.take(slice(i, i + 1))
            parts.append(builder.update(as_quotes(one) if quote[i] else one))
        start += step
        if start < 300:
            parts.append(builder.advance(int(trades.ts_event_ns[start])))
    bars = BarBatch.concat([*parts, builder.finish()])

    def by_close(batch: BarBatch) -> BarBatch:
        return batch.take(np.lexsort((batch.symbol_id, batch.ts_ns)))

    assert by_close(bars) == by_close(plain)
    assert builder.late == 0
