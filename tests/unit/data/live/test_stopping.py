"""A feed that is stopped ends, even where a task misses that it was cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from trader.core.market import Universe
from trader.data.buffer import BoundedBuffer
from trader.data.live.binance import binance_source
from trader.data.live.keeper import Keeper
from trader.data.live.runner import Runner
from trader.data.live.troubles import Troubles
from trader.settings import LiveSettings


def test_a_cancellation_that_is_missed_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `asyncio.wait_for` of Python 3.11 misses one that comes just when what it waits for is done."""

    async def run(_: Keeper) -> None:
        for _ in range(2):
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue
        await asyncio.sleep(60)

    monkeypatch.setattr(Keeper, "run", run)
    settings = LiveSettings(duration_s=0.05)
    source = binance_source(Universe(("BTCUSDT",)), "trades", settings, "ws://127.0.0.1:1")
    runner = Runner([source], ("BTCUSDT",), BoundedBuffer(4, "drop_oldest"), settings, 100, Troubles())
    thread = threading.Thread(target=runner.run, daemon=True)
    thread.start()
    thread.join(30.0)
    assert not thread.is_alive()
