"""Which source a symbol is taken from, on a clock of our own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.core.market import QuoteBatch, TradeBatch
from trader.data.live.failover import Failover
from trader.data.live.troubles import Troubles
from trader.settings import LiveSettings

S = 1_000_000_000
BEGIN = 1_700_000_000 * S
SETTINGS = LiveSettings(switch_after_s=2.0, return_after_s=10.0)


class Desk:
    """Two sources of one tape, and what is passed on."""

    def __init__(self, n_symbols: int = 1, names: tuple[str, ...] = ("first", "second"), **settings: int) -> None:
        self.batches: list[TradeBatch | QuoteBatch] = []
        self.watermarks: list[int] = []
        self.troubles = Troubles()
        symbols = tuple("ABCDEFGH"[:n_symbols])
        self.failover = Failover(names, symbols, SETTINGS.model_copy(update=settings), self._emit, self.troubles)

    def _emit(self, rows: TradeBatch | QuoteBatch, watermark_ns: int, ahead_ns: int) -> None:
        del ahead_ns
        self.batches.append(rows)
        self.watermarks.append(watermark_ns)

    def bring(self, place: int, at_s: float, price: float, symbol_id: int = 0, delay_s: float = 0.0) -> None:
        """A source brings one trade of that time, `delay_s` later."""
        event = BEGIN + round(at_s * S)
        trade = TradeBatch(
            ts_event_ns=[event],
            ts_recv_ns=[event + round(delay_s * S)],
            symbol_id=[symbol_id],
            price=[price],
            size=[1.0],
            side=[0],
        )
        self.failover.put(place, trade, event - 1, 0)

    def look(self, at_s: float) -> None:
        self.failover.look(BEGIN + round(at_s * S))

    @property
    def prices(self) -> list[float]:
        rows = TradeBatch.concat([batch for batch in self.batches if isinstance(batch, TradeBatch)])
        assert (np.diff(rows.ts_recv_ns) > 0).all()
        assert (np.diff(self.watermarks) >= 0).all()
        return [float(price) for price in rows.price]


def test_one_source_at_a_time() -> None:
    """What both bring comes once, from the first."""
    desk = Desk()
    for tick in range(20):
        desk.bring(0, tick, float(tick + 1), delay_s=0.01)
        desk.bring(1, tick, float(tick + 1), delay_s=0.2)
        desk.look(tick + 0.5)
    assert desk.prices == [float(tick + 1) for tick in range(20)]
    assert desk.failover.active() == {"A": "first"}
    assert desk.troubles.take() == []
    assert desk.failover.health(BEGIN + 20 * S) == {"first": 1.0, "second": 1.0}


def test_the_second_takes_over_where_the_first_fell_silent() -> None:
    """Nothing is missing, nothing comes twice, and the switch is told once; the first comes back after a while."""
    desk = Desk()
    for tenth in range(400):
        at_s = tenth / 10
        if not 50 <= tenth < 120:
            desk.bring(0, at_s, float(tenth + 1))
        desk.bring(1, at_s, float(tenth + 1), delay_s=0.05)
        desk.look(at_s + 0.06)
        if tenth == 100:
            assert desk.failover.active() == {"A": "second"}
            assert desk.failover.health(BEGIN + 10 * S) == {"first": 0.0, "second": 1.0}
    assert desk.prices == [float(tenth + 1) for tenth in range(400)]
    assert desk.failover.active() == {"A": "first"}
    told = [(trouble.kind, trouble.source, trouble.symbol) for trouble in desk.troubles.take()]
    assert told == [("source_switched", "second", "A"), ("source_switched", "first", "A")]
    assert desk.failover.counts()["other_source"] > 0


def test_it_returns_late_and_only_if_well() -> None:
    """A first source that stutters is not taken again until it has been well for ten seconds on end."""
    desk = Desk()
    for tenth in range(600):
        at_s = tenth / 10
        dead = 50 <= tenth < 100 or 150 <= tenth < 200 or 250 <= tenth < 300
        if not dead:
            desk.bring(0, at_s, float(tenth + 1))
        desk.bring(1, at_s, float(tenth + 1))
        desk.look(at_s)
        if 75 <= tenth < 395:
            assert desk.failover.active() == {"A": "second"}, tenth
    assert desk.failover.active() == {"A": "first"}
    assert desk.failover.switches == 2
    assert desk.prices == [float(tenth + 1) for tenth in range(600)]


def test_a_quiet_symbol_is_no_reason() -> None:
    """Trades ten seconds apart, brought by the second source before the first, do not make it switch."""
    desk = Desk()
    desk.bring(0, -10.0, 11.0)
    for trade in range(10):
        desk.bring(1, 10.0 * trade, float(trade + 1), delay_s=0.1)
        desk.look(10.0 * trade + 0.2)
        desk.bring(0, 10.0 * trade, float(trade + 1), delay_s=0.4)
        for second in range(1, 10):
            desk.look(10.0 * trade + second)
    assert desk.failover.switches == 0
    assert desk.prices == [11.0] + [float(trade + 1) for trade in range(10)]


def test_symbols_switch_apart() -> None:
    """One that a source no longer brings is taken from another; the other symbol stays."""
    desk = Desk(n_symbols=2)
    for tick in range(10):
        for place in (0, 1):
            desk.bring(place, tick, 1.0, symbol_id=1)
            if place == 1 or tick < 3:
                desk.bring(place, tick, 2.0, symbol_id=0)
        desk.look(tick + 0.5)
    assert desk.failover.active() == {"A": "second", "B": "first"}
    assert desk.prices.count(2.0) == desk.prices.count(1.0) == 10


def test_equal_trades_of_one_instant_are_several() -> None:
    """Three trades of the same millisecond, price and size stay three across a switch."""
    desk = Desk()
    for place in (0, 1):
        for _ in range(3):
            desk.bring(place, 0.0, 5.0)
    for _ in range(2):
        desk.bring(1, 1.0, 5.0)
    for tick in range(2, 6):
        desk.bring(1, tick, 6.0)
        desk.look(tick + 0.5)
    assert desk.prices == [5.0] * 5 + [6.0] * 4


def test_quotes_go_on_with_the_newest() -> None:
    """After a switch, quotes that are not newer than the last one passed on are left out and counted."""
    desk = Desk()

    def quote(place: int, at_s: float, bid: float) -> None:
        event = BEGIN + round(at_s * S)
        rows = QuoteBatch(
            ts_event_ns=[event], ts_recv_ns=[event], symbol_id=[0], bid=[bid], ask=[bid + 1], bid_size=[1], ask_size=[1]
        )
        desk.failover.put(place, rows, event - 1, 0)

    for tick in range(8):
        if tick < 4:
            quote(0, tick, 100.0 + tick)
        quote(1, tick, 100.0 + tick)
        desk.look(tick + 0.1)
    bids = [float(bid) for batch in desk.batches if isinstance(batch, QuoteBatch) for bid in batch.bid]
    assert bids == [100.0 + tick for tick in range(8)]
    assert desk.failover.counts()["superseded"] > 0


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.5, 4.0), st.sampled_from(["both", "first", "second"])), min_size=1, max_size=12),
    st.floats(0.0, 0.3),
)
def test_nothing_twice_whatever_fails(phases: list[tuple[float, str]], delay_s: float) -> None:
    """Every trade that is passed on is one of the tape, once, and what both sources bring is never missing."""
    desk = Desk()
    tenth, ends = 0, 0.0
    by_both = set()
    for length_s, alive in phases:
        ends += length_s
        while tenth / 10 < ends:
            if alive != "second":
                desk.bring(0, tenth / 10, float(tenth + 1))
            if alive != "first":
                desk.bring(1, tenth / 10, float(tenth + 1), delay_s=delay_s)
            desk.look(tenth / 10 + 0.31)
            by_both |= {float(tenth + 1)} if alive == "both" else set()
            tenth += 1
    prices = desk.prices
    assert len(set(prices)) == len(prices)
    assert set(prices) <= {float(place + 1) for place in range(tenth)}
    assert set(prices) >= by_both


def test_watermarks_wait_for_the_switch() -> None:
    """While an open connection brings nothing, time passes later by the time of a switch."""
    desk = Desk()
    desk.bring(0, 0.0, 1.0)
    nothing = TradeBatch.empty()
    desk.failover.put(0, nothing, BEGIN + 5 * S, 0)
    assert desk.watermarks[-1] == BEGIN + 3 * S


def test_a_lone_source_passes_through() -> None:
    """With one source nothing is kept, compared or delayed."""
    desk = Desk(names=("only",))
    desk.bring(0, 0.0, 1.0)
    desk.failover.put(0, TradeBatch.empty(), BEGIN + 5 * S, 0)
    desk.look(100.0)
    assert (desk.prices, desk.watermarks[-1]) == ([1.0], BEGIN + 5 * S)
    assert desk.failover.active() == {"A": ""}


@pytest.mark.parametrize("ahead_s", [0.0, 3.0])
def test_stamps_of_another_clock(ahead_s: float) -> None:
    """Trades are compared by the vendor's own stamps, however far they were moved."""
    desk = Desk()
    for tick in range(12):
        event = BEGIN + tick * S
        for place, ahead in ((0, 0), (1, round(ahead_s * S))):
            if place == 1 or tick < 5:
                rows = TradeBatch(
                    ts_event_ns=[event - ahead],
                    ts_recv_ns=[event + place],
                    symbol_id=[0],
                    price=[float(tick + 1)],
                    size=[1.0],
                    side=[0],
                )
                desk.failover.put(place, rows, event - ahead - 1, ahead)
        desk.look(tick + 0.5)
    assert desk.prices == [float(tick + 1) for tick in range(12)]


