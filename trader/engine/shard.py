"""Bars and per-symbol features for a share of the symbols."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.bars import BarBuilder
from trader.core.market import BarBatch, BarPanel
from trader.core.protocols import FeedBatch, FeedInfo
from trader.engine.tap import Tap
from trader.features import FeatureEngine
from trader.settings import BarSettings, FeatureSettings, Settings

__all__ = ["ShardOutput", "ShardProcessor", "build_shard"]

FloatArray = NDArray[np.float64]

_NO_BARS = BarBatch.empty()


@dataclasses.dataclass(frozen=True, slots=True)
class ShardOutput:
    """What a shard makes of a feed batch, and of those before it that completed no bar.

    Parameters
    ----------
    first_seq, seq : int
        The feed batches it covers; all but the last completed no bar.
    n_ticks, n_bars, n_late : int
        Rows of this shard in the batch, bars it completed, ticks too late for their bar.
    panel : BarPanel
        Completed bars of the shard's symbols, empty if there are none.
    features : ndarray of shape (n_slices, n_shard_symbols, n_features)
        One row per slice of `panel`.
    carry : ndarray of shape (n_shard_symbols, n_features)
        The last row of each symbol before this batch, for slices in which it has no bar.
    """

    first_seq: int
    seq: int
    n_ticks: int
    n_bars: int
    n_late: int
    panel: BarPanel
    features: FloatArray
    carry: FloatArray


class ShardProcessor:
    """Turns feed batches into bars and features for some symbols.

    A bar leaves the shard with the first batch whose watermark has passed its close, so that all shards
    release the bars of one instant with the same batch number.

    Parameters
    ----------
    info : FeedInfo
        Of the whole feed.
    symbol_ids : ndarray of shape (n_shard_symbols,)
        The symbols of this shard, ascending.
    tap : Tap, optional
        Given the ticks and bars of this shard.
    """

    def __init__(
        self,
        info: FeedInfo,
        symbol_ids: NDArray[np.int32],
        *,
        bars: BarSettings,
        features: FeatureSettings,
        max_late_ms: float = 0.0,
        tap: Tap | None = None,
    ) -> None:
        self._tap = tap
        self._n = int(symbol_ids.size)
        self._takes_all = self._n == len(info.universe)
        self._local = np.full(len(info.universe), -1, np.int32)
        self._local[symbol_ids] = np.arange(self._n, dtype=np.int32)
        self._late_ns = int(max_late_ms * 1e6)
        self._builder = (
            None if info.kind == "bars" else BarBuilder(self._n, bars.kind, bars.size, max_late_ns=self._late_ns)
        )
        self._engine = FeatureEngine(self._n, info.fields, features)
        self._held = _NO_BARS
        self._no_panel = BarPanel.from_bars(_NO_BARS, self._n)
        self._no_features = np.empty((0, self._n, len(self._engine.names)))
        self._carry = np.full((self._n, len(self._engine.names)), np.nan)
        self.next_seq = 0

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the per-symbol features, the last axis of `ShardOutput.features`."""
        return self._engine.names

    @property
    def left_out(self) -> Mapping[str, str]:
        """Features that the feed's fields do not allow, and why."""
        return self._engine.left_out

    def process(self, batch: FeedBatch) -> ShardOutput:
        """Return the bars and features that this batch completes.

        Raises
        ------
        ValueError
            If the batch is not the next one.
        """
        if batch.seq != self.next_seq:
            raise ValueError(f"batch.seq={batch.seq}; the next batch is {self.next_seq}")
        data = self._own(batch.data)
        late_before = 0 if self._builder is None else self._builder.late
        ready = self._release(self._complete(data, batch.watermark_ns), batch.watermark_ns)
        if self._tap is not None:
            self._tap.on_batch(batch.seq, data, ready)
        carry = self._carry
        if len(ready):
            panel = BarPanel.from_bars(ready, self._n)
            features = self._engine.update(panel)
            self._carry = _last_rows(panel, features, carry)
        else:
            panel, features = self._no_panel, self._no_features
        self.next_seq += 1
        late = 0 if self._builder is None else self._builder.late - late_before
        return ShardOutput(
            first_seq=batch.seq,
            seq=batch.seq,
            n_ticks=len(data),
            n_bars=len(ready),
            n_late=late,
            panel=panel,
            features=features,
            carry=carry,
        )

    def _own(self, data: Any) -> Any:
        if self._takes_all:
            return data
        mine = data.take(self._local[data.symbol_id] >= 0)
        return dataclasses.replace(mine, symbol_id=self._local[mine.symbol_id])

    def _complete(self, data: Any, watermark_ns: int) -> BarBatch:
        if self._builder is None:
            return data  # type: ignore[no-any-return]
        done = self._builder.update(data)
        closed = self._builder.advance(watermark_ns)
        return _joined(done, closed)

    def _release(self, new: BarBatch, watermark_ns: int) -> BarBatch:
        bars = _joined(self._held, new)
        if not len(bars):
            return bars
        limit = watermark_ns if self._builder is None else watermark_ns - self._late_ns
        ready = bars.ts_ns <= limit
        if ready.all():
            self._held = _NO_BARS
            return bars
        self._held = bars.take(~ready)
        return bars.take(ready)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything needed to go on, as arrays by name."""
        state: dict[str, NDArray[Any]] = {"next_seq": np.array([self.next_seq]), "carry": self._carry}
        state |= {f"held.{name}": column for name, column in self._held.columns().items()}
        state |= {f"features.{name}": value for name, value in self._engine.state().items()}
        if self._builder is not None:
            state |= {f"bars.{name}": value for name, value in self._builder.state().items()}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `state` returned."""

        def part(prefix: str) -> dict[str, NDArray[Any]]:
            return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

        self.next_seq = int(state["next_seq"][0])
        self._carry = np.array(state["carry"])
        self._held = BarBatch(**part("held."))
        self._engine.restore(part("features."))
        if self._builder is not None:
            self._builder.restore(part("bars."))


def _last_rows(panel: BarPanel, features: FloatArray, carry: FloatArray) -> FloatArray:
    """Return each symbol's features at its last bar; `carry` where it has none."""
    has_bar = np.isfinite(panel.close)
    last = len(panel) - 1 - np.argmax(has_bar[::-1], axis=0)
    rows = features[last, np.arange(panel.n_symbols)]
    return np.where(np.reshape(has_bar.any(axis=0), (-1, 1)), rows, carry)


def _joined(first: BarBatch, second: BarBatch) -> BarBatch:
    # Most batches of ticks complete no bar, and this is asked for every one of them.
    if not len(second):
        return first
    return BarBatch.concat((first, second)) if len(first) else second


def build_shard(
    info: FeedInfo, symbol_ids: NDArray[np.int32], settings: Settings, tap: Tap | None = None
) -> ShardProcessor:
    """Return the processor of some symbols."""
    return ShardProcessor(
        info,
        symbol_ids,
        bars=settings.bars,
        features=settings.features,
        max_late_ms=settings.feed.max_late_ms,
        tap=tap,
    )
