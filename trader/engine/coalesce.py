"""Sparing messages: most batches of ticks complete no bar, and need no message of their own."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from trader.engine.shard import ShardOutput

__all__ = ["Coalescer"]


class Coalescer:
    """Holds back outputs without bars for a while after the last message; one with bars leaves at once.

    Another shard's bars wait for the news that this shard has none. After a pause the news is passed on at once; in
    a fast stream it costs no more messages than the time allows. What is still held when the stream stops is for
    the caller to `flush`.

    Parameters
    ----------
    silence_ns : int
        Time after a message in which outputs without bars are held back; 0 holds back none.
    now_ns : callable
        A clock that never goes back.
    """

    def __init__(self, silence_ns: int, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._silence_ns = silence_ns
        self._now_ns = now_ns
        self._sent_ns = now_ns() - silence_ns
        self._held: ShardOutput | None = None

    def add(self, output: ShardOutput) -> ShardOutput | None:
        """Take the next output; return what is to be sent now, if anything."""
        if self._held is not None:
            output = dataclasses.replace(
                output,
                first_seq=self._held.first_seq,
                n_ticks=self._held.n_ticks + output.n_ticks,
                n_late=self._held.n_late + output.n_late,
            )
        now_ns = self._now_ns()
        if output.n_bars == 0 and now_ns - self._sent_ns < self._silence_ns:
            self._held = output
            return None
        self._held, self._sent_ns = None, now_ns
        return output

    def flush(self) -> ShardOutput | None:
        """Return what is held back, if anything."""
        held, self._held = self._held, None
        if held is not None:
            self._sent_ns = self._now_ns()
        return held
