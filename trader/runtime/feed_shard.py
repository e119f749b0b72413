"""A live feed and the only shard of a run in one process: ticks go from the socket to the features without a hop."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.events import SinkTrouble
from trader.core.protocols import FeedBatch
from trader.data.live.troubles import Trouble
from trader.runtime.actors import FeedPump, RunContext, SymbolShard
from trader.telemetry.feed_metrics import FeedCounters
from trader.telemetry.sink_metrics import SinkCounters

__all__ = ["FeedShard"]

_TURN_S = 0.0005
"""How long the socket's thread may wait for the one that computes, and the other way round; Python's own is 5 ms."""


class FeedShard:
    """Feed pump and symbol shard as one actor, which the session takes for both.

    Parameters
    ----------
    context : RunContext
    symbol_ids : ndarray of shape (n_symbols,)
        All of the run.
    """

    shard_kind: type[SymbolShard] = SymbolShard

    def __init__(self, context: RunContext, symbol_ids: NDArray[np.int32]) -> None:
        sys.setswitchinterval(_TURN_S)
        self._shard = self.shard_kind(context, 0, symbol_ids)
        self._pump = _Pump(context, self._shard)

    def pid(self) -> int:
        """Return the process id."""
        return self._pump.pid()

    def stop(self) -> None:
        """End the running pump after the batch it is at."""
        self._pump.stop()

    def dropped_rows(self) -> int:
        """Return how many rows were let go of, because the shard was too slow."""
        return self._pump.dropped_rows()

    def troubles(self) -> list[Trouble]:
        """Return what went wrong with the feed since the last call."""
        return self._pump.troubles()

    def rejected(self) -> dict[str, int]:
        """Return how many rows were refused so far, by reason."""
        return self._pump.rejected()

    def counters(self) -> list[FeedCounters | SinkCounters]:
        """Return what the sources have brought, how long it took to be in the features, and how the sinks fare."""
        return [*self._pump.counters(), *self._shard.counters()]

    def sink_events(self, at_end: bool = False) -> list[SinkTrouble]:
        """Return what is new of the sinks; at the end they are closed first."""
        return self._shard.sink_events(at_end)

    def reset(self, epoch: int, durable_batch: int, decision: Any, feed_life: int = 0) -> int:
        """Go back to a state not after `durable_batch`; return the number of the batch needed next."""
        return self._shard.reset(epoch, durable_batch, decision, feed_life)

    def pump(self, epoch: int, from_seq: int, durable_batch: int, shards: Sequence[Any]) -> bool:
        """Process the batches from `from_seq` on; return whether the feed was used up."""
        return self._pump.pump(epoch, from_seq, durable_batch, shards)


class _Pump(FeedPump):
    """Hands batches over in this process."""

    def __init__(self, context: RunContext, shard: SymbolShard) -> None:
        super().__init__(context)
        self._shard = shard

    def _deliver(
        self,
        epoch: int,
        batches: Iterator[FeedBatch],
        shards: Sequence[Any],  # noqa: ARG002 - this actor itself
        cleanup: contextlib.ExitStack,  # noqa: ARG002 - nothing is opened
    ) -> None:
        self._shard.take_all(epoch, batches)
