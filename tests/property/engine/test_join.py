"""How symbols are spread over shards, and how ticks over batches, changes nothing."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.core.market import BAR_FIELDS, TradeBatch, Universe
from trader.core.protocols import FeedBatch, FeedInfo
from trader.engine.join import Joined, join_shards, split_symbols
from trader.engine.shard import ShardProcessor
from trader.settings import BarSettings, FeatureSettings

N_SYMBOLS = 5


def _trades(seed: int, n: int) -> TradeBatch:
    rng = np.random.default_rng(seed)
    stamps = np.sort(rng.integers(0, 120_000_000_000, n))
    return TradeBatch(
        ts_event_ns=stamps,
        ts_recv_ns=stamps,
        symbol_id=rng.integers(0, N_SYMBOLS, n),
        price=100 * np.exp(np.cumsum(rng.normal(0, 1e-3, n))),
        size=rng.integers(1, 100, n),
        side=rng.choice([-1, 1], n),
    )


def _pass(trades: TradeBatch, n_shards: int, cuts: list[int]) -> list[Joined]:
    info = FeedInfo("t", Universe(tuple("ABCDE")), "trades", frozenset(BAR_FIELDS) - {"spread"}, "x")
    ids = split_symbols(N_SYMBOLS, n_shards)
    shards = [ShardProcessor(info, own, bars=BarSettings(size=5), features=FeatureSettings()) for own in ids]
    joined = []
    edges = [0, *cuts, len(trades)]
    for seq, (start, stop) in enumerate(itertools.pairwise(edges)):
        data = trades.take(slice(start, stop))
        watermark = int(data.ts_event_ns[-1]) - 1 if stop < len(trades) else 10**12
        batch = FeedBatch(seq, watermark, data)
        joined.append(join_shards([shard.process(batch) for shard in shards], ids))
    return joined


def _whole(parts: list[Joined]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.concatenate([part.panel.ts_ns for part in parts]),
        np.concatenate([part.panel.close for part in parts]),
        np.concatenate([part.features for part in parts]),
    )


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n_shards=st.integers(1, 7),
    cuts=st.lists(st.integers(1, 399), max_size=6, unique=True).map(sorted),
)
def test_shards_and_batches_do_not_matter(seed: int, n_shards: int, cuts: list[int]) -> None:
    """Instants, closes and features are bit-identical to those of one shard and one batch."""
    trades = _trades(seed, 400)
    expected = _whole(_pass(trades, 1, []))
    found = _whole(_pass(trades, n_shards, cuts))
    assert expected[0].size > 10
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_split_gives_every_symbol_to_one_shard() -> None:
    """The shards partition the symbols, also when there are more shards than symbols."""
    for n_symbols in (1, 2, 7, 64):
        for n_shards in (1, 2, 3, 100):
            parts = split_symbols(n_symbols, n_shards)
            assert sorted(np.concatenate(parts).tolist()) == list(range(n_symbols))
            assert all(part.size for part in parts)
