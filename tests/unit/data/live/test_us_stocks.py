"""Alpaca's and Massive's messages become rows; everything left out is counted."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.live import BEGIN_MS
from tests.support.live_vendors import KEYS, alpaca_quote, alpaca_trade, massive_quote, massive_trade
from trader.core.errors import DataError, SettingsError
from trader.core.market import QuoteBatch, TradeBatch, Universe
from trader.data.live.alpaca import AlpacaDecoder, alpaca_source
from trader.data.live.alpaca import PastTrade as AlpacaPast
from trader.data.live.arrays import SHARES_SINCE_NS, ArrayDecoder
from trader.data.live.decoder import LiveKind, Mark, Refusal
from trader.data.live.massive import MassiveDecoder, massive_source
from trader.data.live.massive import PastTrade as MassivePast
from trader.data.live.seen import Seen
from trader.data.live.stamps import stamp_text
from trader.settings import LiveSettings

MS = 1_000_000
UNIVERSE = Universe(("AAPL", "MSFT"))
SHARES_MS = SHARES_SINCE_NS // MS


def _recv(ms: int) -> int:
    return (BEGIN_MS + ms) * MS


def _frame(*messages: bytes) -> bytes:
    return b"[" + b",".join(messages) + b"]"


def _alpaca(kind: LiveKind = "trades") -> AlpacaDecoder:
    return AlpacaDecoder(UNIVERSE, kind, "a-key", "a-secret")


def _massive(kind: LiveKind = "trades") -> MassiveDecoder:
    return MassiveDecoder(UNIVERSE, kind, "m-key")


def test_trades_become_rows() -> None:
    """Alpaca's example keeps its nanoseconds, Massive's its fractions; the tape knows no side."""
    alpaca = _alpaca()
    alpaca.on_message(
        _frame(alpaca_trade(1, BEGIN_MS, 126.55, ns=123), alpaca_trade(1, BEGIN_MS, 9.5, "MSFT")), _recv(3)
    )
    massive = _massive()
    massive.on_message(
        _frame(massive_trade(1, BEGIN_MS, 126.55, s=0, ds="0.25"), massive_trade(1, BEGIN_MS, 9.5, "MSFT")), _recv(3)
    )
    for decoder, ns, size in ((alpaca, 123, 10.0), (massive, 0, 0.25)):
        expected = TradeBatch(
            ts_event_ns=[_recv(0) + ns, _recv(0)],
            ts_recv_ns=[_recv(3), _recv(3) + 1],
            symbol_id=[0, 1],
            price=[126.55, 9.5],
            size=[size, 10.0],
            side=[0, 0],
        )
        assert decoder.take(_recv(5)) == expected
        assert decoder.counts() == {}
        assert decoder.messages == 2
        assert decoder.marks() == {0: Mark(_recv(0) + ns, 0), 1: Mark(_recv(0), 0)}


@pytest.mark.parametrize(("begin_ms", "lot"), [(BEGIN_MS, 100.0), (SHARES_MS - 1, 100.0), (SHARES_MS, 1.0)])
@pytest.mark.parametrize(("make", "quote"), [(_alpaca, alpaca_quote), (_massive, massive_quote)])
def test_sizes_of_quotes_are_shares(
    make: Callable[[LiveKind], ArrayDecoder], quote: Callable[..., bytes], begin_ms: int, lot: float
) -> None:
    """Round lots until November 2025, shares since."""
    decoder = make("quotes")
    decoder.on_message(_frame(quote(1, begin_ms, 99.5, bs=3, **{"as": 4})), (begin_ms + 1) * MS)
    expected = QuoteBatch(
        ts_event_ns=[begin_ms * MS],
        ts_recv_ns=[(begin_ms + 1) * MS],
        symbol_id=[0],
        bid=[99.5],
        ask=[100.5],
        bid_size=[3 * lot],
        ask_size=[4 * lot],
    )
    assert decoder.take((begin_ms + 1) * MS) == expected


def test_repeats_are_known_by_ids() -> None:
    """The same id at another exchange or time is another trade; one that steps back is late where numbers rise."""
    alpaca = _alpaca()
    for fields in ({}, {}, {"x": "D"}, {"ns": 1}, {"symbol": "MSFT"}):
        alpaca.on_message(_frame(alpaca_trade(7, BEGIN_MS, **fields)), _recv(1))
    assert len(alpaca.take(_recv(2))) == 4
    assert alpaca.counts() == {"duplicate": 1}
    massive = _massive()
    day = 86_400_000
    for number, ms in ((5, 0), (5, 0), (9, 1), (7, 2), (7, 2), (1, day)):
        massive.on_message(_frame(massive_trade(number, BEGIN_MS + ms)), _recv(day + 5))
    assert len(massive.take(_recv(day + 6))) == 4
    assert massive.counts() == {"duplicate": 2, "came_late": 1}


@pytest.mark.parametrize(("make", "quote"), [(_alpaca, alpaca_quote), (_massive, massive_quote)])
def test_old_quotes_are_left_out(make: Callable[[LiveKind], ArrayDecoder], quote: Callable[..., bytes]) -> None:
    """Repeats, and those that were overtaken."""
    decoder = make("quotes")
    decoder.on_message(_frame(*(quote(n, BEGIN_MS + n) for n in (1, 3, 2, 3, 4))), _recv(9))
    assert [ns - _recv(0) for ns in decoder.take(_recv(9)).ts_event_ns.tolist()] == [1 * MS, 3 * MS, 4 * MS]
    assert decoder.counts() == {"stale_quote": 1, "duplicate": 1}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"not json", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"{}", "malformed"),
        (b"[1]", "malformed"),
        (b"[{}]", "malformed"),
        (_frame(alpaca_trade(1, BEGIN_MS, p=[])), "malformed"),
        (_frame(alpaca_trade(1, BEGIN_MS, t="noon")), "malformed"),
        (_frame(alpaca_trade(1, BEGIN_MS, t="9999-01-01T00:00:00Z")), "malformed"),
        (_frame(alpaca_trade(1, BEGIN_MS, symbol="DOGE")), "unknown_symbol"),
        (_frame(alpaca_quote(1, BEGIN_MS)), "unexpected"),
        (_frame(b'{"T":"b","S":"AAPL","o":1}'), "unexpected"),
        (_frame(b'{"T":"x","S":"AAPL","i":1,"x":"V","p":1,"s":1,"a":"C"}'), "cancelled"),
        (_frame(b'{"T":"c","S":"AAPL","x":"V","oi":1,"ci":2}'), "corrected"),
        (_frame(alpaca_trade(1, BEGIN_MS, p=-1)), "price_not_positive"),
        (_frame(alpaca_trade(1, BEGIN_MS + 100_000)), "time_travel"),
    ],
)
def test_what_alpaca_sends_that_cannot_be_used_is_counted(raw: bytes, reason: str) -> None:
    """One message, one reason, no row; good ones of the same frame are taken."""
    decoder = _alpaca()
    whole = raw[:-1] + b"," + alpaca_trade(2, BEGIN_MS) + b"]" if raw.startswith(b"[") else raw
    decoder.on_message(whole, _recv(1))
    decoder.on_message(_frame(alpaca_trade(3, BEGIN_MS)), _recv(2))
    assert len(decoder.take(_recv(3))) == (2 if whole is not raw else 1)
    assert decoder.counts() == {reason: 1}
    assert decoder.marks() == {0: Mark(_recv(0), 0)}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "malformed"),
        (_frame(massive_trade(1, BEGIN_MS, p="abc")), "malformed"),
        (_frame(massive_trade(1, BEGIN_MS, t=2**62)), "malformed"),
        (_frame(massive_trade(1, BEGIN_MS, q=-1)), "malformed"),
        (_frame(massive_trade(1, BEGIN_MS, symbol="DOGE")), "unknown_symbol"),
        (_frame(massive_quote(1, BEGIN_MS)), "unexpected"),
        (_frame(b'{"ev":"AM","sym":"AAPL"}'), "unexpected"),
        (_frame(massive_trade(1, BEGIN_MS, s=-1)), "size_negative"),
    ],
)
def test_what_massive_sends_that_cannot_be_used_is_counted(raw: bytes, reason: str) -> None:
    """One message, one reason, no row."""
    decoder = _massive()
    decoder.on_message(raw, _recv(1))
    decoder.on_message(_frame(massive_trade(2, BEGIN_MS)), _recv(2))
    assert len(decoder.take(_recv(3))) == 1
    assert decoder.counts() == {reason: 1}


def test_the_dialogues() -> None:
    """Each vendor speaks first, is shown the key, and then told the symbols."""
    alpaca = _alpaca("quotes")
    assert alpaca.greeting() is None
    auth = alpaca.on_message(b'[{"T":"success","msg":"connected"}]', 1)
    assert msgspec.json.decode(auth or b"") == {"action": "auth", "key": "a-key", "secret": "a-secret"}
    subscribe = alpaca.on_message(b'[{"T":"success","msg":"authenticated"}]', 2)
    assert msgspec.json.decode(subscribe or b"") == {"action": "subscribe", "quotes": ["AAPL", "MSFT"]}
    assert alpaca.on_message(b'[{"T":"subscription","trades":[],"quotes":["AAPL","MSFT"],"bars":[]}]', 3) is None
    massive = _massive("quotes")
    auth = massive.on_message(b'[{"ev":"status","status":"connected","message":"Connected Successfully"}]', 1)
    assert msgspec.json.decode(auth or b"") == {"action": "auth", "params": "m-key"}
    subscribe = massive.on_message(b'[{"ev":"status","status":"auth_success","message":"authenticated"}]', 2)
    assert msgspec.json.decode(subscribe or b"") == {"action": "subscribe", "params": "Q.AAPL,Q.MSFT"}
    assert massive.on_message(b'[{"ev":"status","status":"success","message":"subscribed to: Q.AAPL"}]', 3) is None
    for decoder in (alpaca, massive):
        assert decoder.refusal is None
        assert decoder.counts() == {}
        assert not any(key in repr(decoder) for key in KEYS.values())


@pytest.mark.parametrize(
    ("code", "is_final"),
    [
        (400, True),
        (401, False),
        (402, True),
        (404, False),
        (405, True),
        (406, False),
        (407, False),
        (409, True),
        (500, False),
    ],
)
def test_alpacas_refusals(code: int, is_final: bool) -> None:
    """Final are those that asking again cannot help; a key that is let in later makes up for the others."""
    decoder = _alpaca()
    decoder.on_message(b'[{"T":"error","code":%d,"msg":"no"}]' % code, 1)
    assert decoder.refusal is not None
    assert decoder.refusal.is_final == is_final
    assert decoder.refusal.text.startswith(f"no (error {code})")
    decoder.on_message(b'[{"T":"success","msg":"authenticated"}]', 2)
    assert decoder.refusal is None


@pytest.mark.parametrize(
    ("status", "message", "text", "is_final"),
    [
        ("auth_failed", "authentication failed", "authentication failed (auth_failed); look at MASSIVE_API_KEY", True),
        ("error", "not authorized", "not authorized (error); the plan has no such data", True),
        ("max_connections", "", "max_connections (max_connections); another connection uses this key", False),
        ("auth_timeout", "authentication timed out", "authentication timed out (auth_timeout)", False),
    ],
)
def test_massives_refusals(status: str, message: str, text: str, is_final: bool) -> None:
    """Final are those that asking again cannot help."""
    decoder = _massive()
    decoder.on_message(msgspec.json.encode([{"ev": "status", "status": status, "message": message}]), 1)
    assert decoder.refusal is not None
    assert decoder.refusal.text.startswith(text)
    assert decoder.refusal.is_final == is_final
    assert decoder.counts() == {"refused": 1}


def test_symbols_that_are_not_taken_up_are_told() -> None:
    """By name; the feed ends where none is left."""
    decoder = _alpaca()
    decoder.on_message(b'[{"T":"subscription","trades":["MSFT"],"quotes":[]}]', 1)
    assert decoder.refusal == Refusal("trades of AAPL are not to be had; look at feed.symbols", is_final=False)
    assert decoder.counts() == {"not_subscribed": 1}
    decoder.on_message(b'[{"T":"subscription","trades":[]}]', 1)
    assert decoder.refusal is not None
    assert decoder.refusal.is_final


def test_what_was_fetched_comes_first_and_once() -> None:
    """What had come, before or since, is not taken again; order and columns are those of the stream."""
    past = [(n, BEGIN_MS + n) for n in range(1, 7)]
    for decoder, trade, rows in (
        (_alpaca(), alpaca_trade, [AlpacaPast(stamp_text(ms * MS), 50.0, 10.0, "V", n) for n, ms in past]),
        (_massive(), massive_trade, [MassivePast(ms * MS + 7, 50.0, 3 * n, 10.0) for n, ms in past]),
    ):
        decoder.on_message(_frame(trade(1, BEGIN_MS + 1), trade(2, BEGIN_MS + 2)), _recv(10))
        first = decoder.take(_recv(11))
        decoder.on_message(_frame(trade(6, BEGIN_MS + 6)), _recv(20))
        assert decoder.on_history(0, rows, _recv(30)) == 3
        second = decoder.take(_recv(40))
        assert isinstance(second, TradeBatch)
        assert second.price.tolist() == [50.0, 50.0, 50.0, 100.0]
        assert [(ns - _recv(0)) // MS for ns in second.ts_event_ns.tolist()] == [3, 4, 5, 6]
        assert second.ts_recv_ns[0] > first.ts_recv_ns[-1]
        assert decoder.counts() == {}


@given(st.integers(0, 2**32 - 1), st.sampled_from(["trades", "quotes"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_frames_are_taken_in_as_their_messages_are(seed: int, kind: LiveKind, is_odd: bool) -> None:
    """Rows, counts and marks are those of one message a frame, whatever is repeated, unknown or out of order."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    make = alpaca_trade if kind == "trades" else alpaca_quote
    odd: list[dict[str, Any]] = [{"symbol": "DOGE"}, {"t": "noon"}, {"t": "2199-01-01T00:00:00Z"}]
    frames = []
    for n in range(6):
        messages = []
        for k in range(rng.choice((1, 3, 20, 40))):
            ms = SHARES_MS - 60 + 20 * n + (rng.randrange(40) if is_odd else k // 2)
            fields = rng.choice(odd) if is_odd and rng.random() < 0.03 else {"symbol": rng.choice(("AAPL", "MSFT"))}
            number = rng.randrange(5) if is_odd else 100 * n + k
            messages.append(make(number, ms, **fields))
        frames.append(messages)
    whole, single = _alpaca(kind), _alpaca(kind)
    at_ns = (SHARES_MS + 1000) * MS
    for messages in frames:
        whole.on_message(_frame(*messages), at_ns)
        for message in messages:
            single.on_message(_frame(message), at_ns)
    assert whole.marks() == single.marks()
    assert whole.last_seen() == single.last_seen()
    assert len(whole) == len(single)
    assert whole.take(at_ns) == single.take(at_ns)
    assert whole.counts() == single.counts()


def test_memory_of_what_came_is_bounded() -> None:
    """The newest are known; the oldest are forgotten."""
    seen = Seen(generation=100)
    assert all(seen.add(n) for n in range(1000))
    assert not any(seen.add(n) for n in range(900, 1000))
    assert seen.add(0)


@pytest.mark.parametrize(
    ("make", "variables"),
    [(alpaca_source, ("ALPACA_API_KEY", "ALPACA_SECRET_KEY")), (massive_source, ("MASSIVE_API_KEY",))],
)
def test_keys_come_from_the_environment(
    make: Callable[..., object], variables: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing one is named; symbols of another form are too."""
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    assert not any(key in repr(make(UNIVERSE, "trades", LiveSettings(), None)) for key in KEYS.values())
    with pytest.raises(DataError, match="symbols \\['BTC/USDT'\\] are not"):
        make(Universe(("BTC/USDT",)), "trades", LiveSettings(), None)
    for name in variables:
        with monkeypatch.context() as without:
            without.setenv(name, " ")
            with pytest.raises(SettingsError, match=f"{name} is not set"):
                make(UNIVERSE, "trades", LiveSettings(), None)


def test_addresses() -> None:
    """The venue is part of Alpaca's; its test stream has no history."""
    with pytest.MonkeyPatch.context() as patch:
        for name, key in KEYS.items():
            patch.setenv(name, key)
        iex = alpaca_source(UNIVERSE, "trades", LiveSettings(), None)
        assert (iex.url, iex.is_alone) == ("wss://stream.data.alpaca.markets/v2/iex", True)
        test = alpaca_source(UNIVERSE, "trades", LiveSettings(venue="test"), "ws://127.0.0.1:1")
        assert (test.url, test.history) == ("ws://127.0.0.1:1/v2/test", None)
        massive = massive_source(UNIVERSE, "trades", LiveSettings(backfill=False), None)
        assert (massive.url, massive.history, massive.is_alone) == ("wss://socket.massive.com/stocks", None, True)
