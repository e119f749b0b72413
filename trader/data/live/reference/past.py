"""What a capture held up to the present place, for answers over REST."""

from __future__ import annotations

import collections
from typing import NamedTuple

__all__ = ["KEPT", "Past", "PastMessage"]

KEPT = 50_000
"""Messages of each topic that are kept; older ones are forgotten."""


class PastMessage(NamedTuple):
    """A message that was due; `place` counts those of its topic from 0, `number` is its id or its time."""

    place: int
    number: int
    payload: bytes


class Past:
    """The newest messages of each topic, whether or not anybody got them.

    Parameters
    ----------
    kept : int, default=50,000
        Messages of a topic.

    Examples
    --------
    >>> past = Past(kept=2)
    >>> for number in (5, 6, 7):
    ...     past.add("t.A", number, b"{}")
    >>> [message.number for message in past.between("t.A", 0, 6)]
    [6]
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._messages: dict[str, collections.deque[PastMessage]] = {}

    def add(self, topic: str, number: int, payload: bytes) -> None:
        """Keep one."""
        messages = self._messages.setdefault(topic, collections.deque(maxlen=self._kept))
        messages.append(PastMessage(messages[-1].place + 1 if messages else 0, number, payload))

    def between(self, topic: str, first: int, last: int) -> list[PastMessage]:
        """Return the messages whose numbers are in this range, both ends included, by rising number."""
        found = [message for message in self._messages.get(topic, ()) if first <= message.number <= last]
        return sorted(found, key=lambda message: (message.number, message.place))

    def newest(self, topic: str, n: int) -> list[PastMessage]:
        """Return the `n` messages with the highest numbers, by rising number."""
        return self.between(topic, 0, 2**63)[-n:]
