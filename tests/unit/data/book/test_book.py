"""The order book against a plain dictionary, and against a book that others rebuilt from a real capture."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import numpy as np
import pytest

from trader.data.book import BookDiff, BookSync, OrderBook

LOB = Path(__file__).parents[5] / "shared" / "data" / "lob"


def test_it_agrees_with_a_dictionary() -> None:
    """Ten thousand random changes leave the levels that a dictionary of prices holds."""
    rng = np.random.default_rng(3)
    book, bids, asks = OrderBook(), dict[float, float](), dict[float, float]()
    for _ in range(1000):
        changes: dict[str, list[tuple[float, float]]] = {"bid": [], "ask": []}
        for side, low in (("bid", 900), ("ask", 1000)):
            held = bids if side == "bid" else asks
            for _ in range(int(rng.integers(0, 10))):
                price = (low + int(rng.integers(0, 100))) / 10
                size = float(rng.integers(0, 4))
                changes[side].append((price, size))
                held[price] = size
                if size == 0:
                    del held[price]
        book.update(changes["bid"], changes["ask"])
        depth = book.depth(120)
        best_bids = sorted(bids.items(), reverse=True)
        best_asks = sorted(asks.items())
        n_bids, n_asks = book.n_levels
        assert list(zip(depth.bid[:n_bids], depth.bid_size[:n_bids], strict=True)) == best_bids
        assert list(zip(depth.ask[:n_asks], depth.ask_size[:n_asks], strict=True)) == best_asks
        assert np.isnan(depth.bid[n_bids:]).all()
        assert np.isnan(depth.ask_size[n_asks:]).all()


def test_it_grows() -> None:
    """More levels than the first arrays hold are all kept."""
    book = OrderBook()
    book.update([(float(price), 1.0) for price in range(1, 10_001)], [])
    assert book.n_levels == (10_000, 0)
    assert book.depth(3).bid.tolist() == [10_000.0, 9_999.0, 9_998.0]


def _futures(first: int, last: int, previous: int, price: float = 9.0, size: float = 1.0) -> BookDiff:
    return BookDiff(first, last, previous, [(price, size)], [])


def test_diffs_wait_for_the_snapshot() -> None:
    """What came before it is held; what it has already is left out, the rest applied."""
    sync = BookSync()
    assert sync.on_diff(_futures(1, 3, 0, price=7.0)) == "held"
    assert sync.on_diff(_futures(4, 8, 3, price=8.0)) == "held"
    assert sync.on_diff(_futures(9, 9, 8, price=8.5)) == "held"
    assert sync.on_snapshot(6, [(6.0, 1.0)], [(10.0, 1.0)])
    assert sync.book.depth(4).bid[:3].tolist() == [8.5, 8.0, 6.0]
    assert (sync.old, sync.last, sync.needs_snapshot) == (1, 9, False)


def test_a_gap_throws_the_book_away() -> None:
    """A missing diff leaves no book until a snapshot that reaches the held ones has come."""
    sync = BookSync()
    assert sync.on_snapshot(6, [(6.0, 1.0)], [(10.0, 1.0)])
    assert sync.on_diff(_futures(5, 7, 4)) == "applied"
    assert sync.on_diff(_futures(8, 9, 7)) == "applied"
    assert sync.on_diff(_futures(8, 9, 7)) == "old"
    assert sync.on_diff(_futures(12, 13, 11)) == "gap"
    assert (sync.gaps, sync.needs_snapshot, sync.book.n_levels) == (1, True, (0, 0))
    assert not sync.on_snapshot(9, [(6.0, 1.0)], [(10.0, 1.0)])
    assert sync.needs_snapshot
    assert sync.on_snapshot(12, [(6.0, 1.0)], [(10.0, 1.0)])
    assert sync.last == 13


def test_spot_numbers_follow_each_other() -> None:
    """Without `pu`, the first update must be the one after the last."""
    sync = BookSync()
    assert sync.on_snapshot(6, [(6.0, 1.0)], [(10.0, 1.0)])
    assert sync.on_diff(BookDiff(4, 7, None, [(8.0, 1.0)], [])) == "applied"
    assert sync.on_diff(BookDiff(8, 9, None, [(8.0, 2.0)], [])) == "applied"
    assert sync.on_diff(BookDiff(11, 12, None, [], [])) == "gap"


def test_a_crossed_book_is_not_used() -> None:
    """Sides that cross count, and ask for a snapshot."""
    sync = BookSync()
    assert sync.on_snapshot(6, [(6.0, 1.0)], [(10.0, 1.0)])
    assert sync.on_diff(_futures(5, 7, 4, price=11.0)) == "gap"
    assert (sync.crossed, sync.needs_snapshot) == (1, True)


def test_held_diffs_are_bounded() -> None:
    """Without a snapshot the oldest go, and are counted."""
    sync = BookSync(held=2)
    for number in range(5):
        sync.on_diff(_futures(number, number, number - 1))
    assert sync.overflowed == 3


@pytest.mark.skipif(not LOB.is_dir(), reason="../shared/data is absent")
def test_a_real_capture_gives_the_book_of_others() -> None:
    """The ten best levels after each of 6,545 diffs are those that an independent program rebuilt, to the last bit."""
    import pyarrow.parquet as pq

    oracle = pq.read_table(LOB / "binance_usdm_btcusdt_20240808_L10.parquet")
    expected = np.column_stack([oracle[name].to_numpy() for name in oracle.column_names[2:]]).reshape(-1, 10, 4)
    sync, found, stamps = BookSync(), [], []
    with gzip.open(LOB / "binance_usdm_btcusdt_20240808.gz") as stream:
        for line in stream:
            received, _, text = line.partition(b" ")
            if b"lastUpdateId" in text[:40]:
                snapshot = msgspec.json.decode(text)
                assert sync.on_snapshot(snapshot["lastUpdateId"], snapshot["bids"], snapshot["asks"])
            elif b"@depth" in text[:40]:
                diff = msgspec.json.decode(text)["data"]
                bids, asks = (np.array(diff[side], np.float64).reshape(-1, 2) for side in "ba")
                if sync.on_diff(BookDiff(diff["U"], diff["u"], diff["pu"], bids, asks)) == "applied":
                    depth = sync.book.depth(10)
                    found.append(np.column_stack([depth.ask, depth.ask_size, depth.bid, depth.bid_size]))
                    stamps.append(int(received))
    assert (sync.gaps, sync.crossed) == (0, 0)
    assert stamps == oracle["recv_ns"].to_pylist()
    np.testing.assert_array_equal(np.array(found), expected)
