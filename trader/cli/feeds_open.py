"""What the commands of `trader feeds` share."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trader.cli.common import read_settings
from trader.core.errors import SettingsError

if TYPE_CHECKING:
    from trader.data.live.feed import LiveFeed
    from trader.settings import Settings

__all__ = [
    "KindOption",
    "MarketOption",
    "SymbolsOption",
    "UrlOption",
    "VendorArgument",
    "VenueOption",
    "open_vendor",
    "stopping",
]

VendorArgument = Annotated[str, typer.Argument(help="Whose data: alpaca, binance or massive.")]
UrlOption = Annotated[str | None, typer.Option("--url", help="Another server than the vendor's, ws://HOST:PORT.")]
SymbolsOption = Annotated[
    str | None, typer.Option("--symbols", help="Comma-separated; the default is one that trades much.")
]
KindOption = Annotated[str, typer.Option("--kind", help="trades, quotes, or book (binance).")]
MarketOption = Annotated[str, typer.Option("--market", help="Binance's: spot or usdm.")]
VenueOption = Annotated[str | None, typer.Option("--venue", help="Alpaca's: iex, sip or test; the default is iex.")]


def open_vendor(
    vendor: str,
    symbols: str | None,
    kind: str,
    market: str,
    venue: str | None,
    url: str | None,
    seconds: float | None,
    config: Path | None,
    assignments: list[str] | None,
) -> tuple[Settings, LiveFeed]:
    """Return the settings and the live feed that the options stand for."""
    from trader.cli.run import comma_list
    from trader.data.live.vendors import VENDORS, open_live

    if vendor not in VENDORS:
        raise SettingsError(f"feed {vendor!r} is not a live one; {', '.join(sorted(VENDORS))} are allowed")
    live = {"url": url, "market": market, "duration_s": seconds} | ({"venue": venue} if venue else {})
    liquid = "BTCUSDT" if vendor == "binance" else "FAKEPACA" if venue == "test" else "AAPL"
    section = {"kind": vendor, "symbols": comma_list(symbols or liquid), "data_kind": kind, "live": live}
    settings = read_settings(None, config, assignments, {"feed": section})
    return settings, open_live(settings.feed)


@contextlib.contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and SIGTERM set."""
    stop = threading.Event()
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
