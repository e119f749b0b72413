"""Writing the best levels of order books over time, and what they say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import OperationError
from trader.core.market import Universe
from trader.data.book import Depth, imbalance, microprice, mid, pressure, queue_slope, spread
from trader.data.live.depth_log import DepthBatch

__all__ = ["DepthRecorder", "depth_features"]

_DAY_NS = 86_400_000_000_000


def depth_features(depth: Depth) -> dict[str, NDArray[np.float64]]:
    """Return what `trader.data.book.features` says by name; `imbalance` is that of the best level of each side."""
    slopes = queue_slope(depth)
    return {
        "mid": mid(depth),
        "spread": spread(depth),
        "imbalance": imbalance(depth),
        "microprice": microprice(depth),
        "pressure": pressure(depth),
        "queue_slope_bid": slopes[0],
        "queue_slope_ask": slopes[1],
    }


class DepthRecorder:
    """Parquet files under `folder/depth/day=2024-08-08/symbol=BTCUSDT/`.

    Columns are `symbol`, `ts_event_ns`, `ts_recv_ns`, `bid_0` … (best first, NaN beyond the last), `bid_size_0` …,
    `ask_0` …, `ask_size_0` … and those of `depth_features`. Days are those of the event time, in UTC. Rows are held
    until there are `file_rows` of them or they are `file_s` old, and then written to new files, each complete or
    absent.

    Parameters
    ----------
    folder : Path
    universe : Universe
    file_rows : int, default=50_000
    file_s : float, default=60
    """

    def __init__(self, folder: Path, universe: Universe, *, file_rows: int = 50_000, file_s: float = 60.0) -> None:
        self._folder = folder
        self._universe = universe
        self._file_rows = file_rows
        self._file_s = file_s
        self._held: list[DepthBatch] = []
        self._pieces: list[tuple[int, int, DepthBatch]] = []
        self._n_held = 0
        self._since_s = time.monotonic()
        self.rows = 0
        """Rows written."""
        self.files = 0
        """Files written."""

    def add(self, batch: DepthBatch) -> None:
        """Keep the rows, and write what is due.

        Raises
        ------
        OperationError
            If they cannot be written.
        """
        if len(batch):
            self._held.append(batch)
            self._n_held += len(batch)
        if self._n_held >= self._file_rows or time.monotonic() - self._since_s >= self._file_s:
            self.flush()

    def flush(self) -> None:
        """Write all that is held; what an error kept from being written is still held.

        Raises
        ------
        OperationError
            If it cannot be written.
        """
        self._since_s = time.monotonic()
        if self._held:
            whole, self._held, self._n_held = DepthBatch.concat(self._held), [], 0
            days = whole.ts_event_ns // _DAY_NS
            for day, symbol_id in sorted(set(zip(days.tolist(), whole.symbol_id.tolist(), strict=True))):
                self._pieces.append((day, symbol_id, whole.take((days == day) & (whole.symbol_id == symbol_id))))
        while self._pieces:
            self._write(*self._pieces[0])
            del self._pieces[0]

    def _write(self, day: int, symbol_id: int, rows: DepthBatch) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        symbol = self._universe.symbols[symbol_id]
        target = self._folder / "depth" / f"day={np.datetime64(day, 'D')}" / f"symbol={symbol}"
        # Two files may begin with rows of one stamp.
        stamp, again = int(rows.ts_recv_ns[0]), 0
        while (file := target / f"{stamp}{f'-{again}' if again else ''}.parquet").exists():
            again += 1
        partial = file.with_suffix(".partial")
        try:
            target.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(dict(_columns(symbol, rows))), partial)
            partial.replace(file)
        except OSError as error:
            raise OperationError(f"{len(rows)} rows cannot be written to {file}: {error.strerror or error}") from error
        self.rows += len(rows)
        self.files += 1


def _columns(symbol: str, rows: DepthBatch) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa

    yield "symbol", pa.array([symbol] * len(rows)).dictionary_encode()
    yield "ts_event_ns", pa.array(rows.ts_event_ns)
    yield "ts_recv_ns", pa.array(rows.ts_recv_ns)
    depth = rows.depth
    for name in ("bid", "bid_size", "ask", "ask_size"):
        levels = getattr(depth, name)
        for level in range(levels.shape[1]):
            yield f"{name}_{level}", pa.array(levels[:, level])
    for name, values in depth_features(depth).items():
        yield name, pa.array(values)
