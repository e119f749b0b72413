"""What holds for bars of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from trader.bars import BAR_KINDS, BarBuilder
from trader.core.market import BarBatch, TradeBatch

SIZES = {"time": 0.5, "tick": 7, "volume": 900.0, "dollar": 90_000.0}


@pytest.fixture(params=BAR_KINDS)
def kind(request):
    return request.param


@pytest.fixture
def trades() -> TradeBatch:
    rng = np.random.default_rng(5)
    n = 5000
    ts = np.cumsum(rng.integers(0, 20_000_000, n))
    price = 100 + np.cumsum(rng.normal(0, 0.02, n))
    return TradeBatch(ts, ts, rng.integers(0, 4, n), price, rng.integers(1, 300, n), rng.integers(-1, 2, n))


@pytest.fixture
def bars(kind, trades) -> BarBatch:
    builder = BarBuilder(4, kind, SIZES[kind])
    return BarBatch.concat([builder.update(trades), builder.finish()])


def test_nothing_is_lost(bars, trades):
    """Volume, value and number of trades over all bars are those of the ticks, symbol by symbol."""
    for symbol in range(4):
        mine, ticks = bars.take(bars.symbol_id == symbol), trades.take(trades.symbol_id == symbol)
        assert mine.n_trades.sum() == len(ticks)
        np.testing.assert_allclose(mine.volume.sum(), ticks.size.sum(), rtol=1e-12)
        np.testing.assert_allclose((mine.volume * mine.vwap).sum(), (ticks.size * ticks.price).sum(), rtol=1e-12)


def test_prices_are_ordered(bars):
    """Low and high bound open, close and vwap; bought volume is between none and all."""
    assert (bars.low <= np.minimum(bars.open, bars.close)).all()
    assert (bars.high >= np.maximum(bars.open, bars.close)).all()
    assert ((bars.low - 1e-9 <= bars.vwap) & (bars.vwap <= bars.high + 1e-9)).all()
    assert ((bars.buy_volume >= 0) & (bars.buy_volume <= bars.volume)).all()


def test_stamps_increase_and_follow_the_first_tick(bars):
    """Stamps of a symbol strictly increase, and no bar opens after its stamp."""
    assert (bars.ts_open_ns <= bars.ts_ns).all()
    for symbol in range(4):
        assert (np.diff(bars.ts_ns[bars.symbol_id == symbol]) > 0).all()


def test_symbols_do_not_meet(kind, bars, trades):
    """The bars of a symbol are the same when it is alone: shards of symbols change nothing."""
    alone = BarBuilder(1, kind, SIZES[kind])
    ticks = trades.take(trades.symbol_id == 2)
    ticks = TradeBatch(**(ticks.columns() | {"symbol_id": np.zeros(len(ticks))}))
    mine = BarBatch.concat([alone.update(ticks), alone.finish()])
    expected = bars.take(bars.symbol_id == 2)
    assert BarBatch(**(expected.columns() | {"symbol_id": np.zeros(len(expected))})) == mine


def test_no_bar_holds_the_future(kind, trades):
    """Bars completed by the first ticks stay as they are, whatever comes later."""
    half = trades.take(slice(0, 2500))
    altered = TradeBatch(**(trades.columns() | {"price": np.where(np.arange(5000) < 2500, trades.price, 1.0)}))
    done = BarBuilder(4, kind, SIZES[kind]).update(half)
    later = BarBuilder(4, kind, SIZES[kind]).update(altered)
    assert later.take(slice(0, len(done))) == done


def test_nothing_in_nothing_out(kind):
    """An empty batch, an early watermark and an untouched builder give no bars."""
    builder = BarBuilder(4, kind, SIZES[kind])
    assert len(builder.update(TradeBatch.empty())) == 0
    assert len(builder.advance(0)) == 0
    assert len(builder.finish()) == 0
