"""Writing to a store that may be away for a while: in order, in the same transactions, nothing lost."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from trader.core.errors import StoreUnavailableError
from trader.core.events import Event, StoreBack, StoreGone
from trader.settings import StoreSettings

__all__ = ["Group", "StoreWriter", "patiently"]

_PATIENCE_S = 5.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_STOP_WAIT_S = 10.0

Answer = TypeVar("Answer")


def patiently(
    call: Callable[[], Answer],
    give_up_s: float,
    on_wait: Callable[[StoreUnavailableError], None] = lambda _: None,
) -> Answer:
    """Return what `call` returns, repeated for `give_up_s` seconds while it raises StoreUnavailableError.

    `on_wait` is told of each such error but the last, which is raised.
    """
    deadline = time.monotonic() + give_up_s
    pauses = _pauses()
    while True:
        try:
            return call()
        except StoreUnavailableError as error:
            pause = next(pauses)
            if time.monotonic() + pause > deadline:
                raise
            on_wait(error)
            time.sleep(pause)


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(2.0 * pause, _LONGEST_PAUSE_S)


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """What is written in one transaction.

    Parameters
    ----------
    mark : int
        Rises from group to group; says how far the run has come.
    n_decisions, n_bytes : int
        How many it holds, and the memory they take.
    write : callable
        Writes it, once or more often; again changes nothing.
    """

    mark: int
    n_decisions: int
    n_bytes: int
    write: Callable[[], object]


class StoreWriter:
    """Writes groups one after the other in a thread of its own.

    While the store answers, `put` returns when the group is durable. When it has not for five seconds, or says that it
    cannot, groups are kept and tried again, with pauses that double from 0.1 s to 5 s, and `put` returns at once. All
    that waits is written in order when the store is back, and then the events of its absence.

    Parameters
    ----------
    run_id : str
        Of the events.
    settings : StoreSettings
        How much may wait, and for how long.
    record_event : callable
        Writes an event; raises as the store does.
    on_event : callable, optional
        Told at once when the store goes and when it is back; from another thread.
    patience_s : float
        How long a write may take before the store counts as gone.
    """

    def __init__(
        self,
        run_id: str,
        settings: StoreSettings,
        record_event: Callable[[Event], None],
        on_event: Callable[[Event], None] | None = None,
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._run_id = run_id
        self._settings = settings
        self._record_event = record_event
        self._on_event = on_event
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._groups: collections.deque[Group] = collections.deque()
        self._gone_at: float | None = None
        self._events: list[Event] = []
        self._late = 0
        self._error: BaseException | None = None
        self._closed = False
        self._thread: threading.Thread | None = None
        self.durable_mark = -1
        """That of the last group written."""

    @property
    def waiting(self) -> int:
        """Decisions that the store has not taken."""
        with self._changed:
            return sum(group.n_decisions for group in self._groups)

    @property
    def gone_s(self) -> float:
        """How long the store has been gone, in seconds; 0 while it answers."""
        gone_at = self._gone_at
        return 0.0 if gone_at is None else time.monotonic() - gone_at

    @property
    def is_full(self) -> bool:
        """Whether so much waits, or for so long, that no more decisions should be made."""
        if self._gone_at is None:
            return False
        with self._changed:
            n_bytes = sum(group.n_bytes for group in self._groups)
        return self.gone_s > self._settings.buffer_s or n_bytes > self._settings.buffer_mb * 1e6

    def put(self, group: Group) -> None:
        """Have a group written; wait for it while the store answers.

        Raises
        ------
        TraderError
            What an earlier or this group was refused for, if not because the store is away.
        """
        with self._changed:
            self._groups.append(group)
            if self._gone_at is not None:
                self._late += group.n_decisions
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._gone_at is not None or self._is_idle(), self._patience_s):
                self._gone(f"no answer for {self._patience_s:g} s")
        self._raise_error()

    def make_room(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Wait while too much waits.

        Raises
        ------
        StoreUnavailableError
            If the store is away for longer than `store.give_up_s`.
        """
        while self.is_full and not should_stop():
            self._wait(0.25)
            self._give_up_after(self._settings.give_up_s)

    def drain(self, should_stop: Callable[[], bool] = lambda: False) -> None:
        """Wait until everything is written; ten seconds at most where somebody wants to stop.

        Raises
        ------
        StoreUnavailableError
            If the store is away for longer than `store.give_up_s`.
        """
        stop_at: float | None = None
        while not self._is_idle():
            self._wait(0.25)
            if stop_at is None and should_stop():
                stop_at = self.gone_s + _STOP_WAIT_S
            self._give_up_after(self._settings.give_up_s if stop_at is None else stop_at)
        self._raise_error()

    def close(self, wait_s: float) -> bool:
        """Forget what waits; return whether, in that time, the write that was on its way came to an end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is None:
            return True
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def _wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(self._is_idle, seconds)
        self._raise_error()

    def _is_idle(self) -> bool:
        return self._error is not None or (not self._groups and not self._events)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _give_up_after(self, seconds: float) -> None:
        if self.gone_s > seconds:
            raise StoreUnavailableError(
                f"the store has been gone for {self.gone_s:.0f} s; {self.waiting} decisions of run {self._run_id} are "
                "not in it, and --resume makes them again"
            )

    # In its own thread

    def _work(self) -> None:
        pauses = _pauses()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._groups or self._events)
                if self._closed:
                    return
                group = self._groups[0] if self._groups else None
            try:
                if group is not None:
                    group.write()
                else:
                    self._say_back()
            except StoreUnavailableError as error:
                with self._changed:
                    self._gone(str(error))
                    self._changed.wait_for(lambda: self._closed, next(pauses))
            except BaseException as error:  # noqa: BLE001 - it is raised where a group is put
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            else:
                pauses = _pauses()
                if group is not None:
                    with self._changed:
                        self._groups.popleft()
                        self.durable_mark = group.mark
                        self._changed.notify_all()

    def _gone(self, reason: str) -> None:
        """Take note, once, that the store is away; the lock is held."""
        if self._gone_at is None:
            self._gone_at = time.monotonic()
            self._late = sum(group.n_decisions for group in self._groups)
            gone = StoreGone(run_id=self._run_id, trace_id="", ts_ns=time.time_ns(), reason=reason)
            self._events = [gone]
            self._tell(gone)
            self._changed.notify_all()

    def _say_back(self) -> None:
        """Write that the store was away, now that nothing waits any more."""
        if len(self._events) == 1:
            seconds = round(self.gone_s, 3)
            common: dict[str, Any] = {"run_id": self._run_id, "trace_id": "", "ts_ns": time.time_ns()}
            self._events.append(StoreBack(seconds=seconds, decisions=self._late, **common))
        for event in self._events:
            self._record_event(event)
        with self._changed:
            back = self._events[-1]
            self._events = []
            self._gone_at = None
            self._changed.notify_all()
        self._tell(back)

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
