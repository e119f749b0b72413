"""What goes wrong with a live feed, kept for those who ask."""

from __future__ import annotations

import collections
import dataclasses
import threading
from typing import Literal

__all__ = ["Trouble", "Troubles", "TroubleKind"]

TroubleKind = Literal[
    "connect_failed",
    "disconnected",
    "stale",
    "symbol_silent",
    "rows_lost",
    "rows_dropped",
    "gap",
    "filled",
    "source_failed",
    "source_switched",
    "clock_moved",
    "book_gap",
    "snapshot_failed",
]
_KEPT = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong, at a time in UTC nanoseconds.

    `count` is how many rows were lost, dropped or filled, and 0 for other kinds; `symbol` is empty where all are
    concerned, `source` where the feed as a whole is.
    """

    ts_ns: int
    kind: TroubleKind
    detail: str
    symbol: str = ""
    count: int = 0
    source: str = ""


class Troubles:
    """A thread-safe list that is taken away bit by bit; of troubles that nobody takes, the newest 1,000 are kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: collections.deque[Trouble] = collections.deque(maxlen=_KEPT)
        self._counts: collections.Counter[str] = collections.Counter()

    def add(self, trouble: Trouble) -> None:
        """Keep one."""
        with self._lock:
            self._waiting.append(trouble)
            self._counts[trouble.kind] += 1

    def take(self) -> list[Trouble]:
        """Return those since the last call, oldest first."""
        with self._lock:
            taken = list(self._waiting)
            self._waiting.clear()
            return taken

    def counts(self) -> dict[str, int]:
        """Return how many there were of each kind, from the beginning."""
        with self._lock:
            return dict(self._counts)
