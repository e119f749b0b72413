"""nautilus_trader's TimeBarAggregator on its own: one a symbol, fed tick by tick. Arguments: file, ticks, seconds."""

import sys

from nautilus_ticks import read_trades
from nautilus_trader.common.component import TestClock
from nautilus_trader.data.aggregation import TimeBarAggregator
from nautilus_trader.model.data import BarSpecification, BarType
from nautilus_trader.model.enums import AggregationSource, BarAggregation, PriceType
from turns import take_turns

path, n_trades, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
instruments, ticks, symbol_ids = read_trades(path, n_trades)
specification = BarSpecification(seconds, BarAggregation.SECOND, PriceType.LAST)
step_ns = seconds * 1_000_000_000
bars = []


def cut_by_second():
    """Return the stamp of the first tick of each second, and the rows of its ticks."""
    firsts = [
        row for row, tick in enumerate(ticks) if row == 0 or tick.ts_init // step_ns > ticks[row - 1].ts_init // step_ns
    ]
    return [(ticks[row].ts_init, row, stop) for row, stop in zip(firsts, [*firsts[1:], len(ticks)], strict=True)]


steps = cut_by_second()


def prepare():
    """Return a clock and the update method that each tick goes to."""
    clock = TestClock()
    clock.set_time(ticks[0].ts_init // step_ns * step_ns)
    bars.clear()
    updates = [
        TimeBarAggregator(
            instrument,
            BarType(instrument.id, specification, AggregationSource.INTERNAL),
            bars.append,
            clock,
            build_with_no_updates=False,
        ).handle_trade_tick
        for instrument in instruments
    ]
    return clock, [updates[symbol_id] for symbol_id in symbol_ids]


def repeat(prepared):
    """Feed every tick; move the clock when a second has passed, as the engine does."""
    clock, updates = prepared
    for stamp, start, stop in steps:
        for handler in clock.advance_time(stamp):
            handler.handle()
        for row in range(start, stop):
            updates[row](ticks[row])


take_turns(
    repeat,
    prepare=prepare,
    work=n_trades,
    libraries=["nautilus_trader", "numpy"],
    note="aggregators alone, no engine or message bus; ticks are objects made before the time",
)
