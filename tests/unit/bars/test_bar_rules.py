"""The rules that `BarBuilder` states, one by one, on ticks small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trader.bars import BarBuilder
from trader.core.errors import DataError, SettingsError
from trader.core.market import QuoteBatch, TradeBatch

SECOND = 1_000_000_000


def trades(seconds, prices, *, sizes=None, sides=None, symbols=None):
    ts = np.round(np.asarray(seconds, float) * SECOND).astype(np.int64)
    n = ts.size
    return TradeBatch(
        ts_event_ns=ts,
        ts_recv_ns=ts,
        symbol_id=np.zeros(n, np.int32) if symbols is None else symbols,
        price=prices,
        size=np.ones(n) if sizes is None else sizes,
        side=np.ones(n, np.int8) if sides is None else sides,
    )


def quotes(seconds, bids, asks, *, symbols=None):
    ts = np.round(np.asarray(seconds, float) * SECOND).astype(np.int64)
    one = np.ones(ts.size)
    ids = np.zeros(ts.size, np.int32) if symbols is None else symbols
    return QuoteBatch(ts, ts, ids, bids, asks, one, one)


def test_time_bar_fields():
    """A time bar carries open, high, low, close, volume, vwap, bought volume and count of its ticks."""
    builder = BarBuilder(1, "time", 1.0)
    bars = builder.update(trades([5.1, 5.2, 5.7, 6.0], [10, 13, 9, 11], sizes=[1, 2, 1, 5], sides=[1, -1, 1, 1]))
    assert [bars.open[0], bars.high[0], bars.low[0], bars.close[0]] == [10, 13, 9, 9]
    assert bars.volume.tolist() == [4]
    assert bars.vwap.tolist() == [(10 + 26 + 9) / 4]
    assert bars.buy_volume.tolist() == [2]
    assert bars.n_trades.tolist() == [3]
    assert np.isnan(bars.spread[0])


def test_event_at_the_boundary_belongs_to_the_next_bar():
    """A tick exactly at a boundary closes the bar before it, stamped with the boundary, and opens the next."""
    builder = BarBuilder(1, "time", 1.0)
    bars = builder.update(trades([5.5, 6.0], [1, 2]))
    assert bars.ts_ns.tolist() == [6 * SECOND]
    assert bars.ts_open_ns.tolist() == [5.5 * SECOND]
    rest = builder.finish()
    assert rest.ts_ns.tolist() == [7 * SECOND]
    assert rest.open.tolist() == [2]


def test_times_before_1970_align_to_utc():
    """Negative times fall into the bar that contains them, not into the one nearer to zero."""
    builder = BarBuilder(1, "time", 10.0)
    bars = builder.update(trades([-11.0, -10.0], [1, 2]))
    assert bars.ts_ns.tolist() == [-10 * SECOND]


def test_quiet_times_have_no_bar():
    """A gap of many bar lengths makes no empty bars."""
    builder = BarBuilder(1, "time", 1.0, max_late_ns=3 * SECOND)
    bars = builder.update(trades([1.5, 900.5], [1, 2]))
    assert bars.ts_ns.tolist() == [2 * SECOND]


def test_advance_closes_quiet_symbols():
    """A symbol without further ticks closes when the watermark passes its bar; the order is by close, then symbol."""
    builder = BarBuilder(3, "time", 1.0)
    builder.update(trades([1.1, 3.2, 1.3], [1, 2, 3], symbols=[2, 0, 1]))
    assert len(builder.advance(2 * SECOND - 1)) == 0
    bars = builder.advance(4 * SECOND)
    assert bars.symbol_id.tolist() == [1, 2, 0]
    assert bars.ts_ns.tolist() == [2 * SECOND, 2 * SECOND, 4 * SECOND]


def test_late_tick_is_counted_and_left_out():
    """A tick of a closed bar is in no bar, whether a later tick or the watermark closed it."""
    builder = BarBuilder(2, "time", 1.0)
    builder.update(trades([1.5, 2.5, 1.9], [1, 2, 99]))
    assert builder.late == 1
    builder.advance(10 * SECOND)
    builder.update(trades([2.9, 9.9, 10.0], [99, 99, 3], symbols=[0, 1, 0]))
    assert builder.late == 3
    assert builder.finish().high.tolist() == [3]


def test_tick_within_max_late_joins_its_bar():
    """Within `max_late_ns` an older bar still takes its tick, by event time: as its last price or its first."""
    builder = BarBuilder(1, "time", 1.0, max_late_ns=SECOND // 2)
    assert len(builder.update(trades([1.5, 2.4, 1.9, 1.2], [10, 20, 11, 9]))) == 0
    bars = builder.update(trades([2.5, 1.95], [21, 99]))
    assert [bars.open[0], bars.high[0], bars.close[0], bars.n_trades[0]] == [9, 11, 11, 3]
    assert bars.ts_open_ns.tolist() == [1.2 * SECOND]
    assert builder.late == 1
    assert len(builder.advance(3 * SECOND)) == 0
    assert builder.advance(3 * SECOND + SECOND // 2).close.tolist() == [21]


def test_several_bars_wait_for_late_ticks():
    """With `max_late_ns` of several bars, all of them stay open and close in order of time."""
    builder = BarBuilder(1, "time", 1.0, max_late_ns=3 * SECOND)
    assert len(builder.update(trades([0.5, 1.5, 2.5, 3.5, 0.6], [1, 2, 3, 4, 5]))) == 0
    bars = builder.update(trades([5.5], [6]))
    assert bars.ts_ns.tolist() == [SECOND, 2 * SECOND]
    assert bars.close.tolist() == [5, 2]
    assert builder.finish().ts_ns.tolist() == [3 * SECOND, 4 * SECOND, 6 * SECOND]


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [("tick", 3, [3, 6]), ("volume", 50, [2, 4]), ("dollar", 600, [2, 4])],
)
def test_event_bars_close_with_the_tick_that_fills_them(kind, size, expected):
    """Bars of ticks, volume and currency close with the trade that reaches the size, stamped with its time."""
    builder = BarBuilder(1, kind, size)
    bars = builder.update(trades([1, 2, 3, 4, 5, 6], [10, 11, 12, 13, 14, 15], sizes=[30, 40, 10, 40, 10, 20]))
    assert (bars.ts_ns / SECOND).tolist() == expected
    assert bars.close.tolist() == [9 + second for second in expected]


def test_a_trade_is_never_split():
    """A trade larger than several bars makes one bar."""
    builder = BarBuilder(1, "volume", 10)
    assert builder.update(trades([1], [5], sizes=[95])).volume.tolist() == [95]


def test_stamps_of_a_symbol_increase():
    """Bars that fill within one nanosecond are stamped one nanosecond apart, and no tick of it is late."""
    builder = BarBuilder(1, "tick", 1)
    bars = builder.update(trades([1, 1, 1, 2], [1, 2, 3, 4]))
    assert (bars.ts_ns - SECOND).tolist() == [0, 1, 2, SECOND]
    assert builder.late == 0


def test_late_ticks_of_event_bars():
    """A tick more than `max_late_ns` older than the last closed bar is left out; a younger one joins."""
    builder = BarBuilder(1, "tick", 2, max_late_ns=SECOND)
    bars = builder.update(trades([1, 5, 3.9, 4.0, 6], [1, 2, 99, 4, 5]))
    assert builder.late == 1
    assert bars.close.tolist() == [2, 5]
    assert bars.open.tolist() == [1, 4]


def test_tick_rule_classifies_trades_of_unknown_side():
    """Half bought before the first change; then up is bought, down sold, and no change repeats the last."""
    builder = BarBuilder(1, "tick", 1)
    bars = builder.update(trades(range(7), [5, 5, 6, 6, 4, 4, 5], sizes=[2] * 7, sides=[0] * 7))
    assert bars.buy_volume.tolist() == [1, 1, 2, 2, 0, 0, 2]


def test_known_sides_beat_the_tick_rule():
    """A reported side decides, whatever the price did."""
    builder = BarBuilder(1, "tick", 1)
    bars = builder.update(trades([1, 2, 3], [5, 6, 4], sides=[1, -1, 1]))
    assert bars.buy_volume.tolist() == [1, 0, 1]


def test_quotes_alone_make_bars_of_the_mid():
    """Without trades a bar holds mid prices and the mean spread; volumes are unknown, not zero."""
    builder = BarBuilder(1, "time", 1.0)
    bars = builder.update(quotes([1.1, 1.2, 2.0], [9, 11, 10], [11, 14, 12]))
    assert [bars.open[0], bars.high[0], bars.low[0], bars.close[0]] == [10, 12.5, 10, 12.5]
    assert bars.spread.tolist() == [2.5]
    assert bars.n_trades.tolist() == [0]
    assert np.isnan([bars.volume[0], bars.vwap[0], bars.buy_volume[0]]).all()


def test_tick_bars_of_quotes():
    """A symbol that never traded counts quotes; volume bars of quotes never fill."""
    ticks = quotes([1, 2, 3], [9, 10, 11], [11, 12, 13])
    assert BarBuilder(1, "tick", 2).update(ticks).close.tolist() == [11]
    volume = BarBuilder(1, "volume", 1)
    assert len(volume.update(ticks)) == 0
    assert volume.finish().close.tolist() == [12]


def test_trades_replace_mid_prices():
    """From a symbol's first trade on, prices are trades and quotes only add to the spread."""
    builder = BarBuilder(2, "time", 1.0)
    builder.update(quotes([1.1, 1.1], [90, 50], [110, 52], symbols=[0, 1]))
    builder.update(trades([1.2], [7]))
    builder.update(quotes([1.3, 2.1], [6, 6], [10, 7]))
    bars = builder.finish()
    assert bars.symbol_id.tolist() == [1]  # the second in which symbol 0 had quotes but no trade has no bar
    builder = BarBuilder(1, "time", 1.0)
    builder.update(quotes([1.1], [90], [110]))
    builder.update(trades([1.2], [7]))
    bars = builder.finish()
    assert [bars.open[0], bars.high[0], bars.spread[0]] == [7, 7, 20]


