"""Small captures made by code, and the reference server in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from trader.data.live.reference.faults import parse_fault
from trader.data.live.reference.server import ReplayServer

BEGIN_MS = 1_700_000_000_000


def trade(number: int, ms: int, price: float = 100.0, symbol: str = "BTCUSDT", **fields: Any) -> bytes:
    """A trade as Binance sends it in a combined stream."""
    data = {"e": "trade", "E": ms, "s": symbol, "t": number, "p": f"{price:.2f}", "q": "0.5", "T": ms, "m": False}
    return msgspec.json.encode({"stream": f"{symbol.lower()}@trade", "data": data | fields})


def quote(number: int, ms: int, bid: float = 99.0, symbol: str = "BTCUSDT") -> bytes:
    """Best bid and offer of the futures market."""
    prices = {"b": f"{bid:.2f}", "B": "1.0", "a": f"{bid + 1:.2f}", "A": "2.0"}
    data = {"e": "bookTicker", "u": number, "s": symbol, **prices, "T": ms, "E": ms}
    return msgspec.json.encode({"stream": f"{symbol.lower()}@bookTicker", "data": data})


def write_capture(path: Path, n_trades: int, step_ms: int = 5, symbols: tuple[str, ...] = ("BTCUSDT",)) -> Path:
    """A capture of trades numbered from 1 by symbol, `step_ms` apart, received 2 ms after they happened."""
    lines = []
    for place in range(n_trades):
        ms = BEGIN_MS + place * step_ms
        symbol = symbols[place % len(symbols)]
        number = 1 + place // len(symbols)
        lines.append(b"%d " % ((ms + 2) * 1_000_000) + trade(number, ms, 100 + place % 7, symbol))
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@contextlib.contextmanager
def serving(capture: Path, *faults: str, **options: Any) -> Iterator[ReplayServer]:
    """The reference server, replaying."""
    ready, made, loop = threading.Event(), [], asyncio.new_event_loop()

    async def work() -> None:
        server = ReplayServer(capture, faults=[parse_fault(text) for text in faults], **options)
        await server.start()
        made.append(server)
        ready.set()
        await server.run()

    task = loop.create_task(work())

    def run() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(60)
        yield made[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(60)
