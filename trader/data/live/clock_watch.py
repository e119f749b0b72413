"""Asking a vendor for its time, again and again."""

from __future__ import annotations

import asyncio
import importlib
import time

import structlog

from trader.data.live.clock import ClockOffset
from trader.data.live.source import Source

__all__ = ["watch_clock"]

_QUESTIONS = 5
_TIMEOUT_S = 5.0


async def watch_clock(source: Source, every_s: float) -> None:
    """Tell a source's clock what the vendor's server says, five times and then every `every_s`, until cancelled.

    A server that does not answer is asked again at the next turn; without any answer the stamps of messages say what
    they can. Ends at once where the vendor tells no time.
    """
    if source.time_url is None:
        return
    import httpx

    # What estimates drift is loaded beside the loop: ticks would wait for it.
    await asyncio.to_thread(importlib.import_module, "scipy.stats")
    log = structlog.get_logger(source=source.name)
    async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
        questions = _QUESTIONS
        while True:
            for _ in range(questions):
                try:
                    before = time.time()
                    answer = await client.get(source.time_url)
                    after = time.time()
                    theirs_ms = float(answer.raise_for_status().json()["serverTime"])
                except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
                    log.info("clock_unknown", reason=" ".join(str(error).split()) or type(error).__name__)
                    break
                middle_s, trip_s = (before + after) / 2, after - before
                source.decoder.clock.add(ClockOffset(theirs_ms - 1e3 * middle_s, 1e3 * trip_s), round(middle_s * 1e9))
            questions = 1
            await asyncio.sleep(every_s)
