"""A live feed behind the `Feed` protocol."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Generator, Mapping, Sequence

from trader.core.errors import OperationError, TraderError
from trader.core.market import QuoteBatch, TradeBatch, Universe
from trader.core.protocols import FeedBatch, FeedInfo
from trader.data.buffer import BoundedBuffer
from trader.data.live.decoder import LiveKind
from trader.data.live.runner import Runner
from trader.data.live.source import Source
from trader.data.live.troubles import Trouble, Troubles
from trader.settings.sections import LiveSettings
from trader.telemetry.feed_metrics import FeedCounters

__all__ = ["LiveFeed", "LiveStatus", "SourceStatus"]

_IDLE_S = 0.25
"""A consumer is given an empty batch at least so often, so that it can stop."""
_JOIN_S = 5.0
_TRADE_FIELDS = frozenset({"open", "high", "low", "close", "volume", "vwap"})
_QUOTE_FIELDS = frozenset({"open", "high", "low", "close", "spread"})


@dataclasses.dataclass(frozen=True, slots=True)
class SourceStatus:
    """How one source fares.

    `clock_ahead_ms` is how far the vendor's clock is taken to run ahead of ours; `health` the share of symbols of which
    it owes nothing that another source has brought.
    """

    name: str
    url: str
    is_open: bool
    messages: int
    bytes: int
    connections: int
    clock_ahead_ms: float
    health: float
    left_out: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class LiveStatus:
    """How a live feed fares; `active` names the source of each symbol, where there are several."""

    sources: tuple[SourceStatus, ...]
    active: Mapping[str, str]
    dropped_rows: int
    troubles: Mapping[str, int]

    @property
    def messages(self) -> int:
        """Messages of all sources."""
        return sum(source.messages for source in self.sources)

    @property
    def connections(self) -> int:
        """Connections made, by all sources."""
        return sum(source.connections for source in self.sources)

    @property
    def clock_ahead_ms(self) -> float:
        """The largest of the sources."""
        return max(source.clock_ahead_ms for source in self.sources)


class LiveFeed:
    """Ticks from one or several vendors' streams, as they come.

    Unlike a replay, it gives every batch once: `batches(from_seq)` connects and numbers what comes from `from_seq` on.
    While nothing comes, batches of no rows say how far time has passed, and let a consumer stop. One pass at
    a time is allowed, for vendors allow one connection.

    Parameters
    ----------
    name : str
    sources : sequence of Source
        In the order of their priority; each symbol comes from one of them at a time.
    universe : Universe
    kind : {"trades", "quotes"}
    settings : LiveSettings
    batch_rows : int, default=10_000
        Largest number of rows of a batch, but for those of a message.
    buffer_batches : int, default=64
        Batches that wait for a slow consumer; the oldest are dropped then, and counted.
    """

    def __init__(
        self,
        name: str,
        sources: Sequence[Source],
        universe: Universe,
        kind: LiveKind,
        settings: LiveSettings,
        *,
        batch_rows: int = 10_000,
        buffer_batches: int = 64,
    ) -> None:
        identity = json.dumps([name, *(source.url for source in sources), universe.symbols, kind])
        self._info = FeedInfo(
            name=name,
            universe=universe,
            kind=kind,
            fields=_fields_of(sources, kind),
            fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        )
        self._sources = tuple(sources)
        self._kind = kind
        self._settings = settings
        self._batch_rows = batch_rows
        self._buffer_batches = buffer_batches
        self._buffer = BoundedBuffer(buffer_batches, "drop_oldest")
        self._runner: Runner | None = None
        self._troubles = Troubles()
        self._busy = threading.Lock()
        self._dropped_before = 0
        self._unread = 0

    @property
    def info(self) -> FeedInfo:
        """What it delivers; the fingerprint names the source, not its content."""
        return self._info

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where it connects to, in the order of priority."""
        return self._sources

    @property
    def dropped_rows(self) -> int:
        """Rows let go of because the consumer was too slow."""
        return self._dropped_before + self._buffer.dropped_rows

    def rejected(self) -> Mapping[str, int]:
        """Return how many messages and rows were left out so far, by reason.

        `came_late` and `unknown_condition` were taken all the same. `unread` are rows that had come when a consumer
        ended its pass; `other_source` and `superseded` are those of a source that another one had brought, or stood in
        for.
        """
        found: collections.Counter[str] = collections.Counter()
        for source in self._sources:
            found.update(source.decoder.counts())
        if self._runner is not None:
            found.update(self._runner.failover.counts())
            found.update({"too_late": sum(keeper.intake.too_late for keeper in self._runner.keepers)})
        return {reason: n for reason, n in found.items() if n} | ({"unread": self._unread} if self._unread else {})

    def troubles(self) -> list[Trouble]:
        """Return what went wrong since the last call, oldest first."""
        return self._troubles.take()

    def status(self) -> LiveStatus:
        """Return how it fares."""
        runner = self._runner
        health = {} if runner is None else runner.failover.health(time.time_ns())
        return LiveStatus(
            sources=tuple(
                SourceStatus(
                    name=source.name,
                    url=source.url,
                    is_open=runner is not None and runner.keepers[place].is_open,
                    messages=source.decoder.messages,
                    bytes=source.decoder.bytes,
                    connections=0 if runner is None else runner.keepers[place].connections,
                    clock_ahead_ms=source.decoder.clock.shift_ns / 1e6,
                    health=health.get(source.name, 0.0),
                    left_out=source.decoder.counts(),
                )
                for place, source in enumerate(self._sources)
            ),
            active=runner.failover.active() if runner is not None and len(self._sources) > 1 else {},
            dropped_rows=self.dropped_rows,
            troubles=self._troubles.counts(),
        )

    def counters(self) -> list[FeedCounters]:
        """Return what the sources have brought in this pass, by symbol."""
        if self._runner is None:
            return []
        return [keeper.intake.counters(max(0, keeper.connections - 1)) for keeper in self._runner.keepers]

    def batches(self, from_seq: int = 0) -> Generator[FeedBatch]:
        """Connect and yield what comes, numbered from `from_seq` on, until `feed.live.duration_s` or for ever.

        Raises
        ------
        ServiceUnavailableError
            If nothing came by the start deadline.
        OperationError
            If another pass has not ended.
        """
        if from_seq < 0:
            raise ValueError(f"from_seq={from_seq}; 0 or more is allowed")
        return self._pass(from_seq)

    def _pass(self, seq: int) -> Generator[FeedBatch]:
        if not self._busy.acquire(blocking=False):
            raise OperationError(f"feed {self._info.name!r} is being read; one pass at a time is allowed")
        self._dropped_before += self._buffer.dropped_rows
        self._buffer = buffer = BoundedBuffer(self._buffer_batches, "drop_oldest", self._on_drop)
        self._runner = runner = Runner(
            self._sources, self._info.universe.symbols, buffer, self._settings, self._batch_rows, self._troubles
        )
        thread = threading.Thread(target=runner.run, name=f"feed-{self._info.name}", daemon=True)
        thread.start()
        empty = (TradeBatch if self._kind == "trades" else QuoteBatch).empty()
        watermark_ns = 0
        try:
            while True:
                try:
                    batch = buffer.get(_IDLE_S)
                except TimeoutError:
                    batch = FeedBatch(seq, watermark_ns, empty)
                if batch is None:
                    return
                yield dataclasses.replace(batch, seq=seq)
                seq, watermark_ns = seq + 1, batch.watermark_ns
        except OperationError as error:
            if isinstance(error.__cause__, TraderError):
                raise error.__cause__ from None
            raise
        finally:
            runner.stop()
            thread.join(_JOIN_S)
            self._unread += _drain(buffer)
            self._busy.release()

    def _on_drop(self, batch: FeedBatch) -> None:
        if self._runner is not None:
            self._runner.count_dropped(batch)


def _fields_of(sources: Sequence[Source], kind: LiveKind) -> frozenset[str]:
    """Return what a recording of these ticks would declare, so that models of one serve the other."""
    if kind == "quotes":
        return _QUOTE_FIELDS
    return _TRADE_FIELDS | ({"buy_volume"} if all(source.tells_side for source in sources) else set())


def _drain(buffer: BoundedBuffer) -> int:
    """Close a buffer that nobody reads on, and return how many rows it held."""
    buffer.close()
    rows = 0
    with contextlib.suppress(OperationError):
        while (left := buffer.get()) is not None:
            rows += len(left.data)
    return rows
