"""Fetching over REST what a stream has missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from trader.data.live.decoder import LostRows, Mark
from trader.data.live.source import Gap, Source
from trader.data.live.troubles import TroubleKind

if TYPE_CHECKING:
    import httpx

__all__ = ["Backfill", "Report"]

Report = Callable[[TroubleKind, str, str, int], None]
"""Told of kind, detail, symbol and number of rows."""

_PATIENCE_NS = 100_000_000
"""A number that was skipped is fetched after so long, for it may be on its way."""
_QUIET_S = 1.0
"""After so long without a row, a new connection is taken to have subscribed."""


class Backfill:
    """Fills what was missed between two connections, and numbers skipped within one.

    After a reconnection the feed passes nothing on (`is_holding`) until what was missed has come or `timeout_s` has
    passed, so that it comes in its place. Fetching begins with the first new row, for what happens before
    the new subscription counts is missed as well. What cannot be had is reported as a gap.

    Parameters
    ----------
    source : Source
        Without a history, gaps are only reported.
    symbols : sequence of str
    timeout_s : float
    report : callable
    """

    def __init__(self, source: Source, symbols: Sequence[str], timeout_s: float, report: Report) -> None:
        self._source = source
        self._decoder = source.decoder
        self._symbols = symbols
        self._timeout_s = timeout_s
        self._report = report
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        self._held_until_s = 0.0
        self._reconnections = 0
        if source.history is not None:
            self._decoder.grace_ns = int((timeout_s + 1) * 1e9)

    @property
    def is_holding(self) -> bool:
        """Whether rows should wait."""
        return time.monotonic() < self._held_until_s

    def on_reconnected(self, marks: Mapping[int, Mark]) -> None:
        """Begin to fill what was missed since `marks`, the state at the end of the connection before."""
        if not marks:
            return
        if self._source.history is None:
            since = _clock(min(mark.event_ns for mark in marks.values()))
            self._report("gap", f"rows since {since} UTC may be missing; {self._source.name} tells no history", "", 0)
            return
        self._held_until_s = time.monotonic() + self._timeout_s
        self._reconnections += 1
        self._start(self._fill_since(dict(marks), len(self._decoder), self._reconnections))

    def look(self, now_ns: int) -> None:
        """Fetch numbers that are missing and not on their way."""
        if self._source.history is None or self.is_holding:
            return
        for lost in self._decoder.holes(now_ns - _PATIENCE_NS):
            self._start(self._fill_numbers(lost))

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill_since(self, marks: dict[int, Mark], held: int, reconnection: int) -> None:
        began = time.monotonic()
        while len(self._decoder) <= held and time.monotonic() - began < min(_QUIET_S, self._timeout_s / 2):
            await asyncio.sleep(0.005)
        now_ns = time.time_ns()
        gaps = [
            Gap(self._symbols[symbol_id], symbol_id, mark.event_ns, now_ns, mark.number)
            for symbol_id, mark in marks.items()
        ]
        left = max(0.01, began + self._timeout_s - time.monotonic())
        await asyncio.gather(*(self._fill(gap, left) for gap in gaps))
        if reconnection == self._reconnections:  # a later one holds for itself
            self._held_until_s = 0.0

    async def _fill_numbers(self, lost: LostRows) -> None:
        symbol_id = self._symbols.index(lost.symbol)
        gap = Gap(lost.symbol, symbol_id, 0, time.time_ns(), lost.first - 1, lost.last)
        await self._fill(gap, self._timeout_s)

    async def _fill(self, gap: Gap, timeout_s: float) -> None:
        import httpx

        history = self._source.history
        assert history is not None  # noqa: S101 - nothing is started without
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout_s)
        try:
            rows = await asyncio.wait_for(history.fetch(self._client, gap), timeout_s)
        except TimeoutError:
            why = f"no answer within {timeout_s:.1f} s"
        except (httpx.HTTPError, ValueError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
        else:
            filled = self._decoder.on_history(gap.symbol_id, rows, time.time_ns())
            if filled:
                self._report("filled", f"{filled} rows were fetched from {self._source.name}", gap.symbol, filled)
            return
        where = f"rows {gap.after_number + 1} to {gap.until_number}" if gap.until_number else _between(gap)
        self._report("gap", f"{where} could not be fetched: {why}", gap.symbol, 0)


def _between(gap: Gap) -> str:
    return f"rows between {_clock(gap.after_ns)} and {_clock(gap.until_ns)} UTC"


def _clock(ns: int) -> str:
    return str(np.datetime64(ns, "ns").astype("datetime64[ms]"))
