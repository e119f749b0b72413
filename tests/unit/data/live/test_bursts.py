"""Messages that come together give the rows that they give one by one."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.live import BEGIN_MS
from tests.support.live_vendors import VENDORS
from trader.core.market import QuoteBatch, TradeBatch, Universe
from trader.data.live.alpaca import AlpacaDecoder
from trader.data.live.binance import BinanceDecoder
from trader.data.live.decoder import Decoder, LiveKind
from trader.data.live.massive import MassiveDecoder

SYMBOLS = {"alpaca": ("AAPL", "MSFT"), "massive": ("AAPL", "MSFT"), "binance": ("BTCUSDT", "ETHUSDT")}
OTHERS = {
    "alpaca": [
        b'[{"T":"success","msg":"connected"}]',
        b'[{"T":"t","S":"AAPL"}]',
        b"[",
        b"[]",
        b'[{"T":"x","S":"AAPL"}]',
    ],
    "massive": [b'[{"ev":"status","status":"connected","message":"hi"}]', b'[{"ev":"T","sym":"AAPL"}]', b"[", b"[]"],
    "binance": [b'{"result":null,"id":1}', b'{"stream":"x","data":{}}', b"{", b'{"e":"serverShutdown"}'],
}
MS = 1_000_000


def decoder_of(vendor: str, kind: LiveKind) -> Decoder:
    universe = Universe(SYMBOLS[vendor])
    if vendor == "binance":
        return BinanceDecoder(universe, kind)
    if vendor == "alpaca":
        return AlpacaDecoder(universe, kind, "k", "s")
    return MassiveDecoder(universe, kind, "k")


def columns_of(batch: TradeBatch | QuoteBatch) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in batch.columns().items() if name != "ts_recv_ns"}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["alpaca", "massive", "binance"]),
    st.sampled_from(["trades", "quotes"]),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), max_size=2),
    st.integers(1, 12),
)
def test_together_as_one_by_one(
    vendor: str, kind: LiveKind, frames: list[tuple[int, int, int]], strangers: list[tuple[int, int]], n_together: int
) -> None:
    """Whatever is repeated, out of order, of an unknown symbol or no tick at all: the same rows, counts and answers."""
    make = getattr(VENDORS[vendor], "trade" if kind == "trades" else "quote")
    names = (*SYMBOLS[vendor], "OTHER")
    raws = []
    for number, symbol, n in frames:
        ticks = [make(1 + number + more, BEGIN_MS + number + more, 100.0, names[symbol]) for more in range(n)]
        raws += [b"[%b]" % b",".join(ticks)] if vendor != "binance" else ticks
    for place, which in strangers:
        raws.insert(place, OTHERS[vendor][which])
    stamps = [(BEGIN_MS + 1000 + place) * MS for place in range(len(raws))]
    alone, together = decoder_of(vendor, kind), decoder_of(vendor, kind)
    one = [answer for raw, at in zip(raws, stamps, strict=True) if (answer := alone.on_message(raw, at)) is not None]
    many: list[bytes] = []
    for begin in range(0, len(raws), n_together):
        many += together.on_messages(raws[begin : begin + n_together], stamps[begin : begin + n_together])
    assert set(many) == set(one)
    batches = [each.take((BEGIN_MS + 5000) * MS, at_end=True) for each in (alone, together)]
    assert columns_of(batches[0]) == columns_of(batches[1])
    for batch in batches:
        assert (np.diff(batch.ts_recv_ns) > 0).all()
    assert together.counts() == alone.counts()
    assert (together.messages, together.bytes) == (alone.messages, alone.bytes)
    assert together.closing == alone.closing
    assert together.marks() == alone.marks()
    assert together.last_seen().keys() == alone.last_seen().keys()
    assert [at > 0 for at in together.last_seen().values()] == [at > 0 for at in alone.last_seen().values()]


@pytest.mark.parametrize("raw", [b"[{}]", b"[1]", b'{"a":1}', b"", b"\xff"])
def test_nothing_breaks_a_burst(raw: bytes) -> None:
    """What no vendor sends is counted, and the rest is taken."""
    good = b"[%b]" % VENDORS["alpaca"].trade(1, BEGIN_MS)
    decoder = decoder_of("alpaca", "trades")
    decoder.on_messages([good, raw], [(BEGIN_MS + 1) * MS, (BEGIN_MS + 2) * MS])
    assert len(decoder.take((BEGIN_MS + 5) * MS)) == 1
    assert sum(decoder.counts().values()) == 1
    assert msgspec.json.decode(good)[0]["S"] == "AAPL"


@pytest.mark.parametrize("kind", ["trades", "quotes"])
def test_a_repeat_moves_no_mark(kind: LiveKind) -> None:
    """How far a symbol has come is said by its newest row, and not by an old one that comes again with others."""
    make = getattr(VENDORS["binance"], "trade" if kind == "trades" else "quote")
    decoder = decoder_of("binance", kind)
    raws = [make(number, BEGIN_MS + number, 100.0, "BTCUSDT") for number in (1, 2, 3, 4, 1)]
    decoder.on_messages(raws, [(BEGIN_MS + 1000 + place) * MS for place in range(5)])
    assert decoder.marks()[0].event_ns == (BEGIN_MS + 4) * MS
    assert decoder.last_seen()["BTCUSDT"] == (BEGIN_MS + 1003) * MS
