"""Parquet files as a sink: what another process wrote, and what an error kept from being written."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support.sinks import SYMBOLS, bars, trades
from trader.data.readers import read_market_file
from trader.data.sinks.parquet import ParquetSink

WAIT_S = 10.0


def _put(folder: Path, first: int, last: int, source: str = "r/shard-0/ticks") -> ParquetSink:
    sink = ParquetSink(folder, SYMBOLS, source)
    for number in range(first, last):
        sink.put(trades(10, 10 * number), number)
    sink.close(WAIT_S)
    assert sink.status().dropped_rows == sink.status().waiting == 0
    return sink


def _prices(folder: Path) -> list[float]:
    return sorted(pq.read_table(folder, partitioning=None)["price"].to_pylist())


def test_another_process_goes_on_under_the_same_name(tmp_path: Path) -> None:
    """Batches that files of the source hold are not written again; those of another source, or of none, are."""
    _put(tmp_path, 0, 20)
    _put(tmp_path, 12, 30)
    assert _prices(tmp_path) == sorted(trades(300).price.tolist())
    _put(tmp_path, 0, 30, "r/shard-1/ticks")
    _put(tmp_path, 0, 30, "")
    _put(tmp_path, 0, 30, "")
    assert _prices(tmp_path) == sorted(4 * trades(300).price.tolist())


def test_a_death_between_two_files_is_made_good(tmp_path: Path) -> None:
    """Where only some symbols' files of a batch were written, the next process writes the others."""
    _put(tmp_path, 0, 20)
    for file in tmp_path.rglob("symbol=IBM/*.parquet"):
        file.unlink()
    _put(tmp_path, 5, 25)
    expected = trades(250)
    kept = expected.take((expected.symbol_id != 3) | (expected.ts_event_ns >= trades(51).ts_event_ns[-1]))
    assert _prices(tmp_path) == sorted(kept.price.tolist())


def test_rows_wait_until_they_can_be_written(tmp_path: Path) -> None:
    """What is in the way of a folder is told; once it is gone all rows are written, once."""
    blocked = tmp_path / "trades"
    blocked.write_text("in the way")
    sink = ParquetSink(tmp_path, SYMBOLS)
    sink.put(trades(100))
    assert not sink.flush(0.3)
    assert "cannot be written" in sink.status().trouble
    blocked.unlink()
    assert sink.flush(WAIT_S)
    sink.close()
    assert _prices(tmp_path) == sorted(trades(100).price.tolist())
    assert (sink.status().written, sink.status().trouble, sink.files) == (100, "", 4)


def test_files_that_begin_with_one_stamp_are_two(tmp_path: Path) -> None:
    """Rows of one message may fall into two files; neither replaces the other."""
    sink = ParquetSink(tmp_path, SYMBOLS)
    for _ in range(3):
        sink.put(trades(5, symbols=(0,)))
        assert sink.flush(WAIT_S)
    sink.close()
    assert (sink.status().written, sink.files, len(_prices(tmp_path))) == (15, 3, 15)


@pytest.mark.parametrize("source", ["", "r/shard-0/bars"])
def test_what_was_written_can_be_replayed(tmp_path: Path, source: str) -> None:
    """The reader of market files reads the folder: bars, of every symbol and day."""
    sink = ParquetSink(tmp_path, SYMBOLS, source)
    sink.put(bars(2_000))
    sink.close(WAIT_S)
    data, universe, _ = read_market_file(tmp_path, kind="auto", columns={}, timezone="UTC", symbols=())
    assert len(data) == 2_000
    assert set(universe.symbols) == {"AAPL", "BTCUSDT", "Ünïcode"}
    assert sorted(data.close.tolist()) == bars(2_000).close.tolist()  # type: ignore[union-attr]
