"""Massive's side of the wire (Polygon until October 2025): streams of stocks, and trades and quotes over REST.

Shapes of messages are those that the vendor's own client parses in the tests. From documentation alone come: the texts
of statuses other than `connected`, `auth_success` and `auth_failed`, and the code that a connection is closed with.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec

from trader.data.live.capture import CapturedMessage
from trader.data.live.reference.protocol import AUTH_REFUSED, KeyedSession, Keys, RestAnswer, RestKind, WireProtocol

__all__ = ["MassiveProtocol", "MassiveSession"]

_STAMP = re.compile(rb'"(t|trft)":(\d{13})')
_ROUTE = re.compile(r"/v3/(trades|quotes)/([^/]+)")
_STREAM = "/stocks"
_MS = 1_000_000
_PAGE, _MOST = 1000, 50_000
_KINDS = ("T", "Q", "A", "AM", "LULD", "FMV")
_STATUSES = {
    AUTH_REFUSED: ("auth_failed", "authentication failed"),
    404: ("auth_timeout", "authentication timed out"),
    406: ("max_connections", "Maximum number of websocket connections exceeded."),
    409: ("error", "not authorized"),
}
_REST_NAMES = {
    "T": {
        "c": "conditions",
        "x": "exchange",
        "i": "id",
        "p": "price",
        "s": "size",
        "ds": "decimal_size",
        "q": "sequence_number",
        "z": "tape",
        "trfi": "trf_id",
    },
    "Q": {
        "ax": "ask_exchange",
        "ap": "ask_price",
        "as": "ask_size",
        "bx": "bid_exchange",
        "bp": "bid_price",
        "bs": "bid_size",
        "i": "indicators",
        "q": "sequence_number",
        "z": "tape",
    },
}


class _Head(msgspec.Struct):
    ev: str = ""
    sym: str = ""


class _Command(msgspec.Struct):
    action: str
    params: str = ""


class MassiveSession(KeyedSession):
    """One client.

    Parameters
    ----------
    protocol : MassiveProtocol
    refusal : int, optional
        What its key is answered with.
    """

    def __init__(self, protocol: MassiveProtocol, refusal: int | None) -> None:
        super().__init__()
        self._protocol = protocol
        self._refusal = refusal

    def greeting(self) -> list[bytes]:
        """Return the frame that the vendor begins with."""
        return [_frame([("connected", "Connected Successfully")])]

    def too_late(self) -> list[bytes]:
        """Return the frame for a client that has not shown its key in time, and close."""
        return [self._refuse(404)]

    def answer(self, message: str | bytes) -> list[bytes]:
        """Carry out a command and return the answer."""
        try:
            command = msgspec.json.decode(message, type=_Command)
        except msgspec.DecodeError:
            return [_frame([("error", "invalid message")])]
        if command.action == "auth":
            return [self._let_in(command.params)]
        if self.key is None:
            return [self._refuse(AUTH_REFUSED)]
        if command.action not in ("subscribe", "unsubscribe"):
            return [_frame([("error", f"unknown action: {command.action}")])]
        return [self._subscribe(command)]

    def form(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Return captured messages as one array."""
        return [b"[" + b",".join(payloads) + b"]"]

    def _let_in(self, key: str) -> bytes:
        if self.key is None:
            if self._refusal is not None or not self._protocol.keys.allows(key):
                return self._refuse(self._refusal or AUTH_REFUSED)
            if not self._protocol.enter(key):
                return self._refuse(406)
            self.key = key
        return _frame([("auth_success", "authenticated")])

    def _subscribe(self, command: _Command) -> bytes:
        told = []
        for topic in filter(None, (part.strip() for part in command.params.split(","))):
            if topic.partition(".")[0] not in _KINDS:
                told.append(("error", f"invalid subscription: {topic}"))
            elif command.action == "subscribe":
                self._topics.add(topic)
                told.append(("success", f"subscribed to: {topic}"))
            else:
                self._topics.discard(topic)
                told.append(("success", f"unsubscribed to: {topic}"))
        return _frame(told)

    def _refuse(self, code: int) -> bytes:
        self.close_code = 1008
        return _frame([_STATUSES[code]])


