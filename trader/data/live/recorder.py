"""Writing ticks as they come, so that they can be replayed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import OperationError
from trader.core.market import BarBatch, Universe
from trader.core.protocols import MarketBatch
from trader.data.content import event_times, kind_of

__all__ = ["TickRecorder", "periods_of"]

_DAY_NS = 86_400_000_000_000


class TickRecorder:
    """Parquet files under `folder/trades/day=2024-08-08/symbol=BTCUSDT/`, or `quotes`; `feed.path` replays the folder.

    Days are those of the event time, in UTC. Bars lie by the year of their close, `folder/bars/year=2024/…`: many
    years of daily ones would make a file a bar. Files are new, and each complete or absent; a recording may go on
    in the same folder.

    Parameters
    ----------
    folder : Path
    universe : Universe
    """

    def __init__(self, folder: Path, universe: Universe) -> None:
        self._folder = folder
        self._universe = universe
        self.rows = 0
        """Rows written."""
        self.files = 0
        """Files written."""

    def folder_of(self, kind: str, period: int, symbol_id: int) -> Path:
        """Return where the files of a kind, period (as `periods_of` counts) and symbol lie."""
        is_bars = kind == "bars"
        when = f"year={np.datetime64(period, 'Y')}" if is_bars else f"day={np.datetime64(period, 'D')}"
        return self._folder / kind / when / f"symbol={self._universe.symbols[symbol_id]}"

    def write(self, rows: MarketBatch, period: int, symbol_id: int, suffix: str = "") -> None:
        """Write rows of one period and symbol to a new file; `suffix` ends its name.

        Raises
        ------
        OperationError
            If they cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        symbol = self._universe.symbols[symbol_id]
        target = self.folder_of(kind_of(rows), period, symbol_id)
        columns = {"symbol": pa.array([symbol] * len(rows)).dictionary_encode()}
        columns |= {name: pa.array(column) for name, column in rows.columns().items() if name != "symbol_id"}
        # Two files may begin with rows of one stamp.
        stamp, again = int((rows.ts_ns if isinstance(rows, BarBatch) else rows.ts_recv_ns)[0]), 0
        while (file := target / f"{stamp}{f'-{again}' if again else ''}{suffix}.parquet").exists():
            again += 1
        partial = file.with_suffix(".partial")
        try:
            target.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table(columns), partial)
            partial.replace(file)
        except OSError as error:
            raise OperationError(f"{len(rows)} rows cannot be written to {file}: {error.strerror or error}") from error
        self.rows += len(rows)
        self.files += 1


def periods_of(batch: MarketBatch) -> NDArray[np.int64]:
    """Return the day since 1970 in UTC of ticks, the year since 1970 of bars, shape (n_rows,)."""
    times = event_times(batch)
    if isinstance(batch, BarBatch):
        return times.astype("datetime64[ns]").astype("datetime64[Y]").astype(np.int64)
    return times // _DAY_NS
