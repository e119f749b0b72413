"""Two of the three kinds of actor, feed pump and symbol shard. Plain classes, wrapped by `session.py`.

Batches go from the feed to the shards through a channel of their own (`channel.py`), and what the shards make of them
to the decision actor by actor calls, at most `WINDOW` unacknowledged: a slow stage slows the ones before it down.
An error in a late stage surfaces in the pump, whose call the session watches.

Every call and every channel carries the epoch of the session. An actor that was restarted, or has been told of
a newer epoch, refuses those of another one, so nothing of a broken pass can mix into the next.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import gc
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from trader.core.errors import OperationError
from trader.core.events import SinkTrouble
from trader.core.market import BarBatch
from trader.core.protocols import FeedBatch, FeedInfo
from trader.data.buffer import BoundedBuffer
from trader.data.feeds import open_feed
from trader.data.live.feed import LiveFeed
from trader.data.live.troubles import Trouble
from trader.engine.coalesce import Coalescer
from trader.engine.shard import ShardOutput, ShardProcessor, build_shard
from trader.engine.source import LiveReader, read_through
from trader.engine.tap import Tap, open_tap
from trader.runtime.channel import Address, Broadcast, ChannelError, Listener, Receiver, new_key
from trader.runtime.checkpoints import CheckpointFolder, CheckpointWriter
from trader.settings import Settings
from trader.telemetry.feed_metrics import FeedCounters, FeedTally
from trader.telemetry.log import LogConfig, configure_logging, get_logger
from trader.telemetry.sink_metrics import SinkCounters

__all__ = ["CONCURRENCY", "CONTROL", "WINDOW", "Actor", "FeedPump", "RunContext", "StaleEpochError", "SymbolShard"]

WINDOW = 16
_SILENCE_S = 0.025
"""How long a shard may keep to itself that it has no bars."""
_POLL_S = 0.25
_DEATH_S = 30.0
"""How long Ray may take to say why a shard's end of a channel is gone."""
CONTROL = "control"
"""Concurrency group of calls that must be answered while the actor works."""
_DATA = "data"
CONCURRENCY = {CONTROL: 2, _DATA: 1}
"""Concurrency groups of every actor; `data` is that of the one call in which a shard receives a pass."""


@dataclasses.dataclass(frozen=True, slots=True)
class RunContext:
    """What every actor of a run is told; context variables do not reach actors."""

    run_id: str
    mode: str
    settings: Settings
    info: FeedInfo
    start_ns: int
    log: LogConfig
    checkpoint_dir: Path
    channel_key: bytes = dataclasses.field(default_factory=new_key, repr=False)
    """Who knows it may send ticks to the shards of this run."""


class StaleEpochError(OperationError):
    """The call belongs to another pass than the one this actor is in."""


class Actor:
    """What the kinds share: the epoch they are in, and a process id that changes when they are restarted."""

    def __init__(self, context: RunContext, part: str) -> None:
        configure_logging(context.log)
        self._log = get_logger(run_id=context.run_id, part=part)
        self._context = context
        self._epoch = -1
        # A full collection over all that was imported takes 0.1 s, and ticks would wait for it.
        gc.freeze()
        self._log.info("started", pid=os.getpid())

    def pid(self) -> int:
        """Return the process id."""
        return os.getpid()

    def node(self) -> str:
        """Return the id of the node it runs on."""
        node_id: str = ray.get_runtime_context().get_node_id()
        return node_id

    def _check(self, epoch: int) -> None:
        if epoch != self._epoch:
            raise StaleEpochError(f"call of epoch {epoch}; this actor is in {self._epoch}")


