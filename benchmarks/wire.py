"""A vendor's side of a WebSocket that costs next to nothing: frames are made before, and only sent when asked for.

`python -m benchmarks.wire MESSAGES SYMBOLS RATE PROTOCOL` prints its port and serves one client after the other; a rate
of 0 is as fast as the client takes them. Alpaca's clients get arrays of ten trades, in JSON or, where they ask
for it as alpaca-py does, in msgpack.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["BEGIN_MS", "messages_of", "symbols_of", "wire"]

BEGIN_MS = 1_700_000_000_000
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_BURST = 100
_TOGETHER = 10


def symbols_of(n_symbols: int) -> tuple[str, ...]:
    """Return names in Binance's form.

    >>> symbols_of(2)
    ('S00USDT', 'S01USDT')
    """
    return tuple(f"S{place:02d}USDT" for place in range(n_symbols))


def messages_of(n_messages: int, n_symbols: int) -> Iterator[bytes]:
    """Yield trades of a combined stream as Binance forms them, 100 a millisecond, numbered by symbol."""
    symbols = symbols_of(n_symbols)
    for place in range(n_messages):
        symbol, ms = symbols[place % n_symbols], BEGIN_MS + place // 100
        data = {
            "e": "trade",
            "E": ms + 1,
            "s": symbol,
            "t": 1 + place // n_symbols,
            "p": f"{100 + place % 7 / 100:.8f}",
        }
        data |= {"q": f"{1 + place % 3:.8f}", "T": ms, "m": place % 2 == 0, "M": True}
        text = json.dumps({"stream": f"{symbol.lower()}@trade", "data": data}, separators=(",", ":"))
        yield text.encode()


def alpaca_of(n_messages: int, n_symbols: int, *, is_packed: bool) -> Iterator[bytes]:
    """Yield arrays of ten trades as Alpaca forms them."""
    import msgpack

    for place in range(0, n_messages, _TOGETHER):
        trades = []
        for number in range(place, place + _TOGETHER):
            ns = 1_000_000 * BEGIN_MS + number * 10_000
            stamp = dt.datetime.fromtimestamp(ns // 10**9, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S")
            text = f"{stamp}.{ns % 10**9:09d}Z"
            trade = {
                "T": "t",
                "i": 1 + number,
                "S": f"S{number % n_symbols:02d}",
                "x": "V",
                "p": 100 + number % 7 / 100,
            }
            trade |= {"s": 1 + number % 3, "c": ["@"], "z": "C"}
            trades.append(trade | {"t": msgpack.Timestamp(*divmod(ns, 10**9)) if is_packed else text})
        yield msgpack.packb(trades) if is_packed else json.dumps(trades, separators=(",", ":")).encode()


@contextmanager
def wire(n_messages: int, n_symbols: int, rate: int = 0, protocol: str = "binance") -> Iterator[str]:
    """Run the server in a process of its own; give its address."""
    numbers = [str(number) for number in (n_messages, n_symbols, rate)]
    command = [sys.executable, "-m", "benchmarks.wire", *numbers, protocol]
    root = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def _frame(payload: bytes, *, is_packed: bool = False) -> bytes:
    kind = 0x82 if is_packed else 0x81
    if len(payload) < 126:
        return struct.pack("!BB", kind, len(payload)) + payload
    return struct.pack("!BBH", kind, 126, len(payload)) + payload


def _accept(client: socket.socket) -> str | None:
    """Return the format that a client asked for; None where it wanted no WebSocket, and has its answer."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.recv(4096)
    lines = [line.partition(b":") for line in request.split(b"\r\n")]
    key = next((value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key"), None)
    if key is None:
        client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return None
    answer = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 - as RFC 6455 has it
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    client.sendall(head + b"Sec-WebSocket-Accept: " + answer + b"\r\n\r\n")
    return "msgpack" if b"application/msgpack" in request.lower() else "json"


def _greet(client: socket.socket, n_symbols: int, *, is_packed: bool) -> None:
    """Go through Alpaca's dialogue, whatever the client says in it."""
    import msgpack

    said: list[dict[str, object]] = [{"T": "success", "msg": "connected"}, {"T": "success", "msg": "authenticated"}]
    said.append({"T": "subscription", "trades": [f"S{place:02d}" for place in range(n_symbols)], "quotes": []})
    for message in said:
        packed = msgpack.packb([message]) if is_packed else json.dumps([message]).encode()
        client.sendall(_frame(packed, is_packed=is_packed))
        if message is not said[-1]:
            client.recv(65536)


def _send(client: socket.socket, bursts: Sequence[bytes], rate: int) -> None:
    began = time.perf_counter()
    for number, burst in enumerate(bursts):
        if rate:
            wait_s = began + number * _BURST / rate - time.perf_counter()
            if wait_s > 0:
                time.sleep(wait_s)
        client.sendall(burst)


def main() -> None:
    """Serve."""
    n_messages, n_symbols, rate = map(int, sys.argv[1:4])
    protocol = sys.argv[4]
    if protocol == "alpaca":
        frames = {
            name: [_frame(each, is_packed=packed) for each in alpaca_of(n_messages, n_symbols, is_packed=packed)]
            for name, packed in (("json", False), ("msgpack", True))
        }
    else:
        frames = {"json": [_frame(message) for message in messages_of(n_messages, n_symbols)]}
    bursts = {
        name: [b"".join(each[place : place + _BURST]) for place in range(0, len(each), _BURST)]
        for name, each in frames.items()
    }
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            client, _ = server.accept()
            with client, suppress(ConnectionError):
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if (form := _accept(client)) is None:
                    continue
                if protocol == "alpaca":
                    _greet(client, n_symbols, is_packed=form == "msgpack")
                _send(client, bursts[form if form in bursts else "json"], rate)
                while client.recv(4096):  # until the client leaves
                    pass


if __name__ == "__main__":
    main()
