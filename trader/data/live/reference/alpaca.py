"""Alpaca's side of the wire: streams of stocks, and trades and quotes over REST.

Shapes of messages, codes and texts of errors follow the vendor's documentation, and are parsed by its own client in the
tests. From documentation alone come: that a connection is closed after 402, 404, 406 and 409, and with which code; the
limit of 30 symbols on `/v2/iex`; and what REST says to a wrong key.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from trader.data.live.capture import CapturedMessage
from trader.data.live.reference.past import PastMessage
from trader.data.live.reference.protocol import AUTH_REFUSED, KeyedSession, Keys, RestAnswer, RestKind, WireProtocol
from trader.data.live.stamps import StampReader, stamp_text

__all__ = ["AlpacaProtocol", "AlpacaSession"]

_STAMP = re.compile(rb'"t":"([^"]+)"')
_STREAM = re.compile(r"/v2/(iex|sip|test)")
_ROUTE = re.compile(r"/v2/stocks/(trades|quotes)")
_CHANNELS = {
    "trades": "t",
    "quotes": "q",
    "bars": "b",
    "updatedBars": "u",
    "dailyBars": "d",
    "statuses": "s",
    "lulds": "l",
}
_WITH_TRADES = ("x", "c")
"""Cancellations and corrections come to those who asked for trades."""
_ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    500: "internal error",
}
_ENDING = frozenset({402, 404, 406, 409})
_IEX_SYMBOLS = 30
_PAGE, _MOST = 1000, 10_000
_SECOND_NS = 1_000_000_000


class _Head(msgspec.Struct):
    T: str = ""
    S: str = ""


class _Command(msgspec.Struct):
    action: str
    key: str = ""
    secret: str = ""
    trades: list[str] = []
    quotes: list[str] = []
    bars: list[str] = []
    updatedBars: list[str] = []  # noqa: N815 - Alpaca's name
    dailyBars: list[str] = []  # noqa: N815
    statuses: list[str] = []
    lulds: list[str] = []


class AlpacaSession(KeyedSession):
    """One client; JSON, or msgpack where its handshake says so.

    Parameters
    ----------
    protocol : AlpacaProtocol
    is_binary : bool
        Whether it speaks msgpack.
    venue : {"iex", "sip", "test"}
    refusal : int, optional
        The error that its key is answered with.
    """

    def __init__(self, protocol: AlpacaProtocol, is_binary: bool, venue: str, refusal: int | None) -> None:
        super().__init__()
        self.is_binary = is_binary
        self._protocol = protocol
        self._venue = venue
        self._refusal = refusal
        self._symbols: dict[str, dict[str, None]] = {channel: {} for channel in _CHANNELS}

    def greeting(self) -> list[bytes]:
        """Return the frame that the vendor begins with."""
        return [self._frame([{"T": "success", "msg": "connected"}])]

    def too_late(self) -> list[bytes]:
        """Return the frame for a client that has not shown its key in time, and close."""
        return [self._error(404)]

    def answer(self, message: str | bytes) -> list[bytes]:
        """Carry out a command and return the answer."""
        decode = msgspec.msgpack.decode if self.is_binary else msgspec.json.decode
        try:
            command = decode(message.encode() if isinstance(message, str) else message, type=_Command)
        except msgspec.DecodeError:
            return [self._error(400)]
        if command.action == "auth":
            return [self._let_in(command)]
        if command.action not in ("subscribe", "unsubscribe"):
            return [self._error(400)]
        if self.key is None:
            return [self._error(401)]
        return [self._subscribe(command)]

    def form(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Return captured messages as one array."""
        whole = b"[" + b",".join(payloads) + b"]"
        return [self._protocol.packed(whole)] if self.is_binary else [whole]

    def _let_in(self, command: _Command) -> bytes:
        if self.key is not None:
            return self._error(403)
        if self._refusal is not None or not self._protocol.keys.allows(command.key, command.secret):
            return self._error(self._refusal or AUTH_REFUSED)
        if not self._protocol.enter(command.key):
            return self._error(406)
        self.key = command.key
        return self._frame([{"T": "success", "msg": "authenticated"}])

    def _subscribe(self, command: _Command) -> bytes:
        wanted = {channel: self._symbols[channel].copy() for channel in _CHANNELS}
        for channel, symbols in wanted.items():
            named: list[str] = getattr(command, channel)
            if command.action == "subscribe":
                symbols |= dict.fromkeys(named)
            else:
                for symbol in named:
                    symbols.pop(symbol, None)
        if self._venue == "iex" and max(len(symbols) for symbols in wanted.values()) > _IEX_SYMBOLS:
            return self._error(405)
        self._symbols = wanted
        self._topics = {f"{_CHANNELS[channel]}.{symbol}" for channel, symbols in wanted.items() for symbol in symbols}
        self._topics |= {f"{kind}.{symbol}" for kind in _WITH_TRADES for symbol in wanted["trades"]}
        told = {channel: list(symbols) for channel, symbols in wanted.items()}
        told |= {"corrections": told["trades"], "cancelErrors": told["trades"]}
        return self._frame([{"T": "subscription"} | told])

    def _error(self, code: int) -> bytes:
        if code in _ENDING:
            self.close_code = 1000
        return self._frame([{"T": "error", "code": code, "msg": _ERRORS[code]}])

    def _frame(self, content: list[dict[str, Any]]) -> bytes:
        return msgspec.msgpack.encode(content) if self.is_binary else msgspec.json.encode(content)


