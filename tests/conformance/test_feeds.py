"""What every feed promises, whatever it delivers."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest

from trader.core.market import BAR_FIELDS, BarBatch, QuoteBatch, TradeBatch, Universe
from trader.core.protocols import Feed
from trader.data.content import describe, event_times, kind_of
from trader.data.feeds import open_feed
from trader.data.replay import ReplayFeed
from trader.data.sessions import day_start_ns
from trader.data.simulated import SimulatedMarket
from trader.data.simulation.ticks import simulate_trades
from trader.settings import FeedSettings, PlantedSettings, SimulationSettings

BATCH_TYPES = {"trades": TradeBatch, "quotes": QuoteBatch, "bars": BarBatch}


def _trades(seed: int) -> Feed:
    trades = simulate_trades(2_500, 3, seed)
    return ReplayFeed(trades, describe("trades", trades, Universe(("A", "B", "C"))), batch_rows=400)


def _quotes(seed: int) -> Feed:
    trades = simulate_trades(2_500, 3, seed)
    quotes = QuoteBatch(
        ts_event_ns=trades.ts_event_ns // 10**8 * 10**8,  # many quotes share a stamp
        ts_recv_ns=trades.ts_recv_ns,
        symbol_id=trades.symbol_id,
        bid=trades.price - 0.01,
        ask=trades.price + 0.01,
        bid_size=trades.size,
        ask_size=trades.size,
    )
    return ReplayFeed(quotes, describe("quotes", quotes, Universe(("A", "B", "C"))), batch_rows=100)


def _bars(seed: int) -> Feed:
    panel = SimulatedMarket(SimulationSettings(n_symbols=4, n_days=700), seed=seed).panel()
    bars = panel.to_bars()
    thinned = bars.take(np.random.default_rng(seed).random(len(bars)) > 0.2)
    info = describe("bars", thinned, Universe(("A", "B", "C", "D")))
    return ReplayFeed(thinned, info, batch_slices=7, start_ns=int(panel.ts_ns[530]))


def _sp500(seed: int) -> Feed:
    last = 2000 + seed  # another seed stands for another content
    return open_feed(FeedSettings(start="1999-01-04", end=f"{last}-12-31", batch_slices=3), seed=seed)


def _simulated(seed: int) -> Feed:
    simulation = SimulationSettings(n_symbols=3, n_days=60, bar_minutes=30, planted_ic=0.2)
    return open_feed(
        FeedSettings(kind="simulated", start="2015-03-02", batch_slices=5, simulation=simulation), seed=seed
    )


def _simulated_in_blocks(seed: int) -> Feed:
    simulation = SimulationSettings(n_symbols=600, n_days=12, bar_minutes=30)
    return SimulatedMarket(simulation, seed=seed, batch_slices=20)


def _planted(seed: int) -> Feed:
    return open_feed(
        FeedSettings(kind="planted", batch_slices=9, planted=PlantedSettings(n_symbols=5, n_days=80)), seed=seed
    )


FEEDS: dict[str, Callable[[int], Feed]] = {
    "replay-trades": _trades,
    "replay-quotes": _quotes,
    "replay-bars": _bars,
    "sp500": _sp500,
    "simulated": _simulated,
    "planted": _planted,
    "simulated-in-blocks": _simulated_in_blocks,
}


@pytest.fixture(params=FEEDS)
def make_feed(request: pytest.FixtureRequest) -> Callable[[int], Feed]:
    return FEEDS[request.param]


@pytest.fixture
def feed(make_feed: Callable[[int], Feed]) -> Feed:
    return make_feed(1)


def test_it_is_a_feed(feed: Feed) -> None:
    """Every feed has the methods of the protocol."""
    assert isinstance(feed, Feed)
    assert all(count >= 0 for count in feed.rejected().values())


def test_numbers_have_no_holes(feed: Feed) -> None:
    """Batches count from 0, hold rows, and are of the kind the feed names."""
    batches = list(feed.batches())
    assert [batch.seq for batch in batches] == list(range(len(batches)))
    assert len(batches) > 3
    for batch in batches:
        assert type(batch.data) is BATCH_TYPES[feed.info.kind]
        assert len(batch.data) > 0


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.75, 1.0])
def test_it_restarts_anywhere(make_feed: Callable[[int], Feed], fraction: float) -> None:
    """A fresh feed asked from number k gives the batches that a whole pass gives from there on."""
    whole = list(make_feed(1).batches())
    start = round(fraction * len(whole))
    restarted = list(make_feed(1).batches(start))
    assert [(b.seq, b.watermark_ns) for b in restarted] == [(b.seq, b.watermark_ns) for b in whole[start:]]
    assert all(again.data == first.data for again, first in zip(restarted, whole[start:], strict=True))


def test_passes_can_interleave(feed: Feed) -> None:
    """Two consumers of one feed do not disturb each other."""
    late, early = feed.batches(2), feed.batches(0)
    pairs = list(itertools.islice(zip(early, late, strict=False), 3))
    assert [(a.seq, b.seq) for a, b in pairs] == [(0, 2), (1, 3), (2, 4)]
    assert pairs[2][0].data == pairs[0][1].data


def test_a_negative_number_is_refused(feed: Feed) -> None:
    """Asking for a batch before the first is an error, past the last is the end."""
    with pytest.raises(ValueError, match="from_seq=-1"):
        next(iter(feed.batches(-1)))
    assert list(feed.batches(10**6)) == []


def test_watermark_is_kept(feed: Feed) -> None:
    """No batch holds an event at or before the watermark of an earlier one, and watermarks do not go back."""
    promised = -(2**63)
    for batch in feed.batches():
        times = event_times(batch.data)
        assert times.min() > promised
        assert batch.watermark_ns >= promised
        assert batch.watermark_ns <= times.max()
        promised = batch.watermark_ns
    assert promised == times.max()


def test_order_is_kept(feed: Feed) -> None:
    """Ticks come in order of receipt, bars in order of close and whole instants at once."""
    previous = -(2**63)
    for batch in feed.batches():
        data = batch.data
        order = data.ts_ns if isinstance(data, BarBatch) else data.ts_recv_ns
        assert (np.diff(order) >= 0).all()
        if isinstance(data, BarBatch):
            assert order[0] > previous
            assert np.unique(np.stack([data.ts_ns, data.symbol_id]), axis=1).shape[1] == len(data)
        else:
            assert order[0] >= previous
        previous = order[-1]


def test_values_can_be_true(feed: Feed) -> None:
    """Prices are positive, sizes not negative, quotes not crossed, bars consistent, ids known."""
    for batch in feed.batches():
        data = batch.data
        assert data.symbol_id.min() >= 0
        assert data.symbol_id.max() < len(feed.info.universe)
        if isinstance(data, TradeBatch):
            assert (np.isfinite(data.price) & (data.price > 0) & (data.size >= 0)).all()
            assert set(np.unique(data.side)) <= {-1, 0, 1}
            assert (data.ts_recv_ns >= data.ts_event_ns).all()
        elif isinstance(data, QuoteBatch):
            assert ((data.bid > 0) & (data.ask >= data.bid)).all()
        else:
            assert (np.isfinite(data.close) & (data.close > 0)).all()
            assert (data.ts_open_ns <= data.ts_ns).all()
            known = np.isfinite(data.high)
            assert (data.high[known] >= np.maximum(data.open, data.close)[known]).all()
            assert (data.low[known] <= np.minimum(data.open, data.close)[known]).all()


def test_info_is_true(feed: Feed) -> None:
    """Declared fields are exactly those that bars carry; the span is that of the data."""
    batches = [batch.data for batch in feed.batches()]
    assert {kind_of(data) for data in batches} == {feed.info.kind}
    times = np.concatenate([event_times(data) for data in batches])
    assert feed.info.span_ns == (times.min(), times.max())
    if feed.info.kind == "bars":
        carried = {f for f in BAR_FIELDS if any(np.isfinite(getattr(d, f)).any() for d in batches)}
        assert feed.info.fields == carried
    else:
        assert {"open", "high", "low", "close"} <= feed.info.fields <= set(BAR_FIELDS)


def test_fingerprint_tells_contents_apart(make_feed: Callable[[int], Feed]) -> None:
    """Equal content has an equal fingerprint, other content another."""
    first, again, other = make_feed(1), make_feed(1), make_feed(2)
    assert first.info == again.info
    assert first.info.fingerprint != other.info.fingerprint
    assert len(first.info.fingerprint) == 64


def test_warm_up_comes_in_large_batches() -> None:
    """Instants before the start come 512 at a time, those after as many as asked for, never mixed."""
    feed = open_feed(FeedSettings(start="1995-01-03", end="1995-03-31", batch_slices=2), seed=0)
    start = day_start_ns("1995-01-03", "America/New_York")
    sizes = [(np.unique(b.data.ts_ns).size, int(b.data.ts_ns[-1]) < start) for b in feed.batches()]
    warm = [size for size, is_warm in sizes if is_warm]
    traded = [size for size, is_warm in sizes if not is_warm]
    assert warm[:-1] == [512] * (len(warm) - 1)
    assert sum(warm) == 253 + 253 + 254 + 253 + 252  # NYSE trading days of 1990 to 1994
    assert set(traded[:-1]) == {2}
    for batch in feed.batches():
        assert (batch.data.ts_ns < start).all() or (batch.data.ts_ns >= start).all()


def test_late_trades_do_not_move_the_watermark_back() -> None:
    """A trade whose event is older than the watermark is late; the watermark stays where it was."""
    trades = simulate_trades(1000, 1, seed=4)
    events = np.array(trades.ts_event_ns)
    events[500] -= 10**10
    late = dataclasses.replace(trades, ts_event_ns=events)
    feed = ReplayFeed(late, describe("late", late, Universe(("A",))), batch_rows=100)
    watermarks = [batch.watermark_ns for batch in feed.batches()]
    assert watermarks == sorted(watermarks)
    assert events[500] < watermarks[4]
