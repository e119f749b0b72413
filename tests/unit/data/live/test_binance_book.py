"""Diffs become best quotes and states of the book; what is not understood is counted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.support.books import N_LEVELS, MadeDiff, check_depth, check_rows, make_diffs
from tests.support.live import trade
from trader.core.errors import DataError, OperationError, SettingsError
from trader.core.market import QuoteBatch, Universe
from trader.data.feeds import open_feed
from trader.data.live.binance_book import BinanceBookDecoder
from trader.data.live.capture import read_capture
from trader.data.live.depth_log import DepthLog
from trader.data.live.depth_recorder import DepthRecorder
from trader.data.live.feed import LiveFeed
from trader.settings import FeedSettings, LiveSettings

LOB = Path(__file__).parents[5] / "shared" / "data" / "lob"
RECV = 2 * 10**18
BTC = Universe(("BTCUSDT",))


def _begin(decoder: BinanceBookDecoder, diff: MadeDiff, now_ns: int) -> bool:
    sides = [[(float(price), float(size)) for price, size in diff.snapshot[side]] for side in ("bids", "asks")]
    return decoder.on_snapshot("BTCUSDT", diff.snapshot["lastUpdateId"], *sides, now_ns)


@pytest.mark.parametrize("is_spot", [False, True])
def test_every_diff_gives_its_state(is_spot: bool) -> None:
    """Nothing before the snapshot; a quote and five levels after every diff from then on, as two dictionaries say."""
    diffs = make_diffs(200, seed=1, is_spot=is_spot)
    decoder, log = BinanceBookDecoder(BTC), DepthLog(N_LEVELS)
    decoder.keep_depth(log)
    assert decoder.wanted() == []
    for place, diff in enumerate(diffs[:10]):
        decoder.on_message(diff.payload, RECV + place)
    assert decoder.wanted() == ["BTCUSDT"]
    assert len(decoder) == 0
    assert _begin(decoder, diffs[6], RECV + 100)
    assert decoder.wanted() == []
    for place, diff in enumerate(diffs[10:]):
        decoder.on_message(diff.payload, RECV + 200 + place)
        decoder.on_message(diff.payload, RECV + 200 + place)
    rows = decoder.take(RECV + 1000)
    assert isinstance(rows, QuoteBatch)
    assert check_rows(diffs, rows) == list(range(9, 200))
    # On futures the diff that ends where the snapshot does is applied too, and changes nothing.
    assert check_depth(diffs, log.take().depth) == list(range(7 if is_spot else 6, 200))
    assert decoder.counts() == {"old_diff": 190 + (7 if is_spot else 6)}
    state = decoder.states()["BTCUSDT"]
    assert (state.last, state.gaps, state.snapshots) == (diffs[-1].snapshot["lastUpdateId"], 0, 1)


def test_a_gap_ends_the_quotes_until_a_snapshot_fits() -> None:
    """The numbers that are missing are told; an older snapshot is left out, and counted."""
    diffs = make_diffs(20, seed=2)
    decoder, log = BinanceBookDecoder(BTC), DepthLog(N_LEVELS)
    decoder.keep_depth(log)
    decoder.on_message(diffs[0].payload, RECV)
    assert _begin(decoder, diffs[0], RECV + 1)
    for place in (1, 2, 5, 6):
        decoder.on_message(diffs[place].payload, RECV + 10 + place)
    ends = [diff.snapshot["lastUpdateId"] for diff in diffs]
    assert decoder.gaps() == [("BTCUSDT", f"updates {ends[2] + 1} to {ends[4]} never came")]
    assert decoder.gaps() == []
    assert log.newest(0) is None
    assert not _begin(decoder, diffs[3], RECV + 20)
    assert decoder.wanted() == ["BTCUSDT"]
    assert _begin(decoder, diffs[8], RECV + 21)
    assert log.newest(0) is not None
    decoder.on_message(diffs[9].payload, RECV + 30)
    rows = decoder.take(RECV + 40)
    assert isinstance(rows, QuoteBatch)
    assert check_rows(diffs, rows) == [0, 1, 2, 9]
    assert check_depth(diffs, log.take().depth) == [0, 1, 2, 9]
    assert decoder.counts() == {"book_gap": 1, "unfit_snapshot": 1, "old_diff": 2}
    counts = {name: values.tolist() for name, values in decoder.book_counts().items()}
    assert counts == {"book_gaps": [1], "book_snapshots": [2]}


def test_what_is_no_diff_is_counted() -> None:
    """Not JSON, impossible levels, other symbols and events; and a book without asks brings nothing."""
    decoder = BinanceBookDecoder(BTC)
    good = msgspec.json.decode(make_diffs(1)[0].payload)["data"]
    for change in ({"b": [["-1", "1"]]}, {"a": [["nan", "1"]]}, {"b": [["1", "inf"]]}, {"U": 999_999}, {"E": -1}):
        decoder.on_message(msgspec.json.encode(good | change), RECV)
    decoder.on_message(b'{"e":', RECV)
    assert decoder.counts() == {"malformed": 6}
    decoder.on_message(msgspec.json.encode(good | {"s": "ETHUSDT"}), RECV)
    decoder.on_message(trade(1, 1), RECV)
    assert decoder.counts() == {"malformed": 6, "unknown_symbol": 1, "unexpected": 1}
    decoder.on_message(msgspec.json.encode(good), RECV)
    assert decoder.on_snapshot("BTCUSDT", good["u"], [(9.0, 1.0)], [], RECV)
    decoder.on_message(msgspec.json.encode(good | {"U": 0, "u": 10**6, "pu": good["u"], "a": []}), RECV)
    empty = [[price, "0"] for price, _ in good["a"]]
    decoder.on_message(msgspec.json.encode(good | {"u": 10**6 + 1, "pu": 10**6, "a": empty}), RECV)
    assert decoder.counts()["one_sided"] == 1


def test_a_log_is_bounded_and_may_be_thinned() -> None:
    """A row an interval; beyond the capacity new ones are counted."""
    levels = np.ones((2, 2))
    thin = DepthLog(2, every_ns=10, capacity=3)
    for event_ns in (1, 4, 10, 19, 25, 31, 47):
        thin.add(event_ns, event_ns, 0, levels, levels)
    assert thin.take().ts_event_ns.tolist() == [1, 10, 25]
    assert thin.dropped == 2
    assert len(thin.take()) == 0


def test_only_live_vendors_with_books_have_them(tmp_path: Path) -> None:
    """The others refuse in a line; Binance's brings quotes."""
    with pytest.raises(SettingsError, match=r"feed\.data_kind='book'; alpaca has no order book, binance has"):
        open_feed(FeedSettings(kind="alpaca", symbols=("AAPL",), data_kind="book"), seed=0)
    with pytest.raises(DataError, match=r"feed\.data_kind='book' is for live feeds"):
        open_feed(FeedSettings(kind="file", path=tmp_path / "x.csv", data_kind="book"), seed=0)
    live = LiveSettings(market="usdm")
    feed = open_feed(FeedSettings(kind="binance", symbols=("BTCUSDT",), data_kind="book", live=live), seed=0)
    assert isinstance(feed, LiveFeed)
    assert feed.info.kind == "quotes"
    assert feed.sources[0].url == "wss://fstream.binance.com/stream?streams=btcusdt@depth@100ms"


