"""The factory of feeds: settings in, `Feed` out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from trader.core.errors import DataError
from trader.core.market import BarBatch, Universe
from trader.core.protocols import Feed, MarketBatch
from trader.data.content import describe, event_times
from trader.data.datasets import sp500_bars
from trader.data.planted import plant
from trader.data.quality import inspect, repair
from trader.data.readers import read_market_file
from trader.data.reading.values import pick_symbols
from trader.data.replay import ReplayFeed
from trader.data.sessions import NEW_YORK, day_start_ns, instant_ns
from trader.data.simulated import SimulatedMarket
from trader.data.tape import read_tape
from trader.settings import FeedSettings
from trader.settings.live import LIVE_KINDS

__all__ = ["FEEDS", "feed_timezone", "feed_window", "open_feed"]


def open_feed(feed: FeedSettings, *, seed: int) -> Feed:
    """Return the feed that the settings describe.

    Bars of a file are inspected and repaired by the default rules of `trader.data.quality` before they leave; the
    report is the feed's `quality`, and rows that a repair dropped count as rejected.

    Parameters
    ----------
    feed : FeedSettings
        Which feed, and which part of it.
    seed : int
        Of a simulated or planted market; others do not use it.

    Raises
    ------
    UserError
        If the data do not exist or cannot be used, or nothing of them lies before `end`.
    """
    return FEEDS[feed.kind.partition(",")[0]](feed, seed)


def feed_timezone(feed: FeedSettings) -> str:
    """Return the zone that days of the settings are meant in: the exchange's, or the file's."""
    is_us = not {"file", "binance"} & set(feed.kind.split(","))
    return NEW_YORK if is_us else feed.timezone


def feed_window(feed: FeedSettings) -> tuple[int | None, int | None]:
    """Return the first instant of `start` and the one after the end of `end`, in UTC nanoseconds; None if open."""
    zone = feed_timezone(feed)
    start = None if feed.start is None else instant_ns(feed.start, zone)
    end = None if feed.end is None else _next_day_ns(feed.end, zone)
    if start is not None and end is not None and start >= end:
        raise DataError(f"feed.start={feed.start!r} is after feed.end={feed.end!r}")
    return start, end


def _next_day_ns(day: str, zone: str) -> int:
    day_start_ns(day, zone)
    return day_start_ns(str(np.datetime64(day, "D") + 1), zone)


def _open_sp500(feed: FeedSettings, seed: int) -> Feed:  # noqa: ARG001 - every opener has the same form
    bars, universe = sp500_bars()
    if feed.symbols:
        bars, universe = _restrict(bars, universe, feed.symbols, "the sp500 data")
    return _replay("sp500", bars, universe, feed, {})


def _open_file(feed: FeedSettings, seed: int) -> Feed:  # noqa: ARG001 - every opener has the same form
    if feed.path is None:
        raise DataError("feed.path is not set; feed.kind=file needs a CSV or Parquet file")
    if feed.data_kind == "book":
        raise DataError("feed.data_kind='book' is for live feeds; auto, trades, quotes and bars are allowed for files")
    if feed.sale_rule != "all":
        return _open_tape(feed, feed.path)
    data, universe, rejected = read_market_file(
        feed.path, kind=feed.data_kind, columns=feed.columns, timezone=feed.timezone, symbols=feed.symbols
    )
    return _replay(feed.path.name, data, universe, feed, rejected)


def _open_tape(feed: FeedSettings, path: Path) -> Feed:
    tape = read_tape(
        path,
        rule=feed.sale_rule,
        codes=feed.sale_codes,
        columns=feed.columns,
        timezone=feed.timezone,
        symbols=feed.symbols,
    )
    if not len(tape.last):
        raise DataError(f"feed.sale_rule={feed.sale_rule!r} leaves no trade of {path} that may set a price")
    left_out = {reason: n for reason, n in tape.left_out.items() if reason not in ("no_high_low", "no_volume")}
    return _replay(path.name, tape.last, tape.universe, feed, left_out)


def _open_simulated(feed: FeedSettings, seed: int) -> Feed:
    start, end = feed_window(feed)
    return SimulatedMarket(
        feed.simulation,
        seed=seed,
        batch_slices=feed.batch_slices,
        start_ns=start,
        end_ns=end,
        symbols=feed.symbols,
    )


def _open_planted(feed: FeedSettings, seed: int) -> Feed:
    market = plant(feed.planted, seed=seed)
    bars, universe = market.panel.to_bars(), market.universe
    if feed.symbols:
        bars, universe = _restrict(bars, universe, feed.symbols, "the planted market")
    return _replay("planted", bars, universe, feed, {})


def _open_live(feed: FeedSettings, seed: int) -> Feed:  # noqa: ARG001 - every opener has the same form
    from trader.data.live.vendors import open_live  # a network client is only for those who listen

    return open_live(feed)


FEEDS: dict[str, Callable[[FeedSettings, int], Feed]] = {
    "sp500": _open_sp500,
    "file": _open_file,
    "simulated": _open_simulated,
    "planted": _open_planted,
    **dict.fromkeys(LIVE_KINDS, _open_live),
}
"""Openers by `feed.kind`."""


def _replay(
    name: str, data: MarketBatch, universe: Universe, feed: FeedSettings, rejected: dict[str, int]
) -> ReplayFeed:
    start, end = feed_window(feed)
    if end is not None:
        data = data.take(event_times(data) < end)
        if not len(data):
            raise DataError(f"feed.end={feed.end!r} leaves nothing of {name}")
    quality = None
    if isinstance(data, BarBatch):
        quality = inspect(data, universe)
        before = len(data)
        data = repair(data, quality)
        if before > len(data):
            rejected = rejected | {"repaired": before - len(data)}
    return ReplayFeed(
        data,
        describe(name, data, universe),
        batch_rows=feed.batch_rows,
        batch_slices=feed.batch_slices,
        start_ns=start,
        rejected=rejected,
        quality=quality,
    )


def _restrict(bars: BarBatch, universe: Universe, symbols: tuple[str, ...], source: str) -> tuple[BarBatch, Universe]:
    picked = pick_symbols(symbols, universe.symbols, source)[bars.symbol_id]
    kept = bars.take(picked >= 0)
    columns = kept.columns() | {"symbol_id": picked[picked >= 0]}
    order = np.lexsort((columns["symbol_id"], kept.ts_ns))
    return BarBatch(**columns).take(order), Universe(tuple(dict.fromkeys(symbols)))