class AlpacaProtocol(WireProtocol):
    """Alpaca's protocol for stocks.

    Parameters
    ----------
    keys : Keys
        Key and secret to accept; one connection a key is allowed.
    """

    paths = "/v2/iex, /v2/sip and /v2/test"
    garbage = b'[{"T":"t","i":'
    refusals = frozenset({AUTH_REFUSED, 406, 409})
    without = frozenset({"nosnapshot"})

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys)
        self._head = msgspec.json.Decoder(_Head)
        self._read = StampReader().read

    def is_known(self, path: str) -> bool:
        """Return whether streams are served at a path."""
        return _STREAM.fullmatch(urlsplit(path).path) is not None

    def session(self, path: str, headers: Mapping[str, str], refusal: int | None) -> AlpacaSession:
        """Return the session of a new client."""
        found = _STREAM.fullmatch(urlsplit(path).path)
        is_binary = headers.get("Content-Type", "") == "application/msgpack"
        return AlpacaSession(self, is_binary, found[1] if found else "", refusal)

    def topic(self, message: CapturedMessage) -> str:
        """Return kind and symbol; empty for control messages."""
        head = self._head.decode(message.payload)
        return f"{head.T}.{head.S}" if head.S else ""

    def keep(self, topic: str, payload: bytes) -> None:
        """Keep trades and quotes by their times."""
        if topic[:2] in ("t.", "q.") and (stamp := self.first_stamp(payload)) is not None:
            self.past.add(topic, stamp, payload)

    def first_stamp(self, payload: bytes) -> int | None:
        """Return the time of a message in nanoseconds; None where it has none."""
        found = _STAMP.search(payload)
        return None if found is None else self._read(found[1].decode())

    def restamp(self, payload: bytes, first_ns: int, now_ns: int, speed: float) -> bytes:
        """Return a message with its time moved."""

        def moved(found: re.Match[bytes]) -> bytes:
            ns = now_ns + int((self._read(found[1].decode()) - first_ns) / speed)
            return b'"t":"%b"' % stamp_text(ns).encode()

        return _STAMP.sub(moved, payload)

    def packed(self, frame: bytes) -> bytes:
        """Return a frame of JSON as msgpack, its times as extension -1."""
        messages: list[dict[str, Any]] = msgspec.json.decode(frame)
        for message in messages:
            if "t" in message:
                seconds, ns = divmod(self._read(message["t"]), _SECOND_NS)
                message["t"] = msgspec.msgpack.Ext(-1, (ns << 34 | seconds).to_bytes(8, "big"))
        return msgspec.msgpack.encode(messages)

    def rest_kind(self, path: str) -> RestKind | None:
        """Return what a REST path asks for; None where it is not REST."""
        return None if _ROUTE.fullmatch(urlsplit(path).path) is None else "history"

    def get(self, path: str, headers: Mapping[str, str], now_ns: int) -> RestAnswer:
        """Return a page of trades or quotes of some symbols, by symbol and time."""
        if not self.keys.allows(headers.get("APCA-API-KEY-ID", ""), headers.get("APCA-API-SECRET-KEY", "")):
            return HTTPStatus.FORBIDDEN, msgspec.json.encode({"message": "forbidden."})
        kind = urlsplit(path).path.rpartition("/")[2]
        query = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        try:
            limit = min(_MOST, int(query.get("limit", _PAGE)))
            first = self._time_of(query["start"]) if "start" in query else 0
            last = self._time_of(query["end"]) if "end" in query else now_ns
            after = _place_of(query.get("page_token"))
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, msgspec.json.encode({"message": f"invalid parameter: {error}"})
        found: list[tuple[str, PastMessage]] = []
        for symbol in sorted(set(query.get("symbols", "").split(",")) - {""}):
            messages = self.past.between(f"{kind[0]}.{symbol}", first, last)
            found += [(symbol, message) for message in messages if (symbol, message.number, message.place) > after]
        page, more = found[:limit], found[limit:]
        told: dict[str, list[Any]] = {}
        for symbol, message in page:
            content = msgspec.json.decode(message.payload)
            told.setdefault(symbol, []).append({name: content[name] for name in content if name not in ("T", "S")})
        token = _token(*page[-1]) if page and more else None
        return HTTPStatus.OK, msgspec.json.encode({kind: told, "next_page_token": token})

    def _time_of(self, text: str) -> int:
        """Return a time of a query; of a day, or in another zone, to the microsecond."""
        if text.endswith("Z"):
            return self._read(text)
        moment = dt.datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp() * 1e6) * 1000

    def rest_refusal(self, status: int) -> bytes:
        """Return the text of a REST request that is refused on purpose."""
        return msgspec.json.encode({"message": f"refused on request with {status}"})


def _token(symbol: str, message: PastMessage) -> str:
    return base64.urlsafe_b64encode(f"{symbol}|{message.number}|{message.place}".encode()).decode()


def _place_of(token: str | None) -> tuple[str, int, int]:
    if token is None:
        return ("", -1, -1)
    symbol, number, place = base64.urlsafe_b64decode(token).decode().split("|")
    return symbol, int(number), int(place)
