"""From a decoder to batches: order, counts and watermarks."""

from __future__ import annotations

import numpy as np

from tests.support.live import BEGIN_MS, trade
from trader.core.market import TradeBatch, Universe
from trader.data.live.binance import BinanceDecoder
from trader.data.live.intake import Intake

MS = 1_000_000
NAMES = ("BTCUSDT", "ETHUSDT")


def intake_of(reorder_ms: int) -> tuple[BinanceDecoder, Intake]:
    decoder = BinanceDecoder(Universe(NAMES), "trades")
    return decoder, Intake("binance", decoder, NAMES, reorder_ms * MS)


def test_rows_wait_for_earlier_ones() -> None:
    """Up to the bound they come in the order of events and are still received one after the other; then too late."""
    decoder, intake = intake_of(100)
    given: list[TradeBatch] = []
    watermarks = []
    for number, ms in enumerate((0, 50, 20, 80, 200, 150, 400, 120, 390)):
        recv_ns = (BEGIN_MS + 1000 + number) * MS
        decoder.on_message(trade(number, BEGIN_MS + ms), recv_ns)
        rows = intake.take(recv_ns + MS, is_open=True)
        assert isinstance(rows, TradeBatch)
        assert not len(rows) or rows.ts_event_ns.min() > (watermarks[-1] if watermarks else 0)
        given.append(rows)
        watermarks.append(intake.watermark_ns)
    last = intake.take((BEGIN_MS + 2000) * MS, is_open=False, at_end=True)
    assert isinstance(last, TradeBatch)
    whole = TradeBatch.concat([*given, last])
    assert (whole.ts_event_ns // MS - BEGIN_MS).tolist() == [0, 20, 50, 80, 150, 200, 390, 400]
    assert (np.diff(whole.ts_recv_ns) > 0).all()
    assert intake.too_late == 1
    assert watermarks == sorted(watermarks)


def test_time_passes_without_rows() -> None:
    """While it is open, and only then, an intake says that there was nothing; what waits in order is let go by it."""
    decoder, intake = intake_of(100)
    assert intake.take(BEGIN_MS * MS, is_open=True) is None
    decoder.on_message(trade(1, BEGIN_MS), (BEGIN_MS + 1) * MS)
    first = intake.take((BEGIN_MS + 2) * MS, is_open=True)
    assert first is not None
    assert len(first) == 0
    assert intake.take((BEGIN_MS + 60_000) * MS, is_open=False) is None
    quiet = intake.take((BEGIN_MS + 60_000) * MS, is_open=True)
    assert quiet is not None
    assert len(quiet) == 1
    assert intake.watermark_ns == (BEGIN_MS + 60_000 - 1_100) * MS


def test_counters_tell_rows_bytes_gaps_and_latency() -> None:
    """By symbol, from the decoder and what passed."""
    decoder, intake = intake_of(0)
    for number in (1, 2, 2, 5, 4):
        decoder.on_message(trade(number, BEGIN_MS), (BEGIN_MS + 3) * MS)
    for number in range(8):
        decoder.on_message(trade(number, BEGIN_MS, symbol="ETHUSDT"), (BEGIN_MS + 30) * MS)
    rows = intake.take((BEGIN_MS + 40) * MS, is_open=True)
    assert rows is not None
    intake.take((BEGIN_MS + 40) * MS, is_open=True, at_end=True)
    intake.count_dropped(rows.symbol_id)
    counters = intake.counters(reconnects=2)
    counts = {name: values.tolist() for name, values in counters.counts.items()}
    size = len(trade(1, BEGIN_MS))
    assert counts == {
        "messages": [4, 8],
        "bytes": [5 * size, 8 * size],
        "gap_rows": [1, 0],
        "duplicates": [1, 0],
        "late": [1, 0],
        "sale_condition": [0, 0],
        "dropped": [4, 8],
    }
    assert counters.reconnects == 2
    assert counters.latency["exchange_to_receive"].sum(axis=1).tolist() == [4, 8]
    assert counters.latency_sum_ns["exchange_to_receive"][1] >= 8 * 30 * MS
