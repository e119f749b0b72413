"""Sparing messages: most batches of ticks complete no bar, and need no message of their own."""

from __future__ import annotations

import dataclasses

from trader.engine.shard import ShardOutput

__all__ = ["Coalescer"]


class Coalescer:
    """Holds back outputs without bars until one with bars comes, or too many are held.

    Another shard's bars wait for the news that this shard has none, so silence is reported after `max_silent`
    batches at the latest.

    Parameters
    ----------
    max_silent : int
        Batches held back at most; 0 holds back none.
    """

    def __init__(self, max_silent: int) -> None:
        self._max_silent = max_silent
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
        if output.n_bars == 0 and output.seq - output.first_seq < self._max_silent:
            self._held = output
            return None
        self._held = None
        return output

    def flush(self) -> ShardOutput | None:
        """Return what is held back, if anything."""
        held, self._held = self._held, None
        return held
