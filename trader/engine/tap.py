"""The ticks and bars of a run, passed to sinks beside the pipeline."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import TraderError
from trader.core.events import SinkTrouble
from trader.core.market import BarBatch, Universe
from trader.core.protocols import FeedInfo, MarketBatch
from trader.data.sinks.open import open_sinks
from trader.data.sinks.queued import Overflow, QueuedSink
from trader.settings import SinkSettings
from trader.telemetry.sink_metrics import SinkCounters

__all__ = ["Tap", "open_tap"]

_AGAIN_S = 10.0
"""A sink that goes on dropping is told of so often."""


@dataclasses.dataclass(slots=True)
class _Told:
    """What was last said of a sink."""

    at_s: float = float("-inf")
    dropped: int = 0
    is_away: bool = False


class Tap:
    """Passes a shard's ticks and bars on; nothing that sinks do slows or stops the run, but is told.

    Parameters
    ----------
    ticks, bars : sequence of QueuedSink
    """

    def __init__(self, ticks: Sequence[QueuedSink], bars: Sequence[QueuedSink]) -> None:
        self._ticks = tuple(ticks)
        self._bars = tuple(bars)
        self._told = {id(sink): _Told() for sink in (*ticks, *bars)}

    def on_batch(self, seq: int, data: MarketBatch, bars: BarBatch) -> None:
        """Take what batch `seq` of the feed held and completed; for a feed of bars both are bars, and taken once."""
        if not isinstance(data, BarBatch):
            for sink in self._ticks:
                sink.put(data, seq)
        for sink in self._bars:
            sink.put(bars, seq)

    def settle(self, timeout_s: float = 1.0) -> None:
        """Wait for sinks that are well and write at once: what they have, a checkpoint may leave behind."""
        for sink in (*self._ticks, *self._bars):
            sink.settle(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Write what waits for at most `timeout_s`, all sinks together; drop and count the rest."""
        # All at once: one that is away must not use up the time of the others.
        for sink in (*self._ticks, *self._bars):
            sink.begin_close(timeout_s)
        for sink in (*self._ticks, *self._bars):
            sink.close()

    def counters(self, shard: int) -> list[SinkCounters]:
        """Return how the sinks fare, as those of a shard."""
        found = []
        for data, sinks in (("ticks", self._ticks), ("bars", self._bars)):
            for sink in sinks:
                now = sink.status()
                found.append(
                    SinkCounters(
                        sink=now.name,
                        data=data,
                        shard=shard,
                        written=now.written,
                        repeated=now.repeated,
                        dropped=now.dropped,
                        waiting=now.waiting,
                        retries=now.retries,
                        outages=now.outages,
                        is_away=bool(now.trouble),
                    )
                )
        return found

    def events(self, run_id: str, *, at_end: bool = False) -> list[SinkTrouble]:
        """Return what is new: sinks that went away or came back, and rows dropped, these every ten seconds."""
        found = []
        now_s = time.monotonic()
        for sink in (*self._ticks, *self._bars):
            status, told = sink.status(), self._told[id(sink)]
            has_turned = bool(status.trouble) != told.is_away
            has_dropped = status.dropped_rows > told.dropped and (at_end or now_s - told.at_s >= _AGAIN_S)
            if not has_turned and not has_dropped:
                continue
            found.append(
                SinkTrouble(
                    run_id=run_id,
                    trace_id="",
                    ts_ns=time.time_ns(),
                    sink=status.name,
                    trouble=status.trouble,
                    dropped=status.dropped_rows - told.dropped,
                )
            )
            told.at_s, told.dropped, told.is_away = now_s, status.dropped_rows, bool(status.trouble)
        return found


def open_tap(
    settings: SinkSettings,
    info: FeedInfo,
    symbol_ids: NDArray[np.int32],
    source: str,
) -> Tap | None:
    """Return the tap of some symbols; None if the settings name no sinks.

    A replay waits for sinks that are slower than it is, a live feed never.

    Raises
    ------
    TraderError
        If an optional library is missing, or an address is of another form.
    """
    symbols = Universe(tuple(info.universe.symbols[n] for n in symbol_ids.tolist()))
    overflow: Overflow = "drop_oldest" if info.span_ns is None else "wait"
    opened: list[QueuedSink] = []
    try:
        ticks = [] if info.kind == "bars" else open_sinks(settings, symbols, source, "ticks", overflow)
        opened += ticks
        bars = open_sinks(settings, symbols, source, "bars", overflow)
    except TraderError:
        for sink in opened:
            sink.close(0.0)
        raise
    return Tap(ticks, bars) if ticks or bars else None
