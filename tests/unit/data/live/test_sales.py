"""Which trades of Alpaca's and Massive's streams may set a price, and what becomes of those that may not."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.live import BEGIN_MS
from tests.support.live_vendors import KEYS, alpaca_trade, massive_trade
from trader.core.errors import SettingsError
from trader.core.market import TradeBatch, Universe
from trader.data.conditions import Codes, Rule, known_codes, read_conditions, updates
from trader.data.feeds import open_feed
from trader.data.live.alpaca import AlpacaDecoder
from trader.data.live.alpaca import PastTrade as AlpacaPast
from trader.data.live.arrays import ArrayDecoder
from trader.data.live.decoder import Mark
from trader.data.live.massive import MassiveDecoder
from trader.data.live.massive import PastTrade as MassivePast
from trader.data.live.sales import SaleRule, Verdict, Writing
from trader.data.live.stamps import stamp_text
from trader.settings import FeedSettings

MS = 1_000_000
UNIVERSE = Universe(("AAPL", "MSFT"))
VENDORS = ("alpaca", "massive")
ODD_LOT: dict[str, Any] = {"alpaca": ["@", "I"], "massive": [37]}
REGULAR: dict[str, Any] = {"alpaca": ["@"], "massive": []}
UNKNOWN: dict[str, Any] = {"alpaca": ["@", "?"], "massive": [999]}


def _recv(ms: int) -> int:
    return (BEGIN_MS + ms) * MS


def _frame(*messages: bytes) -> bytes:
    return b"[" + b",".join(messages) + b"]"


def _decoder(vendor: str, rule: Rule = "consolidated") -> ArrayDecoder:
    if vendor == "alpaca":
        return AlpacaDecoder(UNIVERSE, "trades", "k", "s", rule)
    return MassiveDecoder(UNIVERSE, "trades", "k", rule)


def _trade(vendor: str, number: int, ms: int, c: Any, **fields: Any) -> bytes:
    return (alpaca_trade if vendor == "alpaca" else massive_trade)(number, BEGIN_MS + ms, 100.0 + number, c=c, **fields)


def _judge(rule: Rule, writing: Writing, conditions: Any, tape: Any = "C") -> Verdict:
    raw = [msgspec.Raw(msgspec.json.encode(value)) for value in (conditions, tape)]
    return SaleRule(rule, writing).judge(*raw)


@pytest.mark.parametrize(
    ("conditions", "tape", "consolidated", "ordinary"),
    [
        (["@"], "C", True, True),
        ([" "], "A", True, True),
        ([], "A", True, True),
        (None, "A", True, True),
        (["@", "F"], "C", True, False),
        (["@", "T", "I"], "C", False, False),
        ([" ", "T"], "B", False, False),
        (["@", "W"], "C", False, True),
        (["B"], "A", False, True),
        (["@", "B"], "C", True, True),
        (["@", "4"], "C", False, True),
        (["M"], "B", False, False),
    ],
)
def test_letters_mean_what_the_tape_says(conditions: Any, tape: str, consolidated: bool, ordinary: bool) -> None:
    """B is an average price on tapes A and B, and a bunched trade on C."""
    assert _judge("consolidated", "letters", conditions, tape) == (consolidated, True)
    assert _judge("ordinary", "letters", conditions, tape) == (ordinary, True)


@pytest.mark.parametrize("tape", ["N", "", None, 3, ["A"]])
def test_on_other_tapes_letters_count_that_mean_the_same(tape: Any) -> None:
    """T, I and Z do; B and W do not, and forbid nothing."""
    for letter in "TIZ":
        assert _judge("consolidated", "letters", ["@", letter], tape) == (False, True)
    for letter in "BW":
        assert _judge("consolidated", "letters", ["@", letter], tape) == (True, False)
    assert _judge("consolidated", "letters", ["B", "I"], tape) == (False, False)
    # Under this rule a bunched trade may do what one at an average price may.
    assert _judge("ordinary", "letters", ["@", "B"], tape) == (True, True)


@pytest.mark.parametrize("writing", ["letters", "massive"])
@pytest.mark.parametrize("told", [["?"], [999], ["@I"], [[37]], [None], [True], "odd", 7.5, {"a": 1}, [37.0]])
def test_what_is_not_known_forbids_nothing(writing: Writing, told: Any) -> None:
    """And is told; what is known beside it counts."""
    assert _judge("consolidated", writing, told) == (True, False)
    known = {"letters": "I", "massive": 37}[writing]
    assert _judge("consolidated", writing, [known, "?"]) == (False, False)
    assert SaleRule("consolidated", writing).judge(msgspec.Raw(b"[1,"), msgspec.Raw()) == (True, False)


@given(st.sampled_from(["consolidated", "ordinary"]), st.sampled_from(["A", "C", "massive"]), st.data())
@settings(deadline=None)
def test_verdicts_are_those_of_files(rule: Rule, tape: str, data: st.DataObject) -> None:
    """Whatever the conditions, the same trades may set a price in a stream and in a file."""
    written: dict[str, Codes] = {"A": "cta", "C": "utp", "massive": "massive"}
    codes = written[tape]
    parts = data.draw(st.lists(st.sampled_from(sorted(known_codes(codes))), max_size=4))
    word = (" " if codes == "massive" else "").join(parts)
    bits = read_conditions(pa.chunked_array([[word]]), codes)
    told: list[Any] = [int(part) for part in parts] if codes == "massive" else parts
    verdict = _judge(rule, "massive" if codes == "massive" else "letters", told, tape)
    assert verdict == (bool(updates(bits, rule).last[0]), True)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("n", [1, 30])
def test_what_is_left_out_has_been_seen(vendor: str, n: int) -> None:
    """One at a time or many at once: its repeat is a repeat, the mark and the time of the symbol move, bytes count."""
    decoder = _decoder(vendor)
    ones = [_trade(vendor, 1 + k, k, ODD_LOT[vendor] if k % 3 == 2 else REGULAR[vendor]) for k in range(n)]
    odd = _trade(vendor, 100, n, ODD_LOT[vendor], symbol="MSFT")
    decoder.on_message(_frame(*ones, odd), _recv(50))
    decoder.on_message(_frame(odd), _recv(51))
    rows = decoder.take(_recv(60))
    assert isinstance(rows, TradeBatch)
    assert rows.price.tolist() == [101.0 + k for k in range(n) if k % 3 != 2]
    assert (np.diff(rows.ts_recv_ns) > 0).all()
    assert decoder.counts() == {"sale_condition": 1 + n // 3, "duplicate": 1}
    assert decoder.barred_by_symbol.tolist() == [n // 3, 1]
    assert decoder.marks() == {0: Mark(_recv(n - 1), 0), 1: Mark(_recv(n), 0)}
    assert decoder.barred_marks() == {1: _recv(n)} | ({0: _recv(n - 1)} if n > 2 else {})
    assert decoder.barred_marks() == {}
    assert decoder.last_seen()["MSFT"] >= _recv(50)
    assert decoder.bytes_by_symbol[1] > 0


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_not_known_is_taken_and_counted(vendor: str) -> None:
    """A condition of tomorrow loses no trade; one that came late is late, left out or not."""
    decoder = _decoder(vendor)
    told = (REGULAR[vendor], UNKNOWN[vendor], ODD_LOT[vendor], {"no": "list"}, None)
    decoder.on_message(_frame(*(_trade(vendor, 1 + k, k, c) for k, c in enumerate(told))), _recv(9))
    assert len(decoder.take(_recv(10))) == 4
    assert decoder.counts() == {"sale_condition": 1, "unknown_condition": 2}
    decoder.on_message(_frame(_trade(vendor, 9, 9, REGULAR[vendor])), _recv(20))
    decoder.on_message(_frame(_trade(vendor, 8, 8, ODD_LOT[vendor])), _recv(21))
    assert len(decoder.take(_recv(30))) == 1
    late = {"came_late": 1} if vendor == "massive" else {}
    assert decoder.counts() == {"sale_condition": 2, "unknown_condition": 2} | late
    assert decoder.marks() == {0: Mark(_recv(9), 0)}


@pytest.mark.parametrize("vendor", VENDORS)
def test_all_trades_are_taken_without_a_rule(vendor: str) -> None:
    """Nobody looks at the conditions then."""
    decoder = _decoder(vendor, "all")
    told = (ODD_LOT[vendor], UNKNOWN[vendor], {"no": "list"})
    decoder.on_message(_frame(*(_trade(vendor, 1 + k, k, c) for k, c in enumerate(told))), _recv(9))
    assert len(decoder.take(_recv(10))) == 3
    assert decoder.counts() == {}


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_was_fetched_is_judged_too(vendor: str) -> None:
    """A gap is filled with trades that may set a price; the others are known when they come again."""
    decoder = _decoder(vendor)
    told = [(n, BEGIN_MS + n, ODD_LOT[vendor] if n % 2 else REGULAR[vendor]) for n in range(1, 7)]
    rows: list[Any]
    if vendor == "alpaca":
        names = ("t", "p", "s", "x", "i", "c", "z")
        rows = [
            dict(zip(names, (stamp_text(ms * MS), 100.0 + n, 10, "V", n, c, "C"), strict=True)) for n, ms, c in told
        ]
        rows = [msgspec.json.decode(msgspec.json.encode(row), type=AlpacaPast) for row in rows]
    else:
        names = ("sip_timestamp", "price", "sequence_number", "size", "conditions")
        rows = [dict(zip(names, (ms * MS, 100.0 + n, 3 * n, 10, c), strict=True)) for n, ms, c in told]
        rows = [msgspec.json.decode(msgspec.json.encode(row), type=MassivePast) for row in rows]
    decoder.on_message(_frame(*(_trade(vendor, n, n, c) for n, _, c in told[:2])), _recv(10))
    assert decoder.on_history(0, rows, _recv(20)) == 2
    decoder.on_message(_frame(*(_trade(vendor, n, n, c) for n, _, c in told[4:])), _recv(30))
    taken = decoder.take(_recv(40))
    assert isinstance(taken, TradeBatch)
    assert sorted(taken.price.tolist()) == [102.0, 104.0, 106.0]
    assert decoder.counts() == {"sale_condition": 3, "duplicate": 2}


@given(st.integers(0, 2**32 - 1), st.sampled_from(VENDORS), st.sampled_from(["consolidated", "ordinary"]))
@settings(max_examples=40, deadline=None)
def test_frames_are_judged_as_their_messages_are(seed: int, vendor: str, rule: Rule) -> None:
    """Rows, counts and marks are those of one message a frame, whatever conditions and repeats there are."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    letters: list[Any] = [["@"], ["@", "I"], ["@", "F"], [" ", "B"], ["?"], None, "odd"]
    ids: list[Any] = [[], [37], [14, 41], [2], [999], None, "odd"]
    whole, single = _decoder(vendor, rule), _decoder(vendor, rule)
    for n in range(5):
        messages = []
        for k in range(rng.choice((1, 5, 20, 40))):
            number = 100 * n + (k if rng.random() < 0.9 else k // 2)
            fields = {"symbol": rng.choice(("AAPL", "MSFT", "MSFT", "DOGE"))}
            if vendor == "alpaca":
                fields["z"] = rng.choice("ABCN")
            messages.append(
                _trade(vendor, number, 20 * n + k // 2, rng.choice(letters if vendor == "alpaca" else ids), **fields)
            )
        whole.on_message(_frame(*messages), _recv(1000))
        for message in messages:
            single.on_message(_frame(message), _recv(1000))
    assert whole.marks() == single.marks()
    assert whole.barred_marks() == single.barred_marks()
    assert whole.last_seen() == single.last_seen()
    assert whole.take(_recv(1000)) == single.take(_recv(1000))
    assert whole.counts() == single.counts()
    assert whole.barred_by_symbol.tolist() == single.barred_by_symbol.tolist()


@pytest.mark.parametrize(
    ("kind", "data_kind", "message"),
    [
        (
            "binance",
            "auto",
            r"feed\.sale_rule='consolidated'; trades of binance have no sale conditions, those of alpaca",
        ),
        ("binance", "book", "trades of binance have no sale conditions"),
        ("alpaca,binance", "trades", "trades of binance have no sale conditions"),
        ("alpaca", "quotes", r"feed\.sale_rule='consolidated' is about trades, and feed\.data_kind='quotes'"),
    ],
)
def test_a_rule_that_nothing_can_follow_is_refused(
    kind: str, data_kind: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line, before anything is opened."""
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    chosen = {"kind": kind, "symbols": ("AAPL",), "data_kind": data_kind, "sale_rule": "consolidated"}
    with pytest.raises(SettingsError, match=message) as caught:
        open_feed(FeedSettings.model_validate(chosen), seed=0)
    assert "\n" not in str(caught.value)