class MassiveProtocol(WireProtocol):
    """Massive's protocol for stocks.

    Parameters
    ----------
    keys : Keys
        The key to accept; one connection a key is allowed.
    """

    paths = _STREAM
    garbage = b'[{"ev":"T","sym":'
    refusals = frozenset({AUTH_REFUSED, 406, 409})
    without = frozenset({"nosnapshot"})

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys)
        self._head = msgspec.json.Decoder(_Head)

    def is_known(self, path: str) -> bool:
        """Return whether streams are served at a path."""
        return urlsplit(path).path == _STREAM

    def session(self, path: str, headers: Mapping[str, str], refusal: int | None) -> MassiveSession:  # noqa: ARG002 - all alike
        """Return the session of a new client."""
        return MassiveSession(self, refusal)

    def topic(self, message: CapturedMessage) -> str:
        """Return kind and symbol; empty for statuses."""
        head = self._head.decode(message.payload)
        return f"{head.ev}.{head.sym}" if head.sym else ""

    def keep(self, topic: str, payload: bytes) -> None:
        """Keep trades and quotes by their times."""
        if topic[:2] in ("T.", "Q.") and (stamp := self.first_stamp(payload)) is not None:
            self.past.add(topic, stamp, payload)

    def first_stamp(self, payload: bytes) -> int | None:
        """Return the time of a message in nanoseconds; None where it has none."""
        found = _STAMP.search(payload)
        return None if found is None else int(found[2]) * _MS

    def restamp(self, payload: bytes, first_ns: int, now_ns: int, speed: float) -> bytes:
        """Return a message with its times moved."""
        return _STAMP.sub(
            lambda found: b'"%b":%d' % (found[1], (now_ns + int((int(found[2]) * _MS - first_ns) / speed)) // _MS),
            payload,
        )

    def rest_kind(self, path: str) -> RestKind | None:
        """Return what a REST path asks for; None where it is not REST."""
        return None if _ROUTE.fullmatch(urlsplit(path).path) is None else "history"

    def get(self, path: str, headers: Mapping[str, str], now_ns: int) -> RestAnswer:
        """Return a page of trades or quotes of a ticker; newest first unless `order=asc`."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        key = headers.get("Authorization", "").removeprefix("Bearer ") or query.get("apiKey", "")
        if not self.keys.allows(key):
            return HTTPStatus.UNAUTHORIZED, msgspec.json.encode({"status": "ERROR", "error": "Unknown API Key"})
        if "cursor" in query:
            cursor = base64.urlsafe_b64decode(query["cursor"]).decode()
            query = {name: values[0] for name, values in parse_qs(cursor).items()}
        found = _ROUTE.fullmatch(parts.path)
        assert found is not None  # noqa: S101 - `rest_kind` has looked at it
        kind = found[1][0].upper()
        try:
            limit, skipped = min(_MOST, int(query.get("limit", _PAGE))), int(query.get("skipped", 0))
            first = max(int(query.get("timestamp.gte", 0)), int(query.get("timestamp.gt", -1)) + 1)
            last = min(int(query.get("timestamp.lte", now_ns)), int(query.get("timestamp.lt", now_ns + 1)) - 1)
        except ValueError as error:
            return HTTPStatus.BAD_REQUEST, msgspec.json.encode({"status": "ERROR", "error": f"bad parameter: {error}"})
        messages = self.past.between(f"{kind}.{found[2]}", first, last)
        if query.get("order", "desc") != "asc":
            messages.reverse()
        page = messages[skipped : skipped + limit]
        told: dict[str, Any] = {"status": "OK", "request_id": "reference"}
        told["results"] = [_rest_form(kind, message.payload) for message in page]
        if len(messages) > skipped + limit:
            # The end is kept, so that pages of one request belong together.
            then = urlencode(query | {"skipped": str(skipped + limit), "timestamp.lte": str(last)})
            token = base64.urlsafe_b64encode(then.encode()).decode()
            told["next_url"] = f"http://{headers.get('Host', '')}{parts.path}?cursor={quote(token)}"
        return HTTPStatus.OK, msgspec.json.encode(told)

    def rest_refusal(self, status: int) -> bytes:
        """Return the text of a REST request that is refused on purpose."""
        return msgspec.json.encode({"status": "ERROR", "error": f"refused on request with {status}"})


def _rest_form(kind: str, payload: bytes) -> dict[str, Any]:
    message = msgspec.json.decode(payload)
    content = {theirs: message[ours] for ours, theirs in _REST_NAMES[kind].items() if ours in message}
    if kind == "Q" and "c" in message:
        content["conditions"] = [message["c"]]
    return content | {"sip_timestamp": message["t"] * _MS, "participant_timestamp": message["t"] * _MS}


def _frame(statuses: Sequence[tuple[str, str]]) -> bytes:
    return msgspec.json.encode([{"ev": "status", "status": status, "message": text} for status, text in statuses])
