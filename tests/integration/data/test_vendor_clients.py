"""The vendors' own clients parse what the reference server sends, so that it is not only our idea of the protocols."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.live import BEGIN_MS, serving
from tests.support.live_vendors import VENDORS
from trader.data.live.capture import read_capture
from trader.data.live.reference.protocol import Keys

N = 80
"""Ticks of a capture; python-binance forgets what it has not passed on beyond 100."""
pytestmark = [
    # The clients' own: an old WebSocket interface, old names of asyncio and pydantic.
    pytest.mark.filterwarnings("ignore:.*websockets.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:(alpaca|binance|massive|dateparser|websockets).*"),
]


def _capture(path: Path, vendor: str, kind: str) -> list[dict[str, Any]]:
    """The messages of a capture, as JSON has them."""
    told: dict[str, list[Any]] = {"alpaca": [["@"], ["@", "F", "I"], [" ", "T"]], "massive": [[37], [12, 14, 41], [0]]}
    conditions = told.get(vendor) if kind == "trades" else None
    VENDORS[vendor].write(
        path, kind, N, 3, fields=lambda place: {"c": conditions[place % 3]} if conditions is not None else {}
    )
    return [msgspec.json.decode(message.payload) for message in read_capture(path)]


def _ms(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.UTC).timestamp() * 1e3


@pytest.mark.parametrize("kind", ["trades", "quotes"])
def test_alpaca_py(kind: str, tmp_path: Path) -> None:
    """By msgpack, with key and secret, a fragmented subscription, and REST in pages."""
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.live import StockDataStream
    from alpaca.data.requests import StockQuotesRequest, StockTradesRequest

    expected = _capture(tmp_path / "c", "alpaca", kind)
    got: list[Any] = []
    options: dict[str, Any] = {"protocol": "alpaca", "speed": 0.0, "stamps": "recorded", "keys": Keys("k", "s")}
    with serving(tmp_path / "c", **options) as server:
        stream = StockDataStream("k", "s", url_override=f"{server.url}/v2/sip")

        async def take(tick: Any) -> None:
            got.append(tick)
            if len(got) == N:
                await stream.stop_ws()

        (stream.subscribe_trades if kind == "trades" else stream.subscribe_quotes)(take, "AAPL")
        thread = threading.Thread(target=stream.run)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        rest = StockHistoricalDataClient("k", "s", url_override=server.url.replace("ws", "http", 1))
        begin = dt.datetime.fromtimestamp(BEGIN_MS / 1e3, dt.UTC)
        past = (
            rest.get_stock_trades(StockTradesRequest(symbol_or_symbols="AAPL", start=begin)).data["AAPL"]
            if kind == "trades"
            else rest.get_stock_quotes(StockQuotesRequest(symbol_or_symbols="AAPL", start=begin)).data["AAPL"]
        )
    names = (
        {"price": "p", "size": "s", "id": "i", "tape": "z", "conditions": "c"}
        if kind == "trades"
        else {"bid_price": "bp", "ask_price": "ap", "bid_size": "bs", "ask_size": "as"}
    )
    for ticks in (got, past):
        assert [[getattr(tick, name) for name in names] for tick in ticks] == [
            [message[name] for name in names.values()] for message in expected
        ]
        assert [_ms(tick.timestamp) for tick in ticks] == pytest.approx([BEGIN_MS + 3 * n for n in range(N)], abs=1e-3)


def test_alpaca_py_is_told_of_a_wrong_key(tmp_path: Path) -> None:
    """It reads the error as one."""
    from alpaca.data.live import StockDataStream

    _capture(tmp_path / "c", "alpaca", "trades")
    with serving(tmp_path / "c", protocol="alpaca", keys=Keys("k", "s")) as server:
        stream = StockDataStream("k", "wrong", url_override=f"{server.url}/v2/iex")
        with pytest.raises(ValueError, match="auth failed"):
            asyncio.run(stream._start_ws())


@pytest.mark.parametrize("kind", ["trades", "quotes"])
async def test_massive(kind: str, tmp_path: Path) -> None:
    """With a key, a subscription, and REST in pages."""
    from massive import RESTClient, WebSocketClient
    from massive.exceptions import AuthError

    expected = _capture(tmp_path / "c", "massive", kind)
    got: list[Any] = []
    options: dict[str, Any] = {"protocol": "massive", "speed": 0.0, "stamps": "recorded", "keys": Keys("k")}
    with serving(tmp_path / "c", **options) as server:
        place = server.url.removeprefix("ws://")
        wrong = WebSocketClient("wrong", feed=place, secure=False, subscriptions=["T.AAPL"])
        with pytest.raises(AuthError, match="authentication failed"):
            await wrong.connect(lambda ticks: asyncio.sleep(0))
        topic = {"trades": "T.AAPL", "quotes": "Q.AAPL"}[kind]
        client = WebSocketClient("k", feed=place, secure=False, subscriptions=[topic])
        all_came = asyncio.Event()

        async def take(ticks: list[Any]) -> None:
            got.extend(ticks)
            if len(got) == N:
                all_came.set()

        work = asyncio.create_task(client.connect(take))
        await asyncio.wait_for(all_came.wait(), 60)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await client.close()
        rest = RESTClient("k", base=server.url.replace("ws", "http", 1))
        lister = rest.list_trades if kind == "trades" else rest.list_quotes
        past = await asyncio.to_thread(
            lambda: list(lister("AAPL", timestamp_gte=BEGIN_MS * 1_000_000, order="asc", limit=30))
        )
    assert [tick.sequence_number for tick in got] == [message["q"] for message in expected]
    assert [tick.timestamp for tick in got] == [message["t"] for message in expected]
    assert [tick.sequence_number for tick in past] == [message["q"] for message in expected]
    assert [tick.sip_timestamp for tick in past] == [message["t"] * 1_000_000 for message in expected]
    names = (
        {"price": "p", "size": "s", "conditions": "c"}
        if kind == "trades"
        else {"bid_price": "bp", "ask_price": "ap", "bid_size": "bs"}
    )
    for ticks in (got, past):
        assert [[getattr(tick, name) for name in names] for tick in ticks] == [
            [message[name] for name in names.values()] for message in expected
        ]


@pytest.mark.parametrize("kind", ["trades", "quotes"])
async def test_python_binance(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A combined stream and a bare one, and trades over REST."""
    from binance import AsyncClient, BinanceSocketManager
    from binance.ws.reconnecting_websocket import ReconnectingWebsocket

    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.2)  # it waits so long for a message when it is closed

    expected = _capture(tmp_path / "c", "binance", kind)
    with serving(tmp_path / "c", speed=0.1, stamps="recorded") as server:
        client = AsyncClient()
        try:
            manager = BinanceSocketManager(client)
            manager.STREAM_URL = f"{server.url}/"
            name = expected[0]["stream"]
            bare = manager.trade_socket("BTCUSDT") if kind == "trades" else manager.symbol_book_ticker_socket("BTCUSDT")
            async with manager.multiplex_socket([name]) as wrapped, bare as alone:
                got = [await asyncio.wait_for(wrapped.recv(), 60) for _ in range(N)]
                newest = [await asyncio.wait_for(alone.recv(), 60) for _ in range(5)]
            assert got == expected
            assert all(message in [wrapped["data"] for wrapped in expected] for message in newest)
            if kind == "trades":
                client.API_URL = server.url.replace("ws", "http", 1) + "/api"
                past = await client.get_historical_trades(symbol="BTCUSDT", fromId=1, limit=N)
                assert [(trade["id"], trade["price"]) for trade in past] == [
                    (message["data"]["t"], message["data"]["p"]) for message in expected
                ]
        finally:
            await client.close_connection()
