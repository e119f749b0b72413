"""The vendors that a live feed may listen to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from trader.core.errors import SettingsError
from trader.core.market import Universe
from trader.data.conditions import Rule
from trader.data.live.alpaca import alpaca_source
from trader.data.live.binance import binance_source
from trader.data.live.binance_book import binance_book_source
from trader.data.live.decoder import LiveKind
from trader.data.live.feed import LiveFeed
from trader.data.live.massive import massive_source
from trader.data.live.source import Source
from trader.settings.sections import FeedSettings, LiveSettings

__all__ = ["BOOKS", "TAPES", "VENDORS", "address_of", "open_live"]

VENDORS: Mapping[str, Callable[[Universe, LiveKind, LiveSettings, str | None], Source]] = {
    "alpaca": alpaca_source,
    "binance": binance_source,
    "massive": massive_source,
}
"""Makers of sources by name; the last argument is the address of another server than the vendor's own."""

BOOKS: Mapping[str, Callable[[Universe, LiveSettings, str | None], Source]] = {"binance": binance_book_source}
"""Makers of sources whose quotes come from an order book."""

TAPES: Mapping[str, Callable[[Universe, LiveKind, LiveSettings, str | None, Rule], Source]] = {
    "alpaca": alpaca_source,
    "massive": massive_source,
}
"""Makers of sources whose trades carry sale conditions; the last argument says which may set a price."""


def address_of(live: LiveSettings, vendor: str, n_vendors: int) -> str | None:
    """Return the address to use in place of a vendor's own; None where there is none.

    Raises
    ------
    SettingsError
        If one address is given for several vendors.
    """
    if live.url is not None and n_vendors > 1:
        raise SettingsError(f"feed.live.url={live.url!r} names one server; feed.live.urls names one for each vendor")
    found = live.urls.get(vendor, live.url)
    return None if found is None else found.rstrip("/")


def open_live(feed: FeedSettings) -> LiveFeed:
    """Return the feed of the vendors named by `feed.kind`: trades (`data_kind` auto or trades) or best quotes.

    With `data_kind` book, the quotes are the best levels of an order book that follows the vendor's diffs. Trades that
    may set no price under `sale_rule` are left out, and counted as `sale_condition`.

    Raises
    ------
    SettingsError
        If no symbols are named, `data_kind` is bars, or book where a vendor has none, `sale_rule` is not all where
        there are no sale conditions, or a key is missing in the environment.
    DataError
        If a symbol is not of the vendor's form.
    """
    if not feed.symbols:
        raise SettingsError(f"feed.symbols is empty; feed.kind={feed.kind} needs names such as BTCUSDT or AAPL")
    if feed.data_kind == "bars":
        raise SettingsError(f"feed.data_kind='bars'; feed.kind={feed.kind} allows trades, quotes, book and auto")
    kind: LiveKind = "quotes" if feed.data_kind in ("quotes", "book") else "trades"
    universe = Universe(tuple(symbol.upper() for symbol in feed.symbols))
    names = feed.kind.split(",")
    if feed.sale_rule != "all":
        _check_conditions(feed, kind, names)
    addresses = {name: address_of(feed.live, name, len(names)) for name in names}
    if feed.data_kind == "book":
        without = [name for name in names if name not in BOOKS]
        if without:
            raise SettingsError(f"feed.data_kind='book'; {without[0]} has no order book, {', '.join(BOOKS)} has")
        sources = [BOOKS[name](universe, feed.live, addresses[name]) for name in names]
    elif feed.sale_rule != "all":
        sources = [TAPES[name](universe, kind, feed.live, addresses[name], feed.sale_rule) for name in names]
    else:
        sources = [VENDORS[name](universe, kind, feed.live, addresses[name]) for name in names]
    return LiveFeed(
        feed.kind,
        sources,
        universe,
        kind,
        feed.live,
        batch_rows=feed.batch_rows,
        buffer_batches=feed.buffer_batches,
    )


def _check_conditions(feed: FeedSettings, kind: LiveKind, names: Sequence[str]) -> None:
    """Raise SettingsError where what comes carries no sale conditions."""
    without = [name for name in names if name not in TAPES]
    if without:
        have = f"those of {', '.join(TAPES)} have"
        raise SettingsError(
            f"feed.sale_rule={feed.sale_rule!r}; trades of {without[0]} have no sale conditions, {have}"
        )
    if kind == "quotes":
        raise SettingsError(
            f"feed.sale_rule={feed.sale_rule!r} is about trades, and feed.data_kind={feed.data_kind!r} brings none"
        )
