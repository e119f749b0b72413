"""What sinks share: a bounded queue, and a thread that empties it and tries again."""

from __future__ import annotations

import abc
import collections
import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Literal, NamedTuple

from trader.core.protocols import MarketBatch
from trader.data.live.backoff import Backoff
from trader.data.sinks.sink import SinkStatus

__all__ = ["Item", "Outcome", "Overflow", "QueuedSink", "SinkAwayError"]

Overflow = Literal["drop_oldest", "refuse", "wait"]
Outcome = Literal["written", "repeated", "failed"]

_CHUNK_ROWS = 50_000
_CHUNK_ITEMS = 64


class SinkAwayError(Exception):
    """The other side did not answer, or not yet; what was sent may have arrived and is to be sent again."""


class Item(NamedTuple):
    """A batch that waits; `tries` is how often it was sent before."""

    number: int
    batch: MarketBatch
    tries: int = 0


class QueuedSink(abc.ABC):
    """A sink whose rows wait in memory for a thread of its own.

    Subclasses say how to send. Sending must be idempotent by number, or certain of its outcome.

    Parameters
    ----------
    name : str
        For people.
    max_rows : int, default=1_000_000
        Largest number of rows in memory.
    overflow : {"drop_oldest", "refuse", "wait"}, default="drop_oldest"
        What becomes of rows for which there is no room: older ones go, they are refused, or `put` waits for as long as
        the other side takes rows, and refuses when it is away.
    gather_rows : int, default=1
        Rows that are worth sending; fewer are sent when they have waited for `gather_s`, or at a flush.
    gather_s : float, default=0
    """

    def __init__(
        self,
        name: str,
        *,
        max_rows: int = 1_000_000,
        overflow: Overflow = "drop_oldest",
        gather_rows: int = 1,
        gather_s: float = 0.0,
    ) -> None:
        if max_rows < 1:
            raise ValueError(f"max_rows={max_rows}; 1 or more is allowed")
        if overflow not in ("drop_oldest", "refuse", "wait"):
            raise ValueError(f"overflow={overflow!r}; 'drop_oldest', 'refuse' and 'wait' are allowed")
        self._name = name
        self._max_rows = max_rows
        self._overflow = overflow
        self._gather_rows = min(gather_rows, max_rows)
        self._gather_s = gather_s
        self._flushing = 0
        self._queue: collections.deque[Item] = collections.deque()
        self._queued = self._sending = 0
        self._settled: dict[Outcome, int] = {"written": 0, "repeated": 0, "failed": 0}
        self._dropped: collections.Counter[str] = collections.Counter()
        self._trouble = ""
        self._retries = self._outages = 0
        self._next = 0
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._backoff = Backoff(0.05, 2.0)
        self._thread = threading.Thread(target=self._work, name=f"sink-{name}", daemon=True)

    @abc.abstractmethod
    def _send(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Send batches in order and return what became of each.

        Raises
        ------
        SinkAwayError
            If that is not known of one of them; all of them are sent again.
        """

    @abc.abstractmethod
    def check(self) -> None:
        """Raise TraderError if the other side does not answer, or does not let us write."""

    @abc.abstractmethod
    def _end(self) -> None:
        """Let go of connections; called once, by the thread that sent."""

    def put(self, batch: MarketBatch, number: int | None = None) -> bool:
        """Take a batch, in order of numbers; return False if it was not taken, and counted."""
        n_rows = len(batch)
        with self._changed:
            number = self._next if number is None else number
            self._next = number + 1
            if n_rows == 0:
                return True
            reason = self._make_room(n_rows)
            if reason:
                self._dropped[reason] += n_rows
                return False
            self._queue.append(Item(number, batch))
            self._queued += n_rows
            if not self._thread.ident:
                self._thread.start()
            self._changed.notify_all()
        return True

    def _make_room(self, n_rows: int) -> str:
        """Return why there is no room; empty if there is."""
        if self._overflow == "wait":
            self._changed.wait_for(lambda: self._fits(n_rows) or bool(self._trouble) or self._closing.is_set())
        if self._closing.is_set():
            return "closed"
        if self._overflow == "drop_oldest":
            while self._queue and not self._fits(n_rows):
                oldest = len(self._queue.popleft().batch)
                self._queued -= oldest
                self._dropped["overflow"] += oldest
        return "" if self._fits(n_rows) else "overflow" if self._overflow == "drop_oldest" else "refused"

    def _fits(self, n_rows: int) -> bool:
        # One batch alone always fits: no sink may stand still because of the size of its batches.
        held = self._queued + self._sending
        return held + n_rows <= self._max_rows or not held

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was put is written or dropped; return whether it was in time."""
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            try:
                return self._changed.wait_for(lambda: not self._queued and not self._sending, timeout_s)
            finally:
                self._flushing -= 1

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits for at most `timeout_s`, drop and count the rest; later calls change nothing."""
        self.begin_close(timeout_s)
        # Sending has a time limit of its own, so this ends.
        self._thread.join()

    def begin_close(self, timeout_s: float) -> None:
        """Do as `close` without waiting for it, so that several sinks end at the same time."""
        with self._changed:
            if not self._closing.is_set():
                self._deadline = time.monotonic() + timeout_s
                self._closing.set()
                if not self._thread.ident:
                    self._thread.start()
            self._changed.notify_all()

    def settle(self, timeout_s: float) -> bool:
        """Wait until all is written that is not held back for larger files; return whether it was in time.

        A sink that is away is not waited for.
        """
        with self._changed:
            settled = self._changed.wait_for(
                lambda: self._gather_rows > 1 or bool(self._trouble) or not (self._queued or self._sending), timeout_s
            )
            return settled and not self._trouble

    def status(self) -> SinkStatus:
        """Return how it fares."""
        with self._changed:
            dropped = dict(self._dropped)
            if self._settled["failed"]:
                dropped["failed"] = self._settled["failed"]
            waiting = self._queued + self._sending
            written, repeated = self._settled["written"], self._settled["repeated"]
            turns = (self._retries, self._outages)
            return SinkStatus(self._name, written, repeated, dropped, waiting, self._trouble, *turns)

    def _work(self) -> None:
        while items := self._take():
            self._deliver(items)
        with contextlib.suppress(Exception):
            self._end()

    def _take(self) -> list[Item]:
        """Wait for rows; no items are the end."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue) or self._closing.is_set())
            self._changed.wait_for(self._is_worth_it, self._gather_s)
            items: list[Item] = []
            n_rows = max(self._gather_rows, _CHUNK_ROWS)
            while self._queue and self._sending < n_rows and (len(items) < _CHUNK_ITEMS or self._gather_rows > 1):
                item = self._queue.popleft()
                items.append(item)
                self._queued -= len(item.batch)
                self._sending += len(item.batch)
            return items

    def _is_worth_it(self) -> bool:
        # A put that waits for room must not wait for more rows to come.
        return (
            self._queued >= self._gather_rows
            or self._flushing > 0
            or self._closing.is_set()
            or (self._overflow == "wait" and 2 * self._queued >= self._max_rows)
        )

    def _deliver(self, items: list[Item]) -> None:
        """Send until it is known what became of each, or the time is up."""
        while time.monotonic() < self._deadline:
            try:
                outcomes = self._send(items)
            except SinkAwayError as error:
                items = [item._replace(tries=item.tries + 1) for item in items]
                self._retries += 1
                self._note(str(error))
                wait_s = min(self._backoff.next_s(), max(self._deadline - time.monotonic(), 0.0))
                self._closing.wait(wait_s) if not self._closing.is_set() else time.sleep(wait_s)
            except Exception as error:  # noqa: BLE001 - a sink never ends the run; what it lost is counted
                self._note(f"{type(error).__name__}: {error}")
                self._settle(items, ["failed"] * len(items))
                return
            else:
                self._backoff.succeeded()
                self._note("")
                self._settle(items, outcomes)
                return
        with self._changed:
            rows = sum(len(item.batch) for item in items)
            self._dropped["unknown" if items[0].tries else "unsent"] += rows
            self._sending -= rows
            self._changed.notify_all()

    def _note(self, trouble: str) -> None:
        with self._changed:
            self._outages += bool(trouble) and not self._trouble
            self._trouble = trouble
            self._changed.notify_all()

    def _settle(self, items: Sequence[Item], outcomes: Sequence[Outcome]) -> None:
        with self._changed:
            for item, outcome in zip(items, outcomes, strict=True):
                # What is there already after an attempt without an answer was written by that attempt.
                mine = outcome == "repeated" and item.tries > 0
                self._settled["written" if mine else outcome] += len(item.batch)
                self._sending -= len(item.batch)
            self._changed.notify_all()