def test_finish_closes_for_good():
    """After `finish` nothing is left, and ticks of the bars it returned are late."""
    builder = BarBuilder(1, "time", 1.0)
    builder.update(trades([1.5], [1]))
    assert len(builder.finish()) == 1
    assert len(builder.finish()) == 0
    builder.update(trades([1.6, 2.0], [2, 3]))
    assert builder.late == 1


def test_unknown_symbol_adds_nothing():
    """A tick of an unknown symbol is refused together with its batch."""
    builder = BarBuilder(2, "tick", 1)
    for wrong in (2, -1):
        with pytest.raises(DataError, match=f"symbol_id={wrong}"):
            builder.update(trades([1, 2], [1, 2], symbols=[0, wrong]))
    assert len(builder.finish()) == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((0, "time", 1.0, 0), "n_symbols=0"),
        ((1, "range", 1.0, 0), "kind='range'"),
        ((1, "time", 0.0, 0), "size=0.0"),
        ((1, "tick", 0.5, 0), "size=0.5"),
        ((1, "dollar", float("nan"), 0), "size=nan"),
        ((1, "time", 1.0, -1), "max_late_ns=-1"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    """An argument out of range is refused with its name and value."""
    *positional, late = arguments
    with pytest.raises(SettingsError, match=named):
        BarBuilder(*positional, max_late_ns=late)


def test_state_of_another_builder_is_refused():
    """A state restores only into a builder of the same settings."""
    with pytest.raises(DataError, match="this one has"):
        BarBuilder(1, "time", 1.0).restore(BarBuilder(1, "time", 2.0).state())


def test_columns_of_any_layout():
    """A strided column gives the same bars as a contiguous one."""
    ticks = trades([1, 1.5, 2, 2.5, 3, 3.5], [1, 2, 3, 4, 5, 6])
    strided = BarBuilder(1, "time", 1.0).update(ticks.take(slice(None, None, 2)))
    packed = BarBuilder(1, "time", 1.0).update(ticks.take(np.array([0, 2, 4])))
    assert strided == packed
