"""What every sink promises. The conformance suite is `tests/conformance/test_sinks.py`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from trader.core.protocols import MarketBatch

__all__ = ["Sink", "SinkStatus"]


@dataclasses.dataclass(frozen=True, slots=True)
class SinkStatus:
    """How a sink fares: every row that was put is written, repeated, dropped or waiting.

    Parameters
    ----------
    name : str
    written : int
        Rows that the other side has acknowledged.
    repeated : int
        Rows left out because it had them already.
    dropped : mapping of str to int
        Rows let go of, by reason: `overflow` (no room, the oldest went), `refused` (no room, the new ones went),
        `closed` (put after the end), `unsent` (still waiting at the end), `unknown` (sent, but not answered by the
        end), `failed` (the other side will never take them).
    waiting : int
        Rows in memory.
    trouble : str
        Why nothing is written now; empty if all is well.
    retries : int
        Times that what was sent was not acknowledged, and was kept to be sent again.
    outages : int
        Times that the sink went away.
    """

    name: str
    written: int
    repeated: int
    dropped: Mapping[str, int]
    waiting: int
    trouble: str
    retries: int = 0
    outages: int = 0

    @property
    def dropped_rows(self) -> int:
        """Rows let go of, for whatever reason."""
        return sum(self.dropped.values())


@runtime_checkable
class Sink(Protocol):
    """Takes batches without keeping the caller waiting, in bounded memory."""

    def check(self) -> None:
        """Raise TraderError if the other side does not answer, or does not let us write."""
        ...

    def put(self, batch: MarketBatch, number: int | None = None) -> bool:
        """Take a batch; return False if it was not taken, and counted.

        Numbers of a sink may skip but not fall; without one the sink counts. What has a number that was written before
        under the same source, by another process perhaps, is a repeat.
        """
        ...

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was put is written or dropped; return whether it was in time."""
        ...

    def close(self, timeout_s: float = 10.0) -> None:
        """Write what waits for at most `timeout_s`, drop and count the rest; later calls change nothing."""
        ...

    def status(self) -> SinkStatus:
        """Return how it fares."""
        ...
