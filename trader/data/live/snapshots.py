"""Fetching what order books begin with."""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from trader.data.live.backoff import Backoff
from trader.data.live.source import Snapshots
from trader.data.live.troubles import TroubleKind
from trader.settings.sections import LiveSettings

if TYPE_CHECKING:
    import httpx

__all__ = ["SnapshotTaker"]

Report = Callable[[TroubleKind, str, str, int], None]
"""Told of kind, detail, symbol and number of rows."""

_EVERY_S = 1.0
"""A snapshot of 1,000 levels costs 50 of the 6,000 that Binance's spot market allows a minute, and 20 of the 2,400 of
its futures: one a second, and `_BURST` at once, stay well below."""
_BURST = 20
_BANNED = (418, 429)


class SnapshotTaker:
    """Fetches a snapshot for every book that needs one, until it has one that fits.

    One request a symbol is under way at a time; after a failure, or a snapshot that the stream has overtaken, it waits
    as long as a reconnection would. All symbols wait where the vendor says that there were too many requests.

    Parameters
    ----------
    snapshots : Snapshots, optional
        Without it, nothing is done.
    settings : LiveSettings
    report : callable
    """

    def __init__(self, snapshots: Snapshots | None, settings: LiveSettings, report: Report) -> None:
        self._snapshots = snapshots
        self._timeout_s = settings.connect_timeout_s
        self._report = report
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._backoffs: collections.defaultdict[str, Backoff] = collections.defaultdict(
            lambda: Backoff(settings.backoff_first_s, settings.backoff_cap_s)
        )
        self._client: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()
        self._due_s = self._paused_until_s = 0.0
        self.trouble = ""
        """Why the last request failed; empty where it did not."""

    def look(self, *, is_open: bool) -> None:
        """Report books that were thrown away, and while connected begin to fetch what is needed."""
        if self._snapshots is None:
            return
        for symbol, why in self._snapshots.gaps():
            self._report("book_gap", why, symbol, 0)
        for symbol in self._snapshots.wanted() if is_open else ():
            if symbol not in self._tasks:
                self._tasks[symbol] = task = asyncio.create_task(self._take(self._snapshots, symbol))
                task.add_done_callback(lambda _, symbol=symbol: self._tasks.pop(symbol, None))  # type: ignore[misc]

    def on_disconnected(self) -> None:
        """Throw the books away; a snapshot that is under way would belong to the connection that has ended."""
        if self._snapshots is not None:
            self._snapshots.forget()

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _take(self, snapshots: Snapshots, symbol: str) -> None:
        import httpx

        async with self._making:
            if self._client is None:
                # It reads certificates for a tenth of a second: ticks would wait for it.
                self._client = await asyncio.to_thread(httpx.AsyncClient, timeout=self._timeout_s)
        await asyncio.sleep(self._wait_s())
        try:
            async with asyncio.timeout(self._timeout_s):
                fits = await snapshots.take(self._client, symbol)
        except TimeoutError:
            self.trouble = f"no answer within {self._timeout_s:g} s"
        except httpx.HTTPStatusError as error:
            self.trouble = f"refused with HTTP {error.response.status_code}"
            self._pause(error.response)
        except (httpx.HTTPError, ValueError) as error:
            self.trouble = " ".join(str(error).split()) or type(error).__name__
        else:
            self.trouble = ""
            if fits:
                self._backoffs[symbol].succeeded()
                return
        if self.trouble:
            self._report("snapshot_failed", self.trouble, symbol, 0)
        await asyncio.sleep(self._backoffs[symbol].next_s())

    def _wait_s(self) -> float:
        """Count a request, and return how long it has to wait."""
        now = time.monotonic()
        self._due_s = max(self._due_s, now - _BURST * _EVERY_S) + _EVERY_S
        return max(0.0, self._due_s - now, self._paused_until_s - now)

    def _pause(self, response: httpx.Response) -> None:
        after = response.headers.get("Retry-After", "")
        if response.status_code in _BANNED and after.isdigit():
            self._paused_until_s = max(self._paused_until_s, time.monotonic() + int(after))
