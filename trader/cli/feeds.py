"""`trader feeds`: try, record and replay live market data."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from rich.table import Table

from trader.cli.common import ConfigOption, JsonOption, SetOption, err, out, print_json
from trader.cli.feeds_book import EveryOption, LevelsOption, book, record_book
from trader.cli.feeds_open import (
    KindOption,
    MarketOption,
    SymbolsOption,
    UrlOption,
    VendorArgument,
    VenueOption,
    open_vendor,
    stopping,
)
from trader.cli.feeds_sinks import Recording, SinkOption, tail
from trader.core.errors import SettingsError

if TYPE_CHECKING:
    from trader.data.live.feed import LiveFeed

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Try, record and replay live market data.")
app.command()(tail)
app.command()(book)

_SHOWN = 10


@app.command()
def check(
    vendor: VendorArgument,
    symbols: SymbolsOption = None,
    kind: KindOption = "trades",
    market: MarketOption = "spot",
    venue: VenueOption = None,
    url: UrlOption = None,
    seconds: Annotated[float, typer.Option("--seconds", help="Longest time to listen.")] = 10.0,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Connect, show ten ticks, their delay and the distance of the clocks; or say what is wrong.

    Example: trader feeds check binance --symbols BTCUSDT,ETHUSDT
    """
    import numpy as np

    _, feed = open_vendor(vendor, symbols, kind, market, venue, url, seconds, config, assignments)
    clock, why = _clock_of(feed)
    rows: list[dict[str, Any]] = []
    stream = feed.batches()
    with contextlib.closing(stream):
        for batch in stream:
            rows += [_row(feed, batch.data, place) for place in range(len(batch.data))]
            if len(rows) >= _SHOWN:
                break
    delays = [row["delay_ms"] for row in rows[:_SHOWN]]
    status = feed.status()
    found = {
        "url": feed.sources[0].url,
        "ticks": rows[:_SHOWN],
        "median_delay_ms": round(float(np.median(delays)), 1) if delays else None,
        "clock_offset_ms": None if clock is None else clock.offset_ms,
        "clock_round_trip_ms": None if clock is None else clock.round_trip_ms,
        "clock_ahead_ms": status.clock_ahead_ms,
        "left_out": dict(feed.rejected()),
        "troubles": dict(status.troubles),
    }
    if as_json:
        print_json(found)
        return
    table = Table("symbol", "event (UTC)", "delay ms", "price" if kind == "trades" else "bid / ask")
    for row in rows[:_SHOWN]:
        table.add_row(row["symbol"], row["event"], f"{row['delay_ms']:.1f}", row["price"])
    out.print(table)
    offset = f"unknown ({why})" if clock is None else f"{clock.offset_ms:+.1f} ms (± {clock.round_trip_ms / 2:.1f})"
    out.print(f"{found['url']}: median delay {found['median_delay_ms']} ms, their clock {offset}", highlight=False)
    for name in ("left_out", "troubles"):
        counts = ", ".join(f"{reason} {count}" for reason, count in cast("dict[str, int]", found[name]).items())
        out.print(f"{name.replace('_', ' ')}: {counts or 'none'}", highlight=False)


