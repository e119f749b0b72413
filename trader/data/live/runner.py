"""Runs the sources of a live feed in one thread."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from collections.abc import Sequence

from trader.core.errors import ServiceUnavailableError
from trader.core.market import QuoteBatch, TradeBatch
from trader.core.protocols import FeedBatch
from trader.data.buffer import BoundedBuffer
from trader.data.live.failover import Failover
from trader.data.live.keeper import Keeper
from trader.data.live.source import Source
from trader.data.live.troubles import Trouble, Troubles
from trader.settings.sections import LiveSettings

__all__ = ["Runner"]

_LOOK_S = 0.02


class Runner:
    """Keeps all sources connected and fills a buffer with what they bring, each symbol from one of them at a time.

    Parameters
    ----------
    sources : sequence of Source
        In the order of their priority.
    symbols : sequence of str
    buffer : BoundedBuffer
        Should drop the oldest: a full buffer may not keep the sockets waiting.
    settings : LiveSettings
    batch_rows : int
        Rows that are passed on at once, however little time has passed.
    troubles : Troubles
        Told of everything that goes wrong.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        symbols: Sequence[str],
        buffer: BoundedBuffer,
        settings: LiveSettings,
        batch_rows: int,
        troubles: Troubles,
    ) -> None:
        self._buffer = buffer
        self._settings = settings
        self._troubles = troubles
        self._stop = threading.Event()
        self.failover = Failover([source.name for source in sources], symbols, settings, self._emit, troubles)
        """Which source each symbol is taken from."""
        self.keepers = tuple(
            Keeper(
                source,
                symbols,
                functools.partial(self.failover.put, place),
                functools.partial(self.failover.note_barred, place),
                settings,
                batch_rows,
                troubles,
            )
            for place, source in enumerate(sources)
        )
        """One a source."""
        self._failed: set[int] = set()
        self._dropped_told = 0
        self._dropped_told_s = 0.0

    def count_dropped(self, batch: FeedBatch) -> None:
        """Count rows that the consumer did not take, for the source that its symbols come from."""
        if len(batch.data):
            place = self.failover.place_of(int(batch.data.symbol_id[0]))
            self.keepers[place].intake.count_dropped(batch.data.symbol_id)

    def stop(self) -> None:
        """End soon; may be called from any thread."""
        self._stop.set()

    def run(self) -> None:
        """Work until `stop`, `duration_s` or the start deadline; close the buffer, with the error if there is one."""
        error: BaseException | None = None
        try:
            asyncio.run(self._main())
        except BaseException as raised:  # noqa: BLE001 - handed to the consumer, which raises it
            error = raised
        self._buffer.close(error)

    async def _main(self) -> None:
        tasks = [asyncio.create_task(keeper.run()) for keeper in self.keepers]
        began = time.monotonic()
        try:
            while not self._stop.is_set():
                await asyncio.sleep(_LOOK_S)
                for keeper in self.keepers:
                    keeper.pass_on()
                self.failover.look(time.time_ns())
                self._look_at_drops(at_end=False)
                age = time.monotonic() - began
                self._look_at_failures(tasks, age)
                if self._settings.duration_s is not None and age > self._settings.duration_s:
                    break
        finally:
            waiting = set(tasks)
            while waiting:
                # Again and again: what ends just when it is cancelled may take no notice.
                for task in waiting:
                    task.cancel()
                _, waiting = await asyncio.wait(waiting, timeout=_LOOK_S)
            await asyncio.gather(*tasks, return_exceptions=True)
        for keeper in self.keepers:
            keeper.pass_on(at_end=True)
        self._look_at_drops(at_end=True)

    def _look_at_failures(self, tasks: Sequence[asyncio.Task[None]], age_s: float) -> None:
        """End where no source can bring anything; where others can, go on without those that failed."""
        is_late = age_s > self._settings.start_deadline_s
        for place, (task, keeper) in enumerate(zip(tasks, self.keepers, strict=True)):
            if place in self._failed or not (task.done() or (is_late and not keeper.has_brought)):
                continue
            if task.done():
                task.result()
            self._failed.add(place)
            if len(self.keepers) > 1:
                name, why = keeper.source.name, keeper.why_nothing()
                self._troubles.add(Trouble(time.time_ns(), "source_failed", why, source=name))
        if all(task.done() for task in tasks) or (is_late and not any(keeper.has_brought for keeper in self.keepers)):
            reasons = [f"no tick came from {keeper.source.url}: {keeper.why_nothing()}" for keeper in self.keepers]
            within = f"feed.live.start_deadline_s={self._settings.start_deadline_s:g}"
            raise ServiceUnavailableError(f"{'; '.join(reasons)} (waited {age_s:.1f} s, {within})")

    def _emit(self, data: TradeBatch | QuoteBatch, watermark_ns: int, ahead_ns: int) -> None:
        self._buffer.put(FeedBatch(0, watermark_ns, data, ahead_ns))

    def _look_at_drops(self, *, at_end: bool) -> None:
        """Report rows dropped, all of a second together."""
        dropped = self._buffer.dropped_rows - self._dropped_told
        if dropped and (at_end or time.monotonic() - self._dropped_told_s > 1.0):
            self._dropped_told, self._dropped_told_s = self._dropped_told + dropped, time.monotonic()
            detail = f"{dropped} rows, the consumer is too slow"
            self._troubles.add(Trouble(time.time_ns(), "rows_dropped", detail, count=dropped))
