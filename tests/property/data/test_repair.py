from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.core.market import BarBatch, Universe
from trader.data.quality import RepairRules, inspect, repair
from trader.data.quality.splits import SPLIT_FACTORS
from trader.data.simulated import SimulatedMarket
from trader.settings import SimulationSettings

N_DAYS, N_SYMBOLS = 500, 8
MARKET = SimulatedMarket(SimulationSettings(n_symbols=N_SYMBOLS, n_days=N_DAYS), seed=21)
BARS = MARKET.panel().to_bars()
UNIVERSE: Universe = MARKET.info.universe

rows = st.integers(70, N_DAYS - 70)
symbols = st.integers(0, N_SYMBOLS - 1)


def change(bars: BarBatch, chosen: np.ndarray, price: float, volume: float = 1.0) -> BarBatch:
    """Multiply prices and volumes of some rows."""
    prices = {n: np.where(chosen, getattr(bars, n) * price, getattr(bars, n)) for n in ("open", "high", "low", "close")}
    prices |= {n: np.where(chosen, getattr(bars, n) * price, getattr(bars, n)) for n in ("vwap", "spread")}
    sizes = {n: np.where(chosen, getattr(bars, n) * volume, getattr(bars, n)) for n in ("volume", "buy_volume")}
    return dataclasses.replace(bars, **prices, **sizes)


@given(row=rows, symbol=symbols, factor=st.sampled_from([f for f in SPLIT_FACTORS if f >= 2 or f <= 1 / 4]))
@settings(max_examples=25, deadline=None)
def test_a_split_that_was_put_in_is_taken_out(row: int, symbol: int, factor: float) -> None:
    """Bars split by hand come back from the repair as they were, to rounding."""
    when = np.unique(BARS.ts_ns)[row]
    before = (BARS.symbol_id == symbol) & (BARS.ts_ns < when)
    spoilt = change(BARS, before, factor, 1 / factor)
    report = inspect(spoilt, UNIVERSE)
    assert [(f.symbol, f.ts_ns, f.action) for f in report.of("splits")] == [
        (UNIVERSE.symbols[symbol], when, "repaired")
    ]
    mended = repair(spoilt, report)
    for name in ("open", "close", "vwap", "spread", "volume", "buy_volume"):
        np.testing.assert_allclose(getattr(mended, name), getattr(BARS, name), rtol=1e-12)


@given(row=rows, symbol=symbols, size=st.sampled_from([0.3, 0.5, 1.9, 4.0, 100.0]))
@settings(max_examples=25, deadline=None)
def test_a_bad_print_is_dropped_and_nothing_else(row: int, symbol: int, size: float) -> None:
    """One close off by a factor goes; every other bar stays."""
    when = np.unique(BARS.ts_ns)[row]
    chosen = (BARS.symbol_id == symbol) & (BARS.ts_ns == when)
    spoilt = dataclasses.replace(BARS, close=np.where(chosen, BARS.close * size, BARS.close))
    mended = repair(spoilt, inspect(spoilt, UNIVERSE))
    assert mended == BARS.take(~chosen)


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_duplicates_are_dropped_wherever_they_stand(data: st.DataObject) -> None:
    """Of repeated bars the first stays: the original bars come back."""
    picked = data.draw(st.lists(st.integers(0, len(BARS) - 1), min_size=1, max_size=30))
    repeated = np.sort(np.r_[np.arange(len(BARS)), picked])
    altered = np.array(BARS.take(repeated).volume)
    copies = np.r_[False, np.diff(repeated) == 0]
    altered[copies] += 1  # the later copy differs and must not win
    spoilt = dataclasses.replace(BARS.take(repeated), volume=altered)
    report = inspect(spoilt, UNIVERSE)
    assert sum(f.rows for f in report.of("duplicates")) == len(picked)
    assert repair(spoilt, report) == BARS


@given(row=rows, symbol=symbols)
@settings(max_examples=10, deadline=None)
def test_a_rule_that_is_off_leaves_the_bars_alone(row: int, symbol: int) -> None:
    """With splits switched off the jump is reported and stays."""
    before = (BARS.symbol_id == symbol) & (BARS.ts_ns < np.unique(BARS.ts_ns)[row])
    spoilt = change(BARS, before, 2.0, 0.5)
    assert repair(spoilt, inspect(spoilt, UNIVERSE), RepairRules(splits=False)) is spoilt


def test_bars_that_cannot_be_are_dropped() -> None:
    """Closes that are no prices and bars out of their time go, together with duplicates of what stays."""
    close = np.array(BARS.close)
    close[10], close[20] = -1.0, np.nan
    opened = np.array(BARS.ts_open_ns)
    opened[30] = BARS.ts_ns[30] + 1
    spoilt = dataclasses.replace(BARS, close=close, ts_open_ns=opened)
    spoilt = BarBatch.concat([spoilt, BARS.take(slice(100, 102)), BARS.take(slice(-2, None))])
    report = inspect(spoilt, UNIVERSE)
    assert {f.check for f in report.findings if f.action == "rejected"} == {"prices", "time_travel", "duplicates"}
    gone = np.isin(np.arange(len(BARS)), [10, 20, 30])
    assert repair(spoilt, report) == BARS.take(~gone)
