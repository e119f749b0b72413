"""Ticks and bars as Parquet files."""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trader.core.errors import OperationError
from trader.core.market import Universe
from trader.core.protocols import MarketBatch
from trader.data.content import kind_of
from trader.data.live.recorder import TickRecorder, periods_of
from trader.data.sinks.queued import Item, Outcome, Overflow, QueuedSink, SinkAwayError

__all__ = ["ParquetSink"]


class ParquetSink(QueuedSink):
    """Writes files by kind, time and symbol, as `TickRecorder` does; one kind a sink.

    Rows count as written when they are in a file. Until then they are in memory, at most `file_s` seconds. Files of a
    named source say in their names the number of the last batch in them, so that a process which goes on under that
    name writes no row again.

    Parameters
    ----------
    folder : Path
    universe : Universe
    source : str, optional
        Names this writer; without a name nothing is a repeat of what another process wrote.
    file_rows : int, default=200_000
        Rows that are written at once.
    file_s : float, default=60
    max_rows : int, default=1_000_000
    overflow : {"drop_oldest", "refuse", "wait"}, default="drop_oldest"
    """

    def __init__(
        self,
        folder: Path,
        universe: Universe,
        source: str = "",
        *,
        file_rows: int = 200_000,
        file_s: float = 60.0,
        max_rows: int = 1_000_000,
        overflow: Overflow = "drop_oldest",
    ) -> None:
        super().__init__(
            f"parquet:{folder}", max_rows=max_rows, overflow=overflow, gather_rows=file_rows, gather_s=file_s
        )
        self._folder = folder
        self._label = re.sub(r"[^\w@-]+", "_", source)
        self._recorder = TickRecorder(folder, universe)
        self._newest = -1
        self._outcomes: list[Outcome] = []
        self._pieces: list[tuple[int, int, MarketBatch, int]] = []

    @property
    def files(self) -> int:
        """Files written."""
        return self._recorder.files

    def check(self) -> None:
        """Make the folder.

        Raises
        ------
        OperationError
            If that cannot be done.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OperationError(f"folder {self._folder} cannot be made: {error.strerror or error}") from error

    def _send(self, items: Sequence[Item]) -> Sequence[Outcome]:
        if not items[0].tries:
            self._prepare(items)
        while self._pieces:
            period, symbol_id, rows, last = self._pieces[0]
            try:
                self._recorder.write(rows, period, symbol_id, f".{self._label}.{last}" if self._label else "")
            except OperationError as error:
                raise SinkAwayError(str(error)) from error
            del self._pieces[0]
            if self._pieces and time.monotonic() > self._deadline:
                raise SinkAwayError("the time for closing is up")
        return self._outcomes

    def _end(self) -> None:
        """Nothing is open between files."""

    def _prepare(self, items: Sequence[Item]) -> None:
        """Make the pieces that are to be written, one a file, of what is new."""
        self._outcomes, new = [], []
        for item in items:
            self._outcomes.append("written" if item.number > self._newest else "repeated")
            if item.number > self._newest:
                new.append(item)
                self._newest = item.number
        if not new:
            return
        batches: list[Any] = [item.batch for item in new]
        rows: MarketBatch = type(batches[0]).concat(batches)
        number = np.repeat([item.number for item in new], [len(item.batch) for item in new])
        periods = periods_of(rows)
        for period, symbol_id in sorted(set(zip(periods.tolist(), rows.symbol_id.tolist(), strict=True))):
            is_new = number > self._written_before(kind_of(rows), period, symbol_id)
            picked = np.flatnonzero((periods == period) & (rows.symbol_id == symbol_id) & is_new)
            if picked.size:
                self._pieces.append((period, symbol_id, rows.take(picked), int(number[picked[-1]])))

    def _written_before(self, kind: str, period: int, symbol_id: int) -> int:
        """Return the number of the last batch that files of this source hold; -1 without any."""
        if not self._label:
            return -1
        folder = self._recorder.folder_of(kind, period, symbol_id)
        found = (name.name.split(".")[-2] for name in folder.glob(f"*.{glob.escape(self._label)}.*.parquet"))
        return max((int(number) for number in found), default=-1)