@app.command()
def record(
    vendor: VendorArgument,
    target: Annotated[Path | None, typer.Option("--out", help="Folder; a recording there goes on.")] = None,
    sink: SinkOption = None,
    symbols: SymbolsOption = None,
    kind: KindOption = "trades",
    market: MarketOption = "spot",
    venue: VenueOption = None,
    url: UrlOption = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="How long; the default is until Ctrl-C.")] = None,
    levels: LevelsOption = 10,
    every_ms: EveryOption = 0.0,
    config: ConfigOption = None,
    assignments: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write ticks as Parquet by day and symbol, which `trader run --data FOLDER` replays, or to Redis or Kafka.

    With `--kind book`, write the best levels of the order book and what they say, as Parquet.

    Example: trader feeds record binance --symbols BTCUSDT --out ticks --seconds 3600
    """
    settings, feed = open_vendor(vendor, symbols, kind, market, venue, url, seconds, config, assignments)
    if feed.sources[0].snapshots is not None:
        record_book(feed, target, sink, levels, every_ms, as_json=as_json)
        return
    recording = Recording(target, sink or (), feed.info, settings.sinks)
    try:
        with stopping() as stop:
            stream = feed.batches()
            with contextlib.closing(stream):
                for batch in stream:
                    recording.put(batch.data)
                    recording.tell(feed.troubles())
                    if stop.is_set():
                        break
    finally:
        recording.close(settings.sinks.close_s)
    status = feed.status()
    recording.tell(feed.troubles())
    found = recording.found() | {"dropped_rows": status.dropped_rows}
    found |= {"left_out": dict(feed.rejected()), "troubles": dict(status.troubles)}
    if as_json:
        print_json(found)
    else:
        left_out = ", ".join(f"{reason} {count}" for reason, count in feed.rejected().items()) or "none"
        for name, place in found["sinks"].items():
            files = f" in {found['files']} files" if name.startswith("parquet") else ""
            err.print(f"{place['written']} rows{files} in {name}; left out: {left_out}", highlight=False)
    recording.raise_if_dropped()


@app.command("serve-replay")
def serve_replay(
    capture: Annotated[Path, typer.Argument(help="Lines `nanoseconds {json}`, gzip or plain.")],
    protocol: Annotated[str, typer.Option("--protocol", help="Whose: binance, alpaca or massive.")] = "binance",
    speed: Annotated[float, typer.Option("--speed", help="Times the capture's own; 0 is full speed.")] = 1.0,
    host: Annotated[str, typer.Option("--host")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.")] = 0,
    stamps: Annotated[str, typer.Option("--stamps", help="now or recorded: the times that messages carry.")] = "now",
    start_at: Annotated[
        float | None,
        typer.Option("--start-at", help="Begin then, in seconds since 1970, not with the first subscription."),
    ] = None,
    misbehave: Annotated[
        list[str] | None,
        typer.Option(
            "--misbehave",
            metavar="KIND[:VALUE][xTIMES][@AFTER]",
            help="mute, close:CODE, garbage:N, skip:N, duplicate:N, reorder:N, skew:SECONDS, throttle:PER_SECOND, "
            "refuse:CODExTIMES, autherrorxTIMES, nosnapshotxTIMES, nohistory:STATUSxTIMES.",
        ),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="The key to accept; the default accepts any.")] = None,
    secret: Annotated[str | None, typer.Option("--secret", help="The secret that belongs to it.")] = None,
) -> None:
    """Replay a capture over a local WebSocket as the vendor would, from the first subscription on, until Ctrl-C.

    Example: trader feeds serve-replay capture.gz --speed 10 --misbehave close:1006@5000
    """
    from trader.data.live.capture import read_capture
    from trader.data.live.reference.faults import parse_fault
    from trader.data.live.reference.protocol import Keys
    from trader.data.live.reference.server import ReplayServer

    if stamps not in ("now", "recorded"):
        raise SettingsError(f"--stamps {stamps!r}; now and recorded are allowed")
    if speed < 0:
        raise SettingsError(f"--speed {speed}; 0 (full speed) or more is allowed")
    faults = [parse_fault(text) for text in misbehave or ()]
    next(read_capture(capture), None)  # what cannot be read is told before anybody connects

    async def serve() -> None:
        server = ReplayServer(
            capture,
            protocol=protocol,
            keys=Keys(key, secret),
            host=host,
            port=port,
            speed=speed,
            stamps=cast("Literal['now', 'recorded']", stamps),
            start_at=start_at,
            faults=faults,
        )
        await server.start()
        out.print(server.url, highlight=False)
        work = asyncio.create_task(server.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work
        err.print(f"{server.sent} messages to {server.connections} connections", highlight=False)

    asyncio.run(serve())


def _clock_of(feed: LiveFeed) -> tuple[Any, str]:
    """Return the distance of the vendor's clock; None and the reason where it cannot be asked."""
    import httpx

    from trader.data.live.clock import measure_offset

    address = feed.sources[0].time_url
    if address is None:
        return None, f"{feed.sources[0].name} does not tell its time"
    try:
        with httpx.Client(timeout=5.0) as client:
            return measure_offset(lambda: float(client.get(address).raise_for_status().json()["serverTime"])), ""
    except (httpx.HTTPError, KeyError, ValueError) as error:
        return None, " ".join(str(error).split()) or type(error).__name__


def _row(feed: LiveFeed, data: Any, place: int) -> dict[str, Any]:
    import numpy as np

    event_ns = int(data.ts_event_ns[place])
    is_trade = feed.info.kind == "trades"
    return {
        "symbol": feed.info.universe.symbols[int(data.symbol_id[place])],
        "event": str(np.datetime64(event_ns, "ns").astype("datetime64[ms]")),
        "delay_ms": (int(data.ts_recv_ns[place]) - event_ns) / 1e6,
        "price": f"{data.price[place]:g}" if is_trade else f"{data.bid[place]:g} / {data.ask[place]:g}",
    }
