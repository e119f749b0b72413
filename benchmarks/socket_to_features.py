"""Ticks from a WebSocket into features, ours beside the vendor's own client, which only parses."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
import warnings
from typing import Any

import numpy as np

from benchmarks.options import Options
from benchmarks.results import Result, Target
from benchmarks.sampling import Contender, ContenderError, Role, Sample, alternate
from benchmarks.wire import messages_of, symbols_of, wire
from trader.core.protocols import FeedBatch
from trader.data.feeds import open_feed
from trader.data.live.feed import LiveFeed
from trader.engine.shard import build_shard
from trader.settings import BarSettings, FeedSettings, LiveSettings, Settings

__all__ = ["run"]

_MESSAGES = 200_000
_SYMBOLS = 64


def run(options: Options) -> Result:
    """Measure messages a second of processor time, from a local socket."""
    n_messages = options.scaled(_MESSAGES)
    options.say("making messages")
    n_peer = n_messages // 10
    with (
        wire(n_messages, _SYMBOLS) as url,
        wire(n_messages, _SYMBOLS, protocol="alpaca") as alpaca,
        wire(n_peer, _SYMBOLS) as url_of_peer,
    ):
        asked: list[tuple[str, Role, Any, str]] = [
            ("ours", "ours", functools.partial(_ours, url, n_messages, True), "to one-second bars and all features"),
            ("ours, batches only", "variant", functools.partial(_ours, url, n_messages, False), "validated columns"),
            (
                "python-binance",
                "peer",
                functools.partial(_binance, url_of_peer, n_peer),
                "to a dict a message, no more",
            ),
            (
                "ours, Alpaca",
                "variant",
                functools.partial(_ours, alpaca, n_messages, True, "alpaca"),
                "JSON arrays of ten trades, to features",
            ),
            (
                "alpaca-py",
                "peer",
                functools.partial(_alpaca_py, alpaca, n_messages),
                "msgpack arrays of ten trades, to a dict a trade (raw_data), and its handler called",
            ),
            ("websockets + json", "variant", functools.partial(_plain, url, n_messages), "json.loads, nothing kept"),
        ]
        contenders = [
            Contender(name, role, n_peer if name == "python-binance" else n_messages, repeat, note=note)
            for name, role, repeat, note in asked
        ]
        outcomes = alternate(contenders, on_round=lambda number: options.say(f"round {number}"))
    ours, batches, peer, ours_alpaca, peer_alpaca = outcomes[:5]
    size = len(next(messages_of(1, 1)))
    return Result(
        "socket_to_features",
        f"Binance trades of {size} bytes from a local WebSocket, {_SYMBOLS} symbols",
        "messages",
        {"messages": n_messages, "symbols": _SYMBOLS, "bytes": size},
        outcomes,
        [
            Target("messages to features a second of processor time", "1/s", ours.cpu_rate, ">=", 300_000),
            Target("times python-binance, by processor time", "x", ours.cpu_rate / peer.cpu_rate, ">=", 3.0),
            Target("times alpaca-py, likewise", "x", ours_alpaca.cpu_rate / peer_alpaca.cpu_rate, ">=", 3.0),
        ],
        {"messages to batches a second of processor time": batches.cpu_rate},
    )


def _feed(url: str, vendor: str) -> LiveFeed:
    os.environ |= {"ALPACA_API_KEY": "k", "ALPACA_SECRET_KEY": "s"}
    live = LiveSettings(url=url, backfill=False, batch_ms=5.0)
    symbols = tuple(name if vendor == "binance" else name.removesuffix("USDT") for name in symbols_of(_SYMBOLS))
    feed = open_feed(FeedSettings(kind=vendor, symbols=symbols, live=live, buffer_batches=100_000), seed=0)
    assert isinstance(feed, LiveFeed)  # noqa: S101 - vendors are live
    return feed


def _ours(url: str, n_messages: int, to_features: bool, vendor: str = "binance") -> Sample:
    feed = _feed(url, vendor)
    settings = Settings(bars=BarSettings(kind="time", size=1.0))
    shard = build_shard(feed.info, np.arange(_SYMBOLS, dtype=np.int32), settings)
    rows = n_bars = 0
    wall, cpu = time.perf_counter(), time.process_time()
    with contextlib.closing(feed.batches()) as batches:
        for batch in batches:
            rows += len(batch.data)
            if to_features:
                n_bars += shard.process(FeedBatch(batch.seq, batch.watermark_ns, batch.data)).n_bars
            if rows >= n_messages:
                break
    sample = Sample(time.perf_counter() - wall, time.process_time() - cpu, {"rows": rows, "bars": n_bars})
    if rows != n_messages or feed.rejected():
        raise ContenderError(f"{rows} of {n_messages} rows, {feed.rejected()}")
    return sample


def _binance(url: str, n_messages: int) -> Sample:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from binance import AsyncClient, BinanceSocketManager

    async def read() -> Sample:
        client = AsyncClient()
        manager = BinanceSocketManager(client, max_queue_size=n_messages + 1)
        manager.STREAM_URL = f"{url}/"
        streams = [f"{symbol.lower()}@trade" for symbol in symbols_of(_SYMBOLS)]
        wall, cpu = time.perf_counter(), time.process_time()
        async with manager.multiplex_socket(streams) as stream:
            for _ in range(n_messages):
                message = await stream.recv()
                if "data" not in message:
                    raise ContenderError(f"python-binance gave {message}")
        sample = Sample(time.perf_counter() - wall, time.process_time() - cpu)
        await client.close_connection()
        return sample

    return asyncio.run(read())


def _alpaca_py(url: str, n_messages: int) -> Sample:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from alpaca.data.live import StockDataStream

        stream = StockDataStream("k", "s", raw_data=True, url_override=f"{url}/v2/sip")
    seen, done = 0, (0.0, 0.0)

    async def take(_trade: Any) -> None:
        nonlocal seen, done
        seen += 1
        if seen == n_messages:
            done = time.perf_counter(), time.process_time()
            await stream.stop_ws()

    stream.subscribe_trades(take, *(name.removesuffix("USDT") for name in symbols_of(_SYMBOLS)))
    wall, cpu = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        stream.run()
    if seen != n_messages:
        raise ContenderError(f"alpaca-py gave {seen} of {n_messages} trades")
    return Sample(done[0] - wall, done[1] - cpu)


def _plain(url: str, n_messages: int) -> Sample:
    import json

    import websockets

    async def read() -> Sample:
        wall, cpu = time.perf_counter(), time.process_time()
        async with websockets.connect(f"{url}/stream", compression=None, max_queue=None, open_timeout=60) as stream:
            for _ in range(n_messages):
                json.loads(await stream.recv())
            return Sample(time.perf_counter() - wall, time.process_time() - cpu)

    return asyncio.run(read())