def test_a_recording_that_fails_is_written_later(tmp_path: Path) -> None:
    """While the folder cannot be written to, rows wait."""
    log, levels = DepthLog(1), np.ones((1, 2))
    log.add(1, 2, 0, levels, levels)
    (tmp_path / "depth").write_text("in the way")
    recorder = DepthRecorder(tmp_path, BTC, file_rows=1)
    with pytest.raises(OperationError, match="1 rows cannot be written to"):
        recorder.add(log.take())
    (tmp_path / "depth").unlink()
    recorder.flush()
    assert (recorder.rows, recorder.files) == (1, 1)


@pytest.mark.skipif(not LOB.is_dir(), reason="../shared/data is absent")
def test_a_real_capture_is_recorded_as_others_rebuilt_it(tmp_path: Path) -> None:
    """Parquet rows after each of 6,545 diffs hold the ten levels of an independent program, to the last bit."""
    import pyarrow.parquet as pq

    oracle = pq.read_table(LOB / "binance_usdm_btcusdt_20240808_L10.parquet")
    decoder, log = BinanceBookDecoder(BTC), DepthLog(10)
    decoder.keep_depth(log)
    for message in read_capture(LOB / "binance_usdm_btcusdt_20240808.gz"):
        if "@depth" in message.stream:
            decoder.on_message(message.payload, message.recv_ns)
        elif not message.stream:
            found = msgspec.json.decode(message.payload)
            sides = [[(float(price), float(size)) for price, size in found[side]] for side in ("bids", "asks")]
            assert decoder.on_snapshot("BTCUSDT", found["lastUpdateId"], *sides, message.recv_ns)
    recorder = DepthRecorder(tmp_path, BTC)
    recorder.add(log.take())
    recorder.flush()
    rows = pq.read_table(tmp_path / "depth" / "day=2024-08-08" / "symbol=BTCUSDT").slice(2)  # of diffs that were held
    assert rows["ts_recv_ns"].to_pylist() == oracle["recv_ns"].to_pylist()
    for theirs, ours in (("ask_px", "ask_"), ("ask_sz", "ask_size_"), ("bid_px", "bid_"), ("bid_sz", "bid_size_")):
        for level in range(10):
            np.testing.assert_array_equal(rows[f"{ours}{level}"].to_numpy(), oracle[f"{theirs}{level + 1}"].to_numpy())
    bid, ask = oracle["bid_px1"].to_numpy(), oracle["ask_px1"].to_numpy()
    bid_size, ask_size = oracle["bid_sz1"].to_numpy(), oracle["ask_sz1"].to_numpy()
    np.testing.assert_allclose(rows["mid"], (bid + ask) / 2)
    np.testing.assert_allclose(rows["imbalance"], (bid_size - ask_size) / (bid_size + ask_size))
    np.testing.assert_allclose(rows["microprice"], (bid * ask_size + ask * bid_size) / (bid_size + ask_size))