class FeedPump(Actor):
    """Reads the feed and sends its batches to every shard."""

    def __init__(self, context: RunContext) -> None:
        super().__init__(context, "feed")
        self._feed = open_feed(context.settings.feed, seed=context.settings.run.seed)
        self._live = LiveReader(self._feed) if isinstance(self._feed, LiveFeed) else None
        self._stop = threading.Event()
        self._buffer: BoundedBuffer | None = None

    def stop(self) -> None:
        """End the running pump after the batch it is at."""
        self._stop.set()

    def dropped_rows(self) -> int:
        """Return how many rows the buffer has let go of, because the shards were too slow."""
        if self._live is not None:
            return self._live.dropped_rows
        return 0 if self._buffer is None else self._buffer.dropped_rows

    def troubles(self) -> list[Trouble]:
        """Return what went wrong with a live feed since the last call."""
        return [] if self._live is None else self._live.troubles()

    def counters(self) -> list[FeedCounters]:
        """Return what the sources of a live feed have brought."""
        return self._feed.counters() if isinstance(self._feed, LiveFeed) else []

    def rejected(self) -> dict[str, int]:
        """Return how many rows a live feed has refused so far, by reason; those of a replay are known before a run."""
        if self._live is None:
            return {}
        return {reason: n for reason, n in self._feed.rejected().items() if reason not in ("lost", "came_late")}

    def pump(self, epoch: int, from_seq: int, durable_batch: int, shards: Sequence[Any]) -> bool:
        """Send the batches from `from_seq` on; return whether the feed was used up.

        Those up to `durable_batch` are decided on and only bring shards up to date, so they are not slowed down.

        Raises
        ------
        ray.exceptions.RayError
            If a shard, or the decision behind it, failed.
        """
        self._epoch = epoch
        self._stop.clear()
        with contextlib.ExitStack() as cleanup:
            batches = self._batches(from_seq, durable_batch, cleanup)
            self._deliver(epoch, self._paced(batches, durable_batch), shards, cleanup)
        return not self._stop.is_set()

    def _paced(self, batches: Iterator[FeedBatch], durable_batch: int) -> Iterator[FeedBatch]:
        speed = self._context.settings.run.speed
        for batch in batches:
            if self._stop.is_set():
                return
            if speed and batch.seq > durable_batch and batch.watermark_ns >= self._context.start_ns:
                time.sleep(1.0 / speed)
            yield batch

    def _deliver(
        self, epoch: int, batches: Iterator[FeedBatch], shards: Sequence[Any], cleanup: contextlib.ExitStack
    ) -> None:
        """Send all batches to the shards, and return when they have processed them."""
        receiving, out = self._connect(epoch, shards, cleanup)
        try:
            for batch in batches:
                out.send(batch)
            out.end()
        except ChannelError:
            _raise_failed(receiving, timeout_s=_DEATH_S)
            raise
        ray.get(receiving)

    def _batches(self, from_seq: int, durable_batch: int, cleanup: contextlib.ExitStack) -> Iterator[FeedBatch]:
        if self._live is not None:
            # Closed with the pass, whatever ends it: the next one may connect only then.
            return cleanup.enter_context(contextlib.closing(self._live.batches(from_seq, durable_batch)))
        settings = self._context.settings.feed
        if settings.overflow == "block":
            return self._feed.batches(from_seq)
        self._buffer = BoundedBuffer(settings.buffer_batches, settings.overflow)
        return read_through(self._feed, from_seq, self._buffer)

    def _connect(self, epoch: int, shards: Sequence[Any], cleanup: contextlib.ExitStack) -> tuple[list[Any], Broadcast]:
        """Have every shard receive; return their calls, which end with the pass, and the channel to all of them."""
        key, here = self._context.channel_key, self.node()
        receiving: list[Any] = []
        peers: list[socket.socket] = []
        for shard, node in zip(shards, ray.get([shard.node.remote() for shard in shards]), strict=True):
            listener = Listener(key, epoch, None if node == here else ray.util.get_node_ip_address())
            with contextlib.closing(listener):
                receiving.append(shard.receive.options(concurrency_group=_DATA).remote(epoch, listener.address))
                while (peer := listener.accept(_POLL_S)) is None:
                    _raise_failed(receiving, timeout_s=0)
                if listener.refused:
                    self._log.warning("strangers_refused", count=listener.refused)
            cleanup.callback(peer.close)
            peers.append(peer)
        return receiving, Broadcast(peers, on_stall=lambda: _raise_failed(receiving, timeout_s=0))


