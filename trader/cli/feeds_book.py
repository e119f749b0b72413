"""`trader feeds book`, and order books in `trader feeds record`."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, out, print_json
from trader.cli.feeds_open import MarketOption, SymbolsOption, UrlOption, VendorArgument, open_vendor, stopping
from trader.core.errors import OperationError, SettingsError

if TYPE_CHECKING:
    from trader.data.live.binance_book import BinanceBookDecoder
    from trader.data.live.depth_log import DepthLog
    from trader.data.live.feed import LiveFeed

__all__ = ["EveryOption", "LevelsOption", "book", "record_book"]

LevelsOption = Annotated[int, typer.Option("--levels", min=1, max=1000, help="Of each side of a book.")]
EveryOption = Annotated[
    float, typer.Option("--every-ms", min=0, help="At most one row of a book in so long; 0 is one for every change.")
]
_ROWS_BYTES = 64 * 2**20
_FILE_ROWS = 50_000
_LOOK_S = 0.25


def book(
    vendor: VendorArgument,
    symbols: SymbolsOption = None,
    levels: LevelsOption = 10,
    market: MarketOption = "spot",
    url: UrlOption = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="How long; the default is until Ctrl-C.")] = None,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the order book as it changes, and what it says; with --json only its last state.

    Example: trader feeds book binance --symbols BTCUSDT --levels 10
    """
    _, feed = open_vendor(vendor, symbols, "book", market, None, url, seconds, config, assignments)
    log = _log_of(feed, levels, every_ns=2**62)  # the newest state is all that is shown
    shown, looked_s = _state(feed, log, {}, 0.0), time.monotonic()
    with stopping() as stop, _screen(is_on=not as_json) as screen, contextlib.closing(feed.batches()) as stream:
        for _ in stream:
            log.take()
            now = time.monotonic()
            if now - looked_s >= _LOOK_S:
                shown, looked_s = _state(feed, log, shown["symbols"], now - looked_s), now
                if screen is not None:
                    screen.update(_view(shown))
            if stop.is_set():
                break
        shown = _state(feed, log, shown["symbols"], max(time.monotonic() - looked_s, _LOOK_S))
    if as_json:
        print_json(shown)
    else:
        out.print(_view(shown))


def record_book(
    feed: LiveFeed,
    folder: Path | None,
    sinks: Sequence[str] | None,
    levels: int,
    every_ms: float,
    *,
    as_json: bool,
) -> None:
    """Write the best levels of the books of a feed until it ends or is stopped.

    Raises
    ------
    SettingsError
        If no folder is given, or another place.
    OperationError
        If rows were dropped because writing was too slow.
    """
    from trader.data.live.depth_recorder import DepthRecorder

    if folder is None or sinks:
        raise SettingsError("--kind book is written as Parquet to --out FOLDER; --sink takes trades and quotes")
    log = _log_of(feed, levels, every_ns=round(every_ms * 1e6))
    recorder = DepthRecorder(folder, feed.info.universe, file_rows=min(_FILE_ROWS, _capacity(levels)))
    try:
        with stopping() as stop, contextlib.closing(feed.batches()) as stream:
            for _ in stream:
                recorder.add(log.take())
                if stop.is_set():
                    break
    finally:
        recorder.add(log.take())
        recorder.flush()
    troubles = feed.status().troubles
    for trouble in feed.troubles():
        err.print(f"{trouble.kind} {trouble.symbol}: {trouble.detail}", highlight=False, markup=False)
    found: dict[str, Any] = {"rows": recorder.rows, "files": recorder.files, "dropped_rows": log.dropped}
    found |= {"left_out": dict(feed.rejected()), "troubles": dict(troubles)}
    if as_json:
        print_json(found)
    else:
        left_out = ", ".join(f"{reason} {count}" for reason, count in feed.rejected().items()) or "none"
        err.print(f"{recorder.rows} rows in {recorder.files} files in {folder}; left out: {left_out}", highlight=False)
    if log.dropped:
        raise OperationError(f"{log.dropped} rows were not written: writing to {folder} is too slow")


def _decoder_of(feed: LiveFeed) -> BinanceBookDecoder:
    from trader.data.live.binance_book import BinanceBookDecoder

    decoder = feed.sources[0].decoder
    assert isinstance(decoder, BinanceBookDecoder)  # noqa: S101 - the only source that has books
    return decoder


def _log_of(feed: LiveFeed, levels: int, every_ns: int) -> DepthLog:
    from trader.data.live.depth_log import DepthLog

    log = DepthLog(levels, every_ns, capacity=_capacity(levels))
    _decoder_of(feed).keep_depth(log)
    return log


def _capacity(levels: int) -> int:
    """Return how many rows are held at most: 64 MB of them."""
    return _ROWS_BYTES // (32 * levels)


def _state(feed: LiveFeed, log: DepthLog, before: dict[str, Any], passed_s: float) -> dict[str, Any]:
    """Return the books and how they fare; `updates_per_s` is that since `before`."""
    from trader.data.live.depth_recorder import depth_features

    symbols: dict[str, Any] = {}
    for symbol_id, (symbol, state) in enumerate(_decoder_of(feed).states().items()):
        newest = log.newest(symbol_id)
        rate = (state.updates - before.get(symbol, {}).get("updates", 0)) / passed_s if passed_s else 0.0
        symbols[symbol] = {
            "in_step": newest is not None,
            "last_update": state.last,
            "updates": state.updates,
            "updates_per_s": round(rate, 1),
            "diffs": state.diffs,
            "gaps": state.gaps,
            "snapshots": state.snapshots,
        }
        if newest is not None:
            event_ns, depth = newest
            symbols[symbol] |= {
                "ts_event_ns": event_ns,
                "bids": _levels(depth.bid, depth.bid_size),
                "asks": _levels(depth.ask, depth.ask_size),
                "features": {name: float(value) for name, value in depth_features(depth).items()},
            }
    status = feed.status()
    return {"symbols": symbols, "left_out": dict(feed.rejected()), "troubles": dict(status.troubles)}


def _levels(prices: Any, sizes: Any) -> list[list[float]]:
    rows = zip(prices.tolist(), sizes.tolist(), strict=True)
    return [[price, size] for price, size in rows if not math.isnan(price)]


def _screen(*, is_on: bool) -> contextlib.AbstractContextManager[Live | None]:
    return Live(console=out, transient=True) if is_on else contextlib.nullcontext()


def _view(shown: dict[str, Any]) -> Group:
    """Return the ladders, and a line each about the book and the features."""
    parts: list[Any] = []
    for symbol, state in shown["symbols"].items():
        counts = f"{state['updates_per_s']:,.0f} updates/s, {state['gaps']} gaps, {state['snapshots']} snapshots"
        if not state["in_step"]:
            parts.append(f"{symbol}: waits for a snapshot; {counts}")
            continue
        table = Table("bid size", "bid", "ask", "ask size", title=f"{symbol}: {counts}")
        empty = [math.nan, math.nan]
        for place in range(max(len(state["bids"]), len(state["asks"]))):
            bid, ask = ((state[side][place : place + 1] or [empty])[0] for side in ("bids", "asks"))
            table.add_row(*("" if math.isnan(x) else f"{x:.10g}" for x in (bid[1], bid[0], ask[0], ask[1])))
        parts += [table, ", ".join(f"{name} {value:.6g}" for name, value in state["features"].items())]
    for name in ("left_out", "troubles"):
        counts = ", ".join(f"{reason} {count}" for reason, count in shown[name].items())
        parts.append(f"{name.replace('_', ' ')}: {counts or 'none'}")
    return Group(*parts)
