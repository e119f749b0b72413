"""Captures of every vendor's protocol, made by code, and feeds that listen to the reference server."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.support.live import BEGIN_MS, quote, trade
from trader.core.market import QuoteBatch, TradeBatch
from trader.data.live.feed import LiveFeed
from trader.data.live.reference.server import ReplayServer
from trader.data.live.stamps import stamp_text
from trader.data.live.vendors import open_live
from trader.settings import FeedSettings, LiveSettings

KEYS = {"ALPACA_API_KEY": "a-key", "ALPACA_SECRET_KEY": "a-secret", "MASSIVE_API_KEY": "m-key"}
"""The environment that the feeds below need; no server has seen these keys."""


def alpaca_trade(number: int, ms: int, price: float = 100.0, symbol: str = "AAPL", ns: int = 0, **fields: Any) -> bytes:
    """A trade as Alpaca sends it, without the array around it."""
    data = {"T": "t", "S": symbol, "i": number, "x": "V", "p": price, "s": 10, "c": ["@"], "z": "C"}
    return msgspec.json.encode(data | {"t": stamp_text(ms * 1_000_000 + ns)} | fields)


def alpaca_quote(number: int, ms: int, bid: float = 99.0, symbol: str = "AAPL", **fields: Any) -> bytes:
    """Best bid and offer as Alpaca sends them; they have no numbers, so the size of the ask tells them apart."""
    data = {"T": "q", "S": symbol, "bx": "V", "bp": bid, "bs": 1, "ax": "V", "ap": bid + 1, "as": number, "c": ["R"]}
    return msgspec.json.encode(data | {"z": "C", "t": stamp_text(ms * 1_000_000)} | fields)


def massive_trade(number: int, ms: int, price: float = 100.0, symbol: str = "AAPL", **fields: Any) -> bytes:
    """A trade as Massive sends it, without the array around it; its sequence numbers rise by three."""
    data = {"ev": "T", "sym": symbol, "x": 4, "i": str(number), "z": 3, "p": price, "s": 10, "c": [37], "t": ms}
    return msgspec.json.encode(data | {"q": 3 * number} | fields)


def massive_quote(number: int, ms: int, bid: float = 99.0, symbol: str = "AAPL", **fields: Any) -> bytes:
    """Best bid and offer as Massive sends them."""
    data = {"ev": "Q", "sym": symbol, "bx": 4, "bp": bid, "bs": 1, "ax": 7, "ap": bid + 1, "as": 2, "c": 0, "i": [604]}
    return msgspec.json.encode(data | {"t": ms, "q": 3 * number, "z": 3} | fields)


@dataclasses.dataclass(frozen=True)
class Vendor:
    """How one vendor writes ticks."""

    name: str
    symbol: str
    trade: Callable[..., bytes]
    quote: Callable[..., bytes]

    def write(
        self,
        path: Path,
        kind: str,
        n: int,
        step_ms: int = 5,
        symbols: tuple[str, ...] = (),
        fields: Callable[[int], dict[str, Any]] = lambda place: {},
    ) -> Path:
        """A capture of `n` ticks, `step_ms` apart, with prices that repeat every seven, and `fields` of each."""
        make = self.trade if kind == "trades" else self.quote
        symbols = symbols or (self.symbol,)
        lines = []
        for place in range(n):
            ms = BEGIN_MS + place * step_ms
            message = make(
                1 + place // len(symbols), ms, 100.0 + place % 7, symbols[place % len(symbols)], **fields(place)
            )
            lines.append(b"%d " % ((ms + 2) * 1_000_000) + message)
        path.write_bytes(b"\n".join(lines) + b"\n")
        return path


VENDORS = {
    "alpaca": Vendor("alpaca", "AAPL", alpaca_trade, alpaca_quote),
    "binance": Vendor("binance", "BTCUSDT", trade, quote),
    "massive": Vendor("massive", "AAPL", massive_trade, massive_quote),
}


PATIENT = {"duration_s": 120.0, "start_deadline_s": 60.0, "connect_timeout_s": 60.0, "backfill_timeout_s": 60.0}
"""Limits of live feeds that no slow machine comes to."""


def feed_of(
    vendor: Vendor,
    server: ReplayServer | str,
    kind: str = "trades",
    symbols: tuple[str, ...] = (),
    rule: str = "all",
    **live: object,
) -> LiveFeed:
    """A feed that reconnects fast, and gives up only what takes a minute."""
    url = server if isinstance(server, str) else server.url
    fast = {"backoff_first_s": 0.02, "batch_ms": 10.0} | PATIENT
    settings = LiveSettings.model_validate({"url": url} | fast | live)
    symbols = symbols or (vendor.symbol,)
    chosen = {"kind": vendor.name, "symbols": symbols, "data_kind": kind, "sale_rule": rule, "live": settings}
    return open_live(FeedSettings.model_validate(chosen))


def read(feed: LiveFeed, n: int, until: Callable[[], bool] = lambda: True) -> TradeBatch | QuoteBatch:
    """Rows of a pass that ends when all `n` have come or are counted as lost, and `until` is true."""
    batches: list[Any] = []
    seen = 0
    with contextlib.closing(feed.batches()) as stream:
        for batch in stream:
            batches.append(batch.data)
            seen += len(batch.data)
            if seen + feed.rejected().get("lost", 0) >= n and until():
                break
    found: TradeBatch | QuoteBatch = type(batches[0]).concat(batches)
    return found


def prices(rows: TradeBatch | QuoteBatch) -> list[float]:
    """Prices, or bids, sorted: each that is missing or there twice shows."""
    return sorted((rows.price if isinstance(rows, TradeBatch) else rows.bid).tolist())
