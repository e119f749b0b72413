"""Keeps one source connected, and passes on what it brings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from trader.core.market import QuoteBatch, TradeBatch
from trader.data.live.backfill import Backfill
from trader.data.live.backoff import Backoff
from trader.data.live.clock_watch import watch_clock
from trader.data.live.connection import ConnectFailedError, Connection, connect
from trader.data.live.intake import Intake
from trader.data.live.snapshots import SnapshotTaker
from trader.data.live.source import Source
from trader.data.live.troubles import Trouble, TroubleKind, Troubles
from trader.settings.sections import LiveSettings

__all__ = ["Keeper", "OnBarred", "Put"]

_LOOK_S = 0.05
"""How often connections, symbols and holes are looked at."""
_OVERLAP_S = 5.0
"""How long an old connection stays beside its replacement that brings nothing yet."""
_HELD_ROWS = 1_000_000
"""More rows do not wait for those that were missed."""

Put = Callable[[TradeBatch | QuoteBatch, int, int], None]
"""Given rows, or none; the watermark; and how far event times were moved back."""
OnBarred = Callable[[Mapping[int, int]], None]
"""Given how far symbols have come of which trades were left out, by id."""


class Keeper:
    """Connects, reconnects, watches, and passes batches on.

    A connection that ends, however politely, is made again after a wait that grows with every failure, and what was
    missed is fetched where the vendor has it. One that brings nothing is given up; one that grows old, or whose
    server is about to shut down, is replaced before it ends, and what both bring is taken once.

    Parameters
    ----------
    source : Source
    symbols : sequence of str
    put : callable
        Takes the batches.
    on_barred : callable
        Told, after the rows of the same time, of trades that the rule of sale conditions left out.
    settings : LiveSettings
    batch_rows : int
        Rows that are passed on at once, however little time has passed.
    troubles : Troubles
        Told of everything that goes wrong.
    """

    def __init__(
        self,
        source: Source,
        symbols: Sequence[str],
        put: Put,
        on_barred: OnBarred,
        settings: LiveSettings,
        batch_rows: int,
        troubles: Troubles,
    ) -> None:
        self.source = source
        """What is kept connected."""
        self._decoder = source.decoder
        self.intake = Intake(source.name, source.decoder, symbols, round(settings.reorder_ms * 1e6))
        """Where its rows go through."""
        self._put = put
        self._on_barred = on_barred
        self._has_barred = False
        self._settings = settings
        self._batch_rows = batch_rows
        self._troubles = troubles
        self._backoff = Backoff(settings.backoff_first_s, settings.backoff_cap_s)
        self._backfill = Backfill(source, symbols, settings.backfill_timeout_s, self._report)
        self._snapshots = SnapshotTaker(source.snapshots, settings, self._report)
        self._passed_s = self._looked_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._current: Connection | None = None
        self._last_trouble = "nothing came"
        self._silent: set[str] = set()
        self._shift_told_ns = 0
        self._began_ns = time.time_ns()
        self.rows = 0
        """Rows passed on."""
        self.connections = 0
        """Connections made, replacements included."""

    @property
    def is_open(self) -> bool:
        """Whether it is connected now."""
        return self._current is not None and self._current.is_open

    @property
    def has_brought(self) -> bool:
        """Whether it has brought anything, trades that a rule left out included."""
        return self.rows > 0 or self._has_barred

    async def run(self) -> None:
        """Stay connected until cancelled, or until the vendor refuses for good."""
        watching = asyncio.create_task(watch_clock(self.source, self._settings.clock_every_s))
        try:
            await self._keep_connected()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._backfill.close()
            await self._snapshots.close()
            if self._current is not None:
                self._current.close()

    def pass_on(self, *, at_end: bool = False) -> None:
        """Pass on what has come, or that time has passed; to be called a few times a second beside its own calls."""
        now_ns = time.time_ns()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._backfill.is_holding and not at_end and len(self._decoder) < _HELD_ROWS:
            return
        self._passed_s = time.monotonic()
        if self._passed_s - self._looked_s > _LOOK_S:
            self._looked_s = self._passed_s
            self._backfill.look(now_ns)
            self._snapshots.look(is_open=self.is_open and not at_end)
            self._look_at_symbols(now_ns)
        rows = self.intake.take(now_ns, is_open=self.is_open, at_end=at_end)
        for lost in self.intake.lost:
            self._report("rows_lost", f"numbers {lost.first} to {lost.last} never came", lost.symbol, lost.count)
        if (shift_ns := self._decoder.clock.shift_ns) != self._shift_told_ns:
            self._shift_told_ns = shift_ns
            self._report("clock_moved", f"event times are the vendor's stamps less {shift_ns} ns from now on")
        if rows is not None:
            self.rows += len(rows)
            self._put(rows, self.intake.watermark_ns, self._decoder.clock.shift_ns)
        if barred := self._decoder.barred_marks():
            self._has_barred = True
            self._on_barred(barred)

    def why_nothing(self) -> str:
        """Return, in a line, why no row has come."""
        if self._decoder.refusal is not None:
            return f"the vendor says: {self._decoder.refusal.text}"
        if self.is_open and self._snapshots.trouble:
            return f"connected, but no snapshot of the book came: {self._snapshots.trouble}"
        if self.is_open:
            return "connected, but no symbol trades; look at feed.symbols"
        return self._last_trouble

    async def _keep_connected(self) -> None:
        marks = self._decoder.marks()  # of a pass before
        while not self._is_refused():
            try:
                self._current = await self._connect()
            except ConnectFailedError as error:
                self._report("connect_failed", f"{self.source.url}: {error}")
            else:
                self._backfill.on_reconnected(marks)
                await self._stay()
                self._snapshots.on_disconnected()
                marks = self._decoder.marks()
                if time.monotonic() - self._current.opened_s >= self._settings.backoff_cap_s:
                    self._backoff.succeeded()
            if not self._is_refused():
                await asyncio.sleep(self._backoff.next_s())

    def _is_refused(self) -> bool:
        return self._decoder.refusal is not None and self._decoder.refusal.is_final

    async def _connect(self) -> Connection:
        made = await connect(self.source.url, self._on_messages, self._settings.connect_timeout_s, self.source.headers)
        self.connections += 1
        greeting = self._decoder.greeting()
        if greeting is not None:
            made.send(greeting)
        return made

    async def _stay(self) -> None:
        """Stay with the current connection, or what replaces it, until it has ended."""
        replace_at = self._rollover_at()
        heard_s, messages = time.monotonic(), -1
        while True:
            current = self._current
            assert current is not None  # noqa: S101 - set before and never taken away
            await asyncio.sleep(_LOOK_S)
            now = time.monotonic()
            if current.messages != messages:
                heard_s, messages = now, current.messages
            if self._is_refused():
                current.close()
                return
            if not current.is_open:
                refusal = self._decoder.refusal
                self._report("disconnected", current.ending + (f"; the vendor says: {refusal.text}" if refusal else ""))
                return
            if now - heard_s > self._settings.stale_s:
                self._report("stale", f"nothing came for {now - heard_s:.1f} s")
                current.close()
                return
            if now >= replace_at or self._decoder.closing:
                self._decoder.closing = False
                if self.source.is_alone:
                    current.close()
                    return
                replace_at = now + _OVERLAP_S
                if await self._replace(current):
                    replace_at = self._rollover_at()

    async def _replace(self, old: Connection) -> bool:
        try:
            fresh = await self._connect()
        except ConnectFailedError as error:
            self._report("connect_failed", f"{self.source.url}: {error}")
            return False
        until = time.monotonic() + _OVERLAP_S
        try:
            while not fresh.messages and fresh.is_open and old.is_open and time.monotonic() < until:
                await asyncio.sleep(_LOOK_S)
        except asyncio.CancelledError:
            fresh.close()
            raise
        old.close()
        self._current = fresh
        return True

    def _rollover_at(self) -> float:
        assert self._current is not None  # noqa: S101 - called once it is made
        return self._current.opened_s + self._settings.rollover_s

    def _on_messages(self, raws: Sequence[bytes], recv_ns: Sequence[int]) -> list[bytes]:
        answers = self._decoder.on_messages(raws, recv_ns)
        # At once where the last batch is old enough: at low rates nothing waits.
        wait_s = self._passed_s + self._settings.batch_ms / 1e3 - time.monotonic()
        if wait_s <= 0 or len(self._decoder) >= self._batch_rows:
            self.pass_on()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.pass_on)
        return answers

    def _look_at_symbols(self, now_ns: int) -> None:
        """Report each symbol once when it falls silent, and again when it does after it has spoken."""
        limit_ns = int(self._settings.symbol_stale_s * 1e9)
        for symbol, seen_ns in self._decoder.last_seen().items():
            silent_ns = now_ns - max(seen_ns, self._began_ns)
            if silent_ns <= limit_ns:
                self._silent.discard(symbol)
            elif symbol not in self._silent:
                self._silent.add(symbol)
                self._report("symbol_silent", f"nothing came for {silent_ns / 1e9:.1f} s", symbol)

    def _report(self, kind: TroubleKind, detail: str, symbol: str = "", count: int = 0) -> None:
        if kind in ("connect_failed", "disconnected", "stale"):
            self._last_trouble = detail
        self._troubles.add(Trouble(time.time_ns(), kind, detail, symbol, count, self.source.name))
