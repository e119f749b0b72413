"""A tap passes a shard's ticks and bars on, and says what troubles the sinks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.support.waiting import wait_until
from trader.core.errors import SettingsError
from trader.core.market import Universe
from trader.data.content import describe
from trader.data.replay import ReplayFeed
from trader.data.simulation.ticks import simulate_trades
from trader.data.sinks import QueuedSink, SinkAwayError
from trader.data.sinks.parquet import ParquetSink
from trader.data.sinks.queued import Item, Outcome
from trader.engine import tap as tap_module
from trader.engine.shard import build_shard
from trader.engine.tap import Tap, open_tap
from trader.settings import BarSettings, Settings, SinkSettings

UNIVERSE = Universe(("A", "B", "C"))


class Fickle(QueuedSink):
    """A sink that is away while told so."""

    away = False
    delay_s = 0.0

    def check(self) -> None: ...

    def _send(self, items: Sequence[Item]) -> Sequence[Outcome]:
        if self.away:
            raise SinkAwayError("gone fishing")
        time.sleep(self.delay_s)
        return ["written"] * len(items)

    def _end(self) -> None: ...


def test_a_shard_writes_its_ticks_and_its_bars(tmp_path: Path) -> None:
    """Ticks of its own symbols under their names, and exactly the bars that leave the shard."""
    trades = simulate_trades(4_000, 3, 1)
    feed = ReplayFeed(trades, describe("t", trades, UNIVERSE), batch_rows=300)
    sinks = SinkSettings.model_validate({"parquet": {"path": tmp_path}})
    ids = np.array([0, 2], np.int32)
    tap = open_tap(sinks, feed.info, ids, "r/shard-0")
    assert tap is not None
    shard = build_shard(feed.info, ids, Settings(bars=BarSettings(kind="tick", size=50)), tap)
    outputs = [shard.process(batch) for batch in feed.batches()]
    tap.close(60.0)
    assert tap.events("r", at_end=True) == []
    ticks = pq.read_table(tmp_path / "trades", partitioning=None)
    mine = trades.take(trades.symbol_id != 1)
    assert sorted(ticks["price"].to_pylist()) == sorted(mine.price.tolist())
    assert set(ticks["symbol"].to_pylist()) == {"A", "C"}
    bars = pq.read_table(tmp_path / "bars", partitioning=None)
    closes = [close for output in outputs for close in output.panel.close[np.isfinite(output.panel.close)].tolist()]
    assert sorted(bars["close"].to_pylist()) == sorted(closes)
    assert len(bars) == sum(output.n_bars for output in outputs) > 40


def test_what_is_not_wanted_is_not_written(tmp_path: Path) -> None:
    """No sinks named: no tap. Bars alone: no ticks."""
    info = describe("t", simulate_trades(10, 3, 1), UNIVERSE)
    ids = np.arange(3, dtype=np.int32)
    assert open_tap(SinkSettings(), info, ids, "s") is None
    assert not SinkSettings().are_on
    only_bars = SinkSettings.model_validate({"data": ["bars"], "parquet": {"path": tmp_path}})
    tap = open_tap(only_bars, info, ids, "s")
    assert tap is not None
    tap.on_batch(0, simulate_trades(10, 3, 1), tap_module.BarBatch.empty())
    tap.close(60.0)
    assert not list(tmp_path.rglob("*.parquet"))
    with pytest.raises(SettingsError, match="Redis URL"):
        open_tap(SinkSettings.model_validate({"redis": {"url": "redis://h:port"}}), info, ids, "s")


def test_one_that_is_away_does_not_use_up_the_time_of_others(tmp_path: Path) -> None:
    """Sinks are closed at once: with little time the one that is well has written all."""
    away, well = Fickle("away"), ParquetSink(tmp_path, UNIVERSE)
    away.away = True
    tap = Tap([away, well], [])
    tap.on_batch(0, simulate_trades(20, 3, 1), tap_module.BarBatch.empty())
    tap.close(3.0)
    assert (well.status().written, away.status().dropped_rows) == (20, 20)


def test_a_checkpoint_waits_for_those_that_are_well(tmp_path: Path) -> None:
    """Those that write at once have written; those away, and files that are filled, are not waited for."""
    slow, away, files = Fickle("slow"), Fickle("away"), ParquetSink(tmp_path, UNIVERSE)
    away.away, slow.delay_s = True, 0.2
    tap = Tap([away, slow, files], [])
    tap.on_batch(0, simulate_trades(20, 3, 1), tap_module.BarBatch.empty())
    began = time.monotonic()
    tap.settle(60.0)
    assert time.monotonic() - began < 30.0
    assert [sink.status().written for sink in (slow, away, files)] == [20, 0, 0]
    tap.close(0.0)


def test_counters_tell_how_sinks_fare() -> None:
    """What is written, dropped and waits, how often it was tried again, and how often the sink went away."""
    sink, bars = Fickle("fickle", max_rows=30), Fickle("bars")
    tap = Tap([sink], [bars])
    empty = tap_module.BarBatch.empty()
    for turn in range(2):
        tap.on_batch(3 * turn, simulate_trades(20, 3, 1), empty)
        assert sink.flush()
        sink.away = True
        tap.on_batch(3 * turn + 1, simulate_trades(20, 3, 1), empty)
        while not sink.status().trouble:
            time.sleep(0.001)
        tap.on_batch(3 * turn + 2, simulate_trades(20, 3, 1), empty)  # there is no room for it
        found, _ = tap.counters(3)
        assert (found.waiting, found.is_away) == (20, True)
        sink.away = False
        assert sink.flush()
    found, other = tap.counters(3)
    assert (found.sink, found.data, found.shard, found.written) == ("fickle", "ticks", 3, 80)
    assert (found.dropped, found.waiting, found.is_away, found.outages) == ({"overflow": 40}, 0, False, 2)
    assert found.retries >= 2
    assert (other.sink, other.data, other.written, other.outages, other.retries) == ("bars", "bars", 0, 0, 0)
    tap.close(5.0)


def test_troubles_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a sink is away and that it is back are told at once; what it drops every ten seconds, and at the end."""
    sink = Fickle("fickle", max_rows=30)
    tap = Tap([sink], [])
    empty = tap_module.BarBatch.empty()
    tap.on_batch(0, simulate_trades(20, 3, 1), empty)
    assert sink.flush(60.0)
    assert tap.events("r") == []
    sink.away = True
    tap.on_batch(1, simulate_trades(20, 3, 1), empty)
    wait_until(lambda: sink.status().trouble)
    [gone] = tap.events("r")
    assert (gone.sink, gone.trouble, gone.dropped, gone.kind) == ("fickle", "gone fishing", 0, "sink_trouble")
    tap.on_batch(2, simulate_trades(20, 3, 1), empty)
    tap.on_batch(3, simulate_trades(20, 3, 1), empty)
    assert tap.events("r") == []
    monkeypatch.setattr(tap_module, "_AGAIN_S", 0.0)
    assert [event.dropped for event in tap.events("r")] == [40]
    assert tap.events("r") == []
    sink.away = False
    assert sink.flush(60.0)
    assert [(event.trouble, event.dropped) for event in tap.events("r")] == [("", 0)]
    tap.close(60.0)
    tap.on_batch(4, simulate_trades(20, 3, 1), empty)
    assert [event.dropped for event in tap.events("r", at_end=True)] == [20]
