"""Binance's side of the wire: streams, commands, and the REST answers that a client of streams needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import numpy as np

from trader.data.book import BookDiff, BookSync
from trader.data.live.capture import CapturedMessage
from trader.data.live.reference.protocol import Keys, RestAnswer, RestKind, WireProtocol, WireSession

__all__ = ["BinanceProtocol", "BinanceSession", "restamp"]

_STAMP = re.compile(rb'"([ET])":(\d{13})')
_TRADE_ID = re.compile(rb'"t":(\d+)')
_ROUTE = re.compile(r"/(?:api/v3|fapi/v1)/(time|depth|historicalTrades)")
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS")
_SNAPSHOT_LEVELS = 1000
_MS = 1_000_000
_PAGE, _MOST = 500, 1000


class _Command(msgspec.Struct):
    method: str
    id: int | str | None = None
    params: list[str] = []


class _Diff(msgspec.Struct):
    U: int
    u: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    pu: int | None = None


class _Wrapped(msgspec.Struct):
    data: _Diff


class _Snapshot(msgspec.Struct):
    lastUpdateId: int  # noqa: N815 - Binance's name
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class BinanceSession(WireSession):
    """What one client asked for, by the path it came with and by commands.

    Parameters
    ----------
    path : str
        `/stream?streams=a/b` gives wrapped messages, `/ws/a/b` bare ones.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        parts = urlsplit(path)
        self._wrapped = parts.path.startswith("/stream")
        named = parse_qs(parts.query).get("streams", [""])[0] if self._wrapped else parts.path.removeprefix("/ws")
        self._streams: dict[str, str] = {}
        self._add(name for name in named.split("/") if name)

    @property
    def wants_any(self) -> bool:
        """Whether it has subscribed to anything."""
        return bool(self._streams)

    def wants(self, topic: str) -> bool:
        """Return whether captured messages of a topic go to this client."""
        return topic in self._streams

    def form(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Return captured messages as this client gets them, one a frame."""
        if self._wrapped:
            return list(payloads)
        return [payload[payload.index(b'"data":') + 7 : -1] for payload in payloads]

    def answer(self, message: str | bytes) -> list[bytes]:
        """Carry out a command and return the answer."""
        return [self._answer(message)]

    def _answer(self, message: str | bytes) -> bytes:
        try:
            command = msgspec.json.decode(message, type=_Command)
        except msgspec.DecodeError as error:
            return _error(None, 3, f"Invalid JSON: {error}")
        if command.method not in _METHODS:
            return _error(command.id, 2, f"Invalid request: unknown method {command.method}")
        result: list[str] | None = None
        if command.method == "SUBSCRIBE":
            self._add(command.params)
        elif command.method == "UNSUBSCRIBE":
            for name in command.params:
                self._streams.pop(_topic(name), None)
        else:
            result = list(self._streams.values())
        return msgspec.json.encode({"result": result, "id": command.id})

    def _add(self, names: Iterable[str]) -> None:
        self._streams |= {_topic(name): name for name in names}


class BinanceProtocol(WireProtocol):
    """Binance's protocol; it asks for no key.

    Parameters
    ----------
    keys : Keys
        Not looked at.
    """

    paths = "/stream?streams=a/b and /ws/a"
    garbage = b'{"e":"trade","t":'
    without = frozenset({"autherror"})

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys)
        self._sync = BookSync()
        self._diff = msgspec.json.Decoder(_Wrapped, strict=False)
        self._snapshot = msgspec.json.Decoder(_Snapshot, strict=False)

    def is_known(self, path: str) -> bool:
        """Return whether streams are served at a path."""
        return urlsplit(path).path.startswith(("/stream", "/ws"))

    def session(self, path: str, headers: Mapping[str, str], refusal: int | None) -> BinanceSession:  # noqa: ARG002 - no keys
        """Return the session of a new client."""
        return BinanceSession(path)

    def topic(self, message: CapturedMessage) -> str:
        """Return the stream's name without the speed of diffs."""
        return _topic(message.stream)

    def on_message(self, message: CapturedMessage) -> None:
        """Keep the book up to date."""
        if "@depth" in message.stream:
            diff = self._diff.decode(message.payload).data
            self._sync.on_diff(BookDiff(diff.U, diff.u, diff.pu, _table(diff.b), _table(diff.a)))
        elif not message.stream and b'"lastUpdateId"' in message.payload[:40]:
            found = self._snapshot.decode(message.payload)
            self._sync.on_snapshot(found.lastUpdateId, _table(found.bids), _table(found.asks))

    def keep(self, topic: str, payload: bytes) -> None:
        """Keep trades by their ids."""
        if topic.endswith("@trade") and (found := _TRADE_ID.search(payload)) is not None:
            self.past.add(topic, int(found[1]), payload)

    def first_stamp(self, payload: bytes) -> int | None:
        """Return the first time of a message in nanoseconds; None where it has none."""
        found = _STAMP.search(payload)
        return None if found is None else int(found[2]) * _MS

    def restamp(self, payload: bytes, first_ns: int, now_ns: int, speed: float) -> bytes:
        """Return a message with its times moved; see `restamp`."""
        return restamp(payload, first_ns // _MS, now_ns / _MS, speed)

    def rest_kind(self, path: str) -> RestKind | None:
        """Return what a REST path asks for; None where it is not REST."""
        found = _ROUTE.fullmatch(urlsplit(path).path)
        kinds: dict[str, RestKind] = {"depth": "snapshot", "historicalTrades": "history", "time": "other"}
        return None if found is None else kinds[found[1]]

    def get(self, path: str, headers: Mapping[str, str], now_ns: int) -> RestAnswer:  # noqa: ARG002 - no keys
        """Return the server's time, a snapshot of the book, or trades by their ids."""
        kind = self.rest_kind(path)
        if kind == "other":
            return HTTPStatus.OK, msgspec.json.encode({"serverTime": now_ns // _MS})
        if kind == "history":
            return self._trades({name: values[0] for name, values in parse_qs(urlsplit(path).query).items()})
        if self._sync.last is None:
            return HTTPStatus.SERVICE_UNAVAILABLE, _error(None, -1001, "the capture holds no book at this place")
        depth = self._sync.book.depth(_SNAPSHOT_LEVELS)
        content: dict[str, Any] = {"lastUpdateId": self._sync.last, "E": now_ns // _MS, "T": now_ns // _MS}
        for side, price, size in (("bids", depth.bid, depth.bid_size), ("asks", depth.ask, depth.ask_size)):
            n = int(np.isfinite(price).sum())
            content[side] = [[str(p), str(s)] for p, s in zip(price[:n].tolist(), size[:n].tolist(), strict=True)]
        return HTTPStatus.OK, msgspec.json.encode(content)

    def rest_refusal(self, status: int) -> bytes:
        """Return the text of a REST request that is refused on purpose."""
        return msgspec.json.encode({"code": -1003, "msg": f"refused on request with {status}"})

    def _trades(self, query: Mapping[str, str]) -> RestAnswer:
        topic = f"{query.get('symbol', '').lower()}@trade"
        try:
            limit = min(_MOST, int(query.get("limit", _PAGE)))
            first = int(query["fromId"]) if "fromId" in query else None
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, msgspec.json.encode({"code": -1100, "msg": f"illegal parameter: {error}"})
        found = self.past.newest(topic, limit) if first is None else self.past.between(topic, first, 2**63)[:limit]
        return HTTPStatus.OK, msgspec.json.encode([_historical(message.payload) for message in found])


def restamp(payload: bytes, first_ms: int, now_ms: float, speed: float) -> bytes:
    """Return a message with its times moved: `first_ms` becomes `now_ms`, what follows keeps its distance / speed.

    >>> restamp(b'{"E":1700000000500,"T":1700000000400}', 1_700_000_000_000, 1_800_000_000_000, 10.0)
    b'{"E":1800000000050,"T":1800000000040}'
    """
    return _STAMP.sub(
        lambda found: b'"%c":%d' % (found[1], int(now_ms + (int(found[2]) - first_ms) / speed)),
        payload,
    )


def _historical(payload: bytes) -> dict[str, Any]:
    trade = msgspec.json.decode(payload)["data"]
    found = {"id": trade["t"], "price": trade["p"], "qty": trade["q"], "time": trade["T"], "isBuyerMaker": trade["m"]}
    return found | {"quoteQty": str(float(trade["p"]) * float(trade["q"])), "isBestMatch": True}


def _topic(stream: str) -> str:
    return "@".join(stream.lower().split("@")[:2])


def _table(levels: list[tuple[float, float]]) -> Any:
    return np.array(levels, np.float64).reshape(-1, 2)


def _error(request: int | str | None, code: int, text: str) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "msg": text}, "id": request})
