"""What the reference server needs to know of a vendor's protocol."""

from __future__ import annotations

import abc
import dataclasses
import hmac
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import ClassVar, Literal

from trader.data.live.capture import CapturedMessage
from trader.data.live.reference.faults import FaultKind
from trader.data.live.reference.past import Past

__all__ = ["AUTH_REFUSED", "KeyedSession", "Keys", "RestAnswer", "RestKind", "WireProtocol", "WireSession"]

RestKind = Literal["snapshot", "history", "other"]
RestAnswer = tuple[HTTPStatus, bytes]
AUTH_REFUSED = 402
"""The refusal that stands for a wrong key, whatever key it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Keys:
    """What a client must show; None accepts anything that is not empty."""

    key: str | None = dataclasses.field(default=None, repr=False)
    secret: str | None = dataclasses.field(default=None, repr=False)

    def allows(self, key: str, secret: str | None = None) -> bool:
        """Return whether a client with these may come in; `secret` is None where the vendor has none."""
        return _same(self.key, key) and (secret is None or _same(self.secret, secret))


class WireSession(abc.ABC):
    """One client: what it may have, what it asked for, and what waits to be sent to it."""

    is_binary = False
    """Whether its messages are sent as binary frames."""
    close_code: int | None = None
    """Set when the connection is to be closed after what was answered."""

    def __init__(self) -> None:
        self.outbox: list[bytes] = []
        """Captured messages, restamped, that wait for `take`."""
        self.key: str | None = None
        """The key it was let in with; None before, and where none is asked for."""

    @property
    @abc.abstractmethod
    def wants_any(self) -> bool:
        """Whether it has subscribed to anything."""

    @property
    def is_let_in(self) -> bool:
        """Whether it has shown its key, where one is asked for."""
        return True

    @abc.abstractmethod
    def wants(self, topic: str) -> bool:
        """Return whether captured messages of a topic go to this client."""

    @abc.abstractmethod
    def answer(self, message: str | bytes) -> list[bytes]:
        """Carry out a command and return the frames that answer it."""

    def greeting(self) -> list[bytes]:
        """Return the frames that it is sent first."""
        return []

    def too_late(self) -> list[bytes]:
        """Return the frames for a client that has not shown its key in time, and close."""
        return []

    def take(self) -> list[bytes]:
        """Return what waits, as the frames this client gets."""
        taken, self.outbox = self.outbox, []
        return self.form(taken) if taken else []

    @abc.abstractmethod
    def form(self, payloads: Sequence[bytes]) -> list[bytes]:
        """Return captured messages that are due together as frames."""


class KeyedSession(WireSession):
    """A client that shows a key, and subscribes to topics of the form `kind.symbol` or `kind.*`."""

    def __init__(self) -> None:
        super().__init__()
        self._topics: set[str] = set()

    @property
    def wants_any(self) -> bool:
        """Whether it has subscribed to anything."""
        return bool(self._topics)

    @property
    def is_let_in(self) -> bool:
        """Whether it has shown its key."""
        return self.key is not None

    def wants(self, topic: str) -> bool:
        """Return whether captured messages of a topic go to this client."""
        return topic in self._topics or f"{topic.partition('.')[0]}.*" in self._topics


class WireProtocol(abc.ABC):
    """A vendor's side of the wire, for all clients of one server.

    Parameters
    ----------
    keys : Keys
        Whom to let in.
    """

    paths: ClassVar[str]
    """Where streams are, for people."""
    garbage: ClassVar[bytes]
    """A frame that is not JSON."""
    refusals: ClassVar[frozenset[int]] = frozenset()
    """Codes of refusal that are told in the vendor's own messages; others are HTTP's."""
    without: ClassVar[frozenset[FaultKind]] = frozenset()
    """Misdeeds that this protocol has no place for."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        """Whom to let in."""
        self.past = Past()
        """What the capture held up to the present place."""
        self._inside: set[str] = set()

    @abc.abstractmethod
    def is_known(self, path: str) -> bool:
        """Return whether streams are served at a path."""

    @abc.abstractmethod
    def session(self, path: str, headers: Mapping[str, str], refusal: int | None) -> WireSession:
        """Return the session of a new client, to which `refusal` is told when it shows its key."""

    def enter(self, key: str) -> bool:
        """Return whether a connection with this key may be had, one at a time; it is then taken."""
        is_free = key not in self._inside
        self._inside.add(key)
        return is_free

    def leave(self, session: WireSession) -> None:
        """Free the key of a client that has left."""
        if session.key is not None:
            self._inside.discard(session.key)

    @abc.abstractmethod
    def topic(self, message: CapturedMessage) -> str:
        """Return what clients subscribe to in order to get a message; empty where it is not for clients."""

    def on_message(self, message: CapturedMessage) -> None:  # noqa: B027 - most protocols need none of it
        """Take in a captured message, for what is answered over REST."""

    @abc.abstractmethod
    def keep(self, topic: str, payload: bytes) -> None:
        """Keep a captured message, restamped, for those who ask over REST for what has been."""

    @abc.abstractmethod
    def first_stamp(self, payload: bytes) -> int | None:
        """Return the first time of a message in nanoseconds; None where it has none."""

    @abc.abstractmethod
    def restamp(self, payload: bytes, first_ns: int, now_ns: int, speed: float) -> bytes:
        """Return a message with its times moved: `first_ns` becomes `now_ns`, others keep their distance / speed."""

    @abc.abstractmethod
    def rest_kind(self, path: str) -> RestKind | None:
        """Return what a REST path asks for; None where it is not REST."""

    @abc.abstractmethod
    def get(self, path: str, headers: Mapping[str, str], now_ns: int) -> RestAnswer:
        """Return the answer to a REST request."""

    @abc.abstractmethod
    def rest_refusal(self, status: int) -> bytes:
        """Return the text of a REST request that is refused on purpose."""


def _same(expected: str | None, shown: str) -> bool:
    return bool(shown) if expected is None else hmac.compare_digest(expected.encode(), shown.encode())
