"""Binance's messages become rows; everything left out is counted."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.support.live import BEGIN_MS, quote, trade
from trader.core.errors import DataError, NotFoundError
from trader.core.market import QuoteBatch, TradeBatch, Universe
from trader.data.live.binance import BinanceDecoder
from trader.data.live.capture import CapturedMessage, read_capture
from trader.data.live.decoder import LostRows, Refusal

MS = 1_000_000
UNIVERSE = Universe(("BTCUSDT", "ETHUSDT"))


def _recv(ms: int) -> int:
    return (BEGIN_MS + ms) * MS


def test_trades_become_rows() -> None:
    """Every column of a trade, wrapped or bare; a buyer who was the maker means a seller's initiative."""
    decoder = BinanceDecoder(UNIVERSE, "trades")
    decoder.on_message(trade(7, BEGIN_MS, 100.25), _recv(3))
    bare = msgspec.json.decode(trade(4, BEGIN_MS + 1, 9.5, "ETHUSDT", m=True))["data"]
    decoder.on_message(msgspec.json.encode(bare), _recv(4))
    expected = TradeBatch(
        ts_event_ns=[_recv(0), _recv(1)],
        ts_recv_ns=[_recv(3), _recv(4)],
        symbol_id=[0, 1],
        price=[100.25, 9.5],
        size=[0.5, 0.5],
        side=[1, -1],
    )
    assert decoder.take(_recv(5)) == expected
    assert decoder.counts() == {}
    assert decoder.last_seen() == {"BTCUSDT": _recv(3), "ETHUSDT": _recv(4)}


def test_quotes_become_rows() -> None:
    """Spot's quotes carry neither kind nor time and count as of their receipt; repeats and steps back are left out."""
    decoder = BinanceDecoder(UNIVERSE, "quotes")
    decoder.on_message(quote(5, BEGIN_MS), _recv(2))
    spot = {"u": 9, "s": "ETHUSDT", "b": "1.5", "B": "3", "a": "1.6", "A": "4"}
    decoder.on_message(msgspec.json.encode(spot), _recv(3))
    decoder.on_message(quote(5, BEGIN_MS), _recv(4))
    decoder.on_message(quote(4, BEGIN_MS), _recv(5))
    expected = QuoteBatch(
        ts_event_ns=[_recv(0), _recv(3)],
        ts_recv_ns=[_recv(2), _recv(3)],
        symbol_id=[0, 1],
        bid=[99.0, 1.5],
        ask=[100.0, 1.6],
        bid_size=[1.0, 3.0],
        ask_size=[2.0, 4.0],
    )
    assert decoder.take(_recv(6)) == expected
    assert decoder.counts() == {"duplicate": 1, "stale_quote": 1}


def test_numbers_are_taken_once_and_holes_are_told() -> None:
    """A repeat is left out, a late one taken, and what has not come within a second is lost."""
    decoder = BinanceDecoder(UNIVERSE, "trades")
    for number in (1, 2, 2, 6, 4, 7):
        decoder.on_message(trade(number, BEGIN_MS + number), _recv(number))
    assert decoder.take(_recv(500)).ts_event_ns.tolist() == [_recv(n) for n in (1, 2, 6, 4, 7)]
    assert decoder.lost() == []
    assert len(decoder.take(_recv(2000))) == 0
    assert decoder.lost() == [LostRows("BTCUSDT", 3, 3), LostRows("BTCUSDT", 5, 5)]
    assert decoder.counts() == {"duplicate": 1, "came_late": 1, "lost": 2}
    decoder.on_message(trade(9, BEGIN_MS), _recv(2001))
    decoder.take(_recv(2001), at_end=True)
    assert decoder.lost() == [LostRows("BTCUSDT", 8, 8)]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"not json", "malformed"),
        (b'{"e":"trade","t":', "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[1]", "malformed"),
        (b"{}", "malformed"),
        (trade(1, BEGIN_MS, p="abc"), "malformed"),
        (trade(1, BEGIN_MS, symbol="DOGEUSDT"), "unknown_symbol"),
        (trade(1, BEGIN_MS, e="aggTrade"), "unexpected"),
        (trade(1, BEGIN_MS, p="-1"), "price_not_positive"),
        (trade(1, BEGIN_MS, p="nan"), "price_not_finite"),
        (trade(1, BEGIN_MS, q="-2"), "size_negative"),
        (trade(1, BEGIN_MS + 100_000), "time_travel"),
    ],
)
def test_what_cannot_be_used_is_counted(raw: bytes, reason: str) -> None:
    """One message, one reason, no row; the next good one is taken."""
    decoder = BinanceDecoder(UNIVERSE, "trades")
    decoder.on_message(raw, _recv(1))
    decoder.on_message(trade(2, BEGIN_MS), _recv(2))
    assert len(decoder.take(_recv(3))) == 1
    assert decoder.counts() == {reason: 1}


def test_a_clock_that_runs_ahead_is_set_back() -> None:
    """No row is received before it happened, and distances between events are kept."""
    decoder = BinanceDecoder(UNIVERSE, "trades")
    for number in range(5):
        decoder.on_message(trade(number, BEGIN_MS + 1200 + 10 * number), _recv(1 + 10 * number))
    batch = decoder.take(_recv(100))
    assert decoder.clock.shift_ns == 1199 * MS
    assert (batch.ts_recv_ns >= batch.ts_event_ns).all()
    assert np.diff(batch.ts_event_ns).tolist() == [10 * MS] * 4
    assert decoder.counts() == {}


def test_times_of_receipt_rise() -> None:
    """Two messages of one instant keep their order."""
    decoder = BinanceDecoder(UNIVERSE, "trades")
    for number in range(3):
        decoder.on_message(trade(number, BEGIN_MS), _recv(1))
    assert decoder.take(_recv(2)).ts_recv_ns.tolist() == [_recv(1), _recv(1) + 1, _recv(1) + 2]


def test_answers_of_the_vendor_are_heard() -> None:
    """A refusal and an announced shutdown are kept, an acknowledgement is nothing."""
    decoder = BinanceDecoder(UNIVERSE, "trades")
    decoder.on_message(b'{"result":null,"id":1}', _recv(1))
    assert (decoder.refusal, decoder.closing) == (None, False)
    decoder.on_message(b'{"error":{"code":2,"msg":"Invalid request"},"id":2}', _recv(1))
    decoder.on_message(b'{"e":"serverShutdown","E":1}', _recv(1))
    assert (decoder.refusal, decoder.closing) == (Refusal("Invalid request", is_final=False), True)
    assert decoder.counts() == {}


def test_captures_are_read(tmp_path: Path) -> None:
    """Lines keep their time, stream and text; others are named."""
    file = tmp_path / "capture"
    file.write_bytes(b'5 {"stream":"btcusdt@trade","data":{}}\n6 {"lastUpdateId":1}\n')
    assert list(read_capture(file)) == [
        CapturedMessage(5, "btcusdt@trade", b'{"stream":"btcusdt@trade","data":{}}'),
        CapturedMessage(6, "", b'{"lastUpdateId":1}'),
    ]
    file.write_bytes(b"5 {}\nhello\n")
    with pytest.raises(DataError, match="line 2 of capture"):
        list(read_capture(file))
    with pytest.raises(NotFoundError, match="none does not exist"):
        list(read_capture(tmp_path / "none"))
    file.write_bytes(b"\x1f\x8bbroken")
    with pytest.raises(DataError, match="cannot be read"):
        list(read_capture(file))