def test_a_standby_that_overflows_is_told() -> None:
    """Memory of a source that is not taken is fixed; where it does not reach back to the other's end, that is told."""
    for rows, kinds in ((10, ["source_switched", "gap"]), (100, ["source_switched"])):
        desk = Desk(standby_rows=rows)
        for tenth in range(100):
            if tenth < 50:
                desk.bring(0, tenth / 10, float(tenth + 1))
            desk.bring(1, tenth / 10, float(tenth + 1))
            desk.look(tenth / 10)
        assert [trouble.kind for trouble in desk.troubles.take()] == kinds
        assert (len(desk.prices) == 100) == (rows == 100)


@pytest.mark.parametrize("is_told", [True, False])
def test_what_a_rule_left_out_is_owed_by_nobody(is_told: bool) -> None:
    """A trade whose conditions the first source reads otherwise than the second makes nobody switch."""
    desk = Desk()
    for place in (0, 1):
        desk.bring(place, 0.0, 1.0)
    desk.bring(1, 1.0, 2.0)
    if is_told:
        desk.failover.note_barred(0, {0: BEGIN + S})
    for second in (2, 4, 6):
        desk.look(float(second))
    assert desk.failover.active() == {"A": "first" if is_told else "second"}
    if is_told:
        desk.failover.note_barred(0, {0: BEGIN + 60 * S})
        assert desk.failover.health(BEGIN + 70 * S) == {"first": 1.0, "second": 1.0}
        desk.bring(1, 61.0, 3.0)
        desk.look(64.0)
        assert desk.failover.active() == {"A": "second"}


def test_what_a_rule_left_out_of_both_sources_comes_from_neither() -> None:
    """The trades around a switch are passed on once, where both tell the same conditions."""
    desk = Desk()
    for tenth in range(200):
        at_s = tenth / 10
        for place in (0, 1):
            if place == 0 and tenth >= 100:
                continue
            if tenth % 3:
                desk.bring(place, at_s, float(tenth + 1), delay_s=0.01 * (1 + place))
            else:
                desk.failover.note_barred(place, {0: BEGIN + tenth * S // 10})
        desk.look(at_s + 0.05)
    assert desk.failover.active() == {"A": "second"}
    assert desk.prices == [float(tenth + 1) for tenth in range(200) if tenth % 3]
