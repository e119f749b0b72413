"""The members of a served ensemble, asked one by one: what fails or is late costs its share of an answer only."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trader.core.protocols import LeftOut, Prediction
from trader.experiments.breaker import CircuitBreaker
from trader.models.ensemble import Ensemble

__all__ = ["Ask", "GuardedEnsemble", "MemberStanding"]

FloatArray = NDArray[np.float64]
Ask = Callable[[str, FloatArray, int], FloatArray]
"""Asks a member by its key, as `Ensemble.ask` does."""


@dataclasses.dataclass(frozen=True, slots=True)
class MemberStanding:
    """How a member has done in this process.

    Parameters
    ----------
    state : {"closed", "open", "half-open"}
        Closed is asked; open is left alone for a while; half-open is asked once to see whether it answers again.
    failed, late, skipped : int
        Calls in which it raised, did not answer in time, or was not asked.
    last_error : str
        What it raised last; empty if it never did.
    """

    state: Literal["closed", "open", "half-open"]
    failed: int
    late: int
    skipped: int
    last_error: str


class GuardedEnsemble:
    """An ensemble whose members cannot hold up one another; its scores are bit for bit those of `ensemble`.

    A member that raises or is late is left out of the call, and the others share its weight. After three such calls in
    a row it is left alone, for 16 calls or a second, whichever ends first; then one call is tried, and each that fails
    doubles the pause, up to 1,024 calls or 64 s.

    Without a time limit, members are asked in the thread of the caller, one after the other. With one, each has a
    thread of its own, in which calls wait for their turn; waiting counts. What hangs in Python cannot be killed, so a
    member that is late is not asked again until its thread is done.

    It may be called from several threads.

    Parameters
    ----------
    ensemble : Ensemble
    timeout_s : float
        How long a member may take for a call, in seconds; 0 sets no limit.
    clock : callable
        Seconds, for the pauses.
    """

    def __init__(self, ensemble: Ensemble, timeout_s: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._ensemble = ensemble
        self._timeout_s = timeout_s
        self._members = {key: _Member(key, clock) for key in ensemble.members}

    def __call__(self, features: FloatArray, n_context: int = 0, ask: Ask | None = None) -> Prediction:
        """Score as `Ensemble` does; `left_out` says which members have no part in it, and why.

        `ask` takes the place of the ensemble's own, to watch what it does.

        Raises
        ------
        DataError
            If the shape is not that of the schema, or `n_context` not a number of its instants.
        """
        ensemble = self._ensemble
        ask = ask or ensemble.ask
        rows = ensemble.checked(features, n_context)
        answers: dict[str, FloatArray] = {}
        left_out: dict[str, LeftOut] = {}
        begun = self._begin(ask, rows, n_context) if self._timeout_s else None
        for key, member in self._members.items():
            if not (member.at_ease or member.may_be_asked()) if begun is None else key not in begun:
                left_out[key] = member.left_out("skipped")
                continue
            try:
                answers[key] = ask(key, rows, n_context) if begun is None else begun[key]()
            except _LateError:
                left_out[key] = member.left_out("late")
            except Exception as error:  # noqa: BLE001 - what ails one member must not stop the others; it is counted
                left_out[key] = member.left_out("failed", error)
            else:
                if not member.at_ease:
                    member.answered()
        return ensemble.combined(answers, (rows.shape[0] - n_context, rows.shape[1]), left_out)

    def follow(self, ensemble: Ensemble) -> None:
        """Answer by another ensemble of the same members from the next call on; how they have done stays known."""
        self._ensemble = ensemble

    def standing(self) -> dict[str, MemberStanding]:
        """Return how each member has done, by `name@version`."""
        return {key: member.standing() for key, member in self._members.items()}

    def _begin(self, ask: Ask, rows: FloatArray, n_context: int) -> dict[str, Callable[[], FloatArray]]:
        """Ask all members that may be asked, each in its thread; return what waits for each until their deadline."""
        deadline = time.monotonic() + self._timeout_s
        return {
            key: member.begin(functools.partial(ask, key, rows, n_context), deadline)
            for key, member in self._members.items()
            if member.at_ease or member.may_be_asked()
        }


class _LateError(Exception):
    """A member did not answer in time."""


class _Member:
    """What is known of one member; its lock is held for bookkeeping only."""

    def __init__(self, key: str, clock: Callable[[], float]) -> None:
        self._key = key
        self._breaker = CircuitBreaker(clock)
        self._counts: dict[LeftOut, int] = dict.fromkeys(("failed", "late", "skipped"), 0)
        self._last_error = ""
        self._lock = threading.Lock()
        self._tried = False
        self.at_ease = True
        """Whether it answered last: the breaker need not be asked then."""
        self._overdue: Future[FloatArray] | None = None
        self._tasks: queue.SimpleQueue[tuple[Future[FloatArray], Callable[[], FloatArray]]] | None = None

    def may_be_asked(self) -> bool:
        """Return whether to ask it in this call: it is not overdue, left alone, or being tried by another call."""
        with self._lock:
            if self._overdue is not None and not self._overdue.done():
                return False
            self._overdue = None
            allowed = self._breaker.allows(1)
            if not allowed or self._breaker.phase == "closed":
                return allowed
            allowed, self._tried = not self._tried, True
            return allowed

    def begin(self, task: Callable[[], FloatArray], deadline: float) -> Callable[[], FloatArray]:
        """Queue work for its thread; return what waits for the outcome and raises _LateError after the deadline."""
        future: Future[FloatArray] = Future()
        with self._lock:
            if self._tasks is None:
                self._tasks = queue.SimpleQueue()
                threading.Thread(target=_work, args=(self._tasks,), name=f"member {self._key}", daemon=True).start()
            self._tasks.put((future, task))

        def wait() -> FloatArray:
            done, _ = concurrent.futures.wait([future], max(0.0, deadline - time.monotonic()))
            if done:
                return future.result()
            if not future.cancel():  # what has not begun never will
                with self._lock:
                    self._overdue = future
            raise _LateError

        return wait

    def answered(self) -> None:
        """Take note that it did."""
        with self._lock:
            self._breaker.succeeded()
            self._tried = False
            self.at_ease = True

    def left_out(self, reason: LeftOut, error: Exception | None = None) -> LeftOut:
        """Count that it has no part in an answer; return why."""
        with self._lock:
            self._counts[reason] += 1
            if error is not None:
                self._last_error = repr(error)
            if reason != "skipped":
                self._breaker.failed()
                self._tried = self.at_ease = False
        return reason

    def standing(self) -> MemberStanding:
        """Return what is known of it."""
        with self._lock:
            stuck = self._overdue is not None and not self._overdue.done()
            return MemberStanding(
                state="open" if stuck else self._breaker.phase, last_error=self._last_error, **self._counts
            )


def _work(tasks: queue.SimpleQueue[tuple[Future[FloatArray], Callable[[], FloatArray]]]) -> None:
    """Do one task after the other, for ever; a daemon thread, so that a hung member cannot keep the process."""
    while True:
        future, task = tasks.get()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(task())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)