class SymbolShard(Actor):
    """Builds bars and features for its symbols and pushes them to the decision actor."""

    def __init__(self, context: RunContext, shard: int, symbol_ids: NDArray[np.int32]) -> None:
        super().__init__(context, f"shard-{shard}")
        self._shard = shard
        self._symbol_ids = symbol_ids
        self._checkpoints = CheckpointFolder(context.checkpoint_dir, shard)
        self._writer = CheckpointWriter(self._checkpoints)
        self._turn = threading.Lock()
        self._channel: Receiver | None = None
        self._processor: ShardProcessor | None = None
        self._decision: Any = None
        self._coalescer = Coalescer(0)
        self._resent_until = -1
        self._pending: collections.deque[Any] = collections.deque()
        is_shown = context.settings.telemetry.metrics_port is not None and context.info.span_ns is None
        symbols = context.info.universe.symbols
        self._tally = FeedTally(f"shard-{shard}", symbols) if is_shown else None
        self._tap: Tap | None = None
        self._tap_life: int | None = None

    def reset(self, epoch: int, durable_batch: int, decision: Any, feed_life: int = 0) -> int:
        """Go back to a state not after `durable_batch`; return the number of the batch needed next.

        A pass that is still being received ends: its channel is closed first. In another life of a live feed, the
        numbers of its batches begin again behind `durable_batch` with other content, which sinks take as another
        source's.
        """
        self._epoch = -1
        channel = self._channel
        if channel is not None:
            channel.hang_up()
        with self._turn:
            self._writer.wait()
            self._open_tap(feed_life)
            processor = build_shard(self._context.info, self._symbol_ids, self._context.settings, self._tap)
            found = self._checkpoints.newest(durable_batch)
            if found is not None:
                processor.restore(found[1])
            self._processor = processor
            self._decision = decision
            self._coalescer = Coalescer(int(_SILENCE_S * 1e9))
            self._resent_until = durable_batch
            self._pending.clear()
            self._epoch = epoch
            self._log.info("reset", epoch=epoch, next_batch=processor.next_seq)
            return processor.next_seq

    def receive(self, epoch: int, address: Address) -> None:
        """Process what comes through the channel; return when the feed has ended and all of it is decided on.

        Raises
        ------
        ChannelError
            If the feed hung up before its end.
        ray.exceptions.RayError
            If the decision actor failed.
        """
        with self._turn, contextlib.closing(Receiver(address, self._context.channel_key, epoch)) as channel:
            # In this order: a reset either sees the channel and closes it, or has already changed the epoch.
            self._channel = channel
            self._check(epoch)
            for batch in channel.batches(_SILENCE_S, lambda: self._send(epoch, self._coalescer.flush())):
                self._take(epoch, batch)
            self._drain(epoch)

    def take_all(self, epoch: int, batches: Iterable[FeedBatch]) -> None:
        """Process batches that come in this process; return when all of it is decided on."""
        with self._turn:
            self._check(epoch)
            for batch in batches:
                self._take(epoch, batch)
            self._drain(epoch)

    def counters(self) -> list[FeedCounters | SinkCounters]:
        """Return how long the ticks of a live feed took to be in the features, and how the sinks fare."""
        found: list[FeedCounters | SinkCounters] = []
        if self._tally is not None:
            found.append(dataclasses.replace(self._tally.counters(), counts={}))
        tap = self._tap
        return found if tap is None else [*found, *tap.counters(self._shard)]

    def sink_events(self, at_end: bool = False) -> list[SinkTrouble]:
        """Return what is new of the sinks; at the end they are closed first."""
        tap = self._tap
        if tap is None:
            return []
        if at_end:
            tap.close(self._context.settings.sinks.close_s)
        return tap.events(self._context.run_id, at_end=at_end)

    def _open_tap(self, feed_life: int) -> None:
        if feed_life == self._tap_life:
            return
        context = self._context
        if self._tap is not None:
            self._tap.close(context.settings.sinks.close_s)
        source = f"{context.run_id}/shard-{self._shard}" + (f"@{feed_life}" if feed_life else "")
        self._tap = open_tap(context.settings.sinks, context.info, self._symbol_ids, source)
        self._tap_life = feed_life

    def _take(self, epoch: int, batch: FeedBatch) -> None:
        """Process one batch and pass the result on; batches before the next one are repeats and ignored."""
        processor = self._processor
        assert processor is not None  # noqa: S101 - an epoch is only ever set together with a processor
        if batch.seq < processor.next_seq:
            return
        output = processor.process(batch)
        if self._tally is not None and not isinstance(batch.data, BarBatch):
            taken = time.time_ns() - batch.data.ts_recv_ns
            self._tally.observe("receive_to_features", batch.data.symbol_id, taken)
        if batch.seq > self._resent_until:
            self._send(epoch, self._coalescer.add(output))
        if (batch.seq + 1) % self._context.settings.ray.checkpoint_every == 0:
            if self._tap is not None:
                self._tap.settle()
            self._writer.save(batch.seq, processor.state())

    def _send(self, epoch: int, output: ShardOutput | None) -> None:
        if output is None:
            return
        self._pending.append(self._decision.push.remote(epoch, self._shard, output))
        while len(self._pending) > WINDOW:
            ray.get(self._pending.popleft())

    def _drain(self, epoch: int) -> None:
        """Wait until everything sent so far has been decided on, and the last checkpoint is on disk."""
        self._send(epoch, self._coalescer.flush())
        while self._pending:
            ray.get(self._pending.popleft())
        self._writer.wait()


def _raise_failed(calls: Sequence[Any], timeout_s: float) -> None:
    """Raise what one of the calls ended with, if one ends within the time."""
    ended, _ = ray.wait(list(calls), num_returns=1, timeout=timeout_s)
    ray.get(ended)
