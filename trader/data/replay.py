"""Replay of market data held in memory, as deterministically numbered batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.market import BarBatch
from trader.core.protocols import FeedBatch, FeedInfo, MarketBatch
from trader.data.content import event_times, kind_of
from trader.data.numbering import BatchPlan
from trader.data.quality import QualityReport

__all__ = ["ReplayFeed"]


class ReplayFeed:
    """A `Feed` over a table; any batch is found in constant time, so a consumer can restart anywhere.

    Bars: a batch holds whole instants, never a part of those that close at one time; instants before `start_ns`
    only warm up and come in batches of `WARMUP_INSTANTS`, the others in batches of `batch_slices`. The watermark is
    the last close of the batch.

    Ticks: a batch holds `batch_rows` rows. The watermark is the latest event time seen so far, less one nanosecond
    because other ticks may share that time; with the last batch it is the latest time itself.

    Parameters
    ----------
    data : TradeBatch, QuoteBatch or BarBatch
        Valid rows (see `trader.data.boundary`); bars in order of their close.
    info : FeedInfo
        What `data` are; `trader.data.content.describe` makes one.
    batch_rows : int, default=10_000
        Rows of a batch of ticks.
    batch_slices : int, default=1
        Instants of a batch of bars after `start_ns`.
    start_ns : int, optional
        First instant of trading; None means no warm-up.
    rejected : mapping of str to int, optional
        Rows refused before, by reason.
    quality : QualityReport, optional
        What was found in the data before any repair.

    Raises
    ------
    DataError
        If `data` are of another kind than `info` says, a symbol id is outside the universe, or bars are not in
        order of their close.
    """

    def __init__(
        self,
        data: MarketBatch,
        info: FeedInfo,
        *,
        batch_rows: int = 10_000,
        batch_slices: int = 1,
        start_ns: int | None = None,
        rejected: Mapping[str, int] | None = None,
        quality: QualityReport | None = None,
    ) -> None:
        _check(data, info)
        self._data = data
        self._info = info
        self._rejected = dict(rejected or {})
        self._quality = quality
        if isinstance(data, BarBatch):
            starts = np.flatnonzero(np.r_[True, np.diff(data.ts_ns) > 0]) if len(data) else np.empty(0, np.int64)
            self._offsets: NDArray[np.int64] | None = np.append(starts, len(data)).astype(np.int64)
            n_warmup = 0 if start_ns is None else int(np.searchsorted(data.ts_ns[starts], start_ns))
            self._plan = BatchPlan(starts.size, n_warmup, batch_slices)
        else:
            self._offsets = None
            self._plan = BatchPlan(len(data), 0, batch_rows)
        self._watermarks = self._compute_watermarks()

    @property
    def info(self) -> FeedInfo:
        """What it delivers."""
        return self._info

    @property
    def quality(self) -> QualityReport | None:
        """What was found in the data before any repair; None for ticks."""
        return self._quality

    def __len__(self) -> int:
        return len(self._plan)

    def batches(self, from_seq: int = 0) -> Iterator[FeedBatch]:
        """Yield the batches from number `from_seq` on; none if it is past the last."""
        if from_seq < 0:
            raise ValueError(f"from_seq={from_seq}; 0 or more is allowed")
        for seq in range(from_seq, len(self._plan)):
            rows = slice(*self._row_bounds(seq))
            yield FeedBatch(seq, int(self._watermarks[seq]), self._data.take(rows))

    def rejected(self) -> Mapping[str, int]:
        """Return how many rows were refused before the replay, by reason."""
        return dict(self._rejected)

    def _row_bounds(self, seq: int) -> tuple[int, int]:
        first, stop = self._plan.bounds(seq)
        if self._offsets is None:
            return first, stop
        return int(self._offsets[first]), int(self._offsets[stop])

    def _compute_watermarks(self) -> NDArray[np.int64]:
        if not len(self._plan):
            return np.empty(0, np.int64)
        stops = np.array([self._row_bounds(seq)[1] for seq in range(len(self._plan))], np.int64)
        latest = np.maximum.accumulate(event_times(self._data))[stops - 1]
        if self._offsets is None:
            latest[:-1] -= 1
        return np.asarray(latest, np.int64)


def _check(data: MarketBatch, info: FeedInfo) -> None:
    if info.kind != kind_of(data):
        raise DataError(f"info.kind={info.kind!r} but the data are {kind_of(data)}")
    if not len(data):
        return
    low, high = int(data.symbol_id.min()), int(data.symbol_id.max())
    if low < 0 or high >= len(info.universe):
        raise DataError(f"symbol ids {low} to {high} in the data; 0 to {len(info.universe) - 1} is allowed")
    if isinstance(data, BarBatch) and (np.diff(data.ts_ns) < 0).any():
        raise DataError("bars are not in order of ts_ns; sort them by their close stamp")
