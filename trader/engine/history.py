"""The past of a feed as features and prices, for training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from trader.bars import BarBuilder
from trader.core.errors import DataError
from trader.core.market import BarBatch, BarPanel
from trader.core.protocols import Feed
from trader.data.quality import QualityReport, inspect
from trader.engine.join import join_shards
from trader.engine.shard import ShardProcessor, build_shard
from trader.features import CrossSection, all_features
from trader.settings import Settings

__all__ = ["FeatureSchema", "History", "feature_schema", "feed_quality", "history_blocks", "read_bars", "read_history"]


@dataclasses.dataclass(frozen=True, slots=True)
class FeatureSchema:
    """The columns a model sees: per-symbol features, then ranks across symbols."""

    names: tuple[str, ...]
    left_out: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class History:
    """Bars and features up to the end of training.

    Parameters
    ----------
    panel : BarPanel
        Bars of n_slices instants.
    features : ndarray of shape (n_slices, n_symbols, n_features)
    schema : FeatureSchema
    """

    panel: BarPanel
    features: NDArray[np.float64]
    schema: FeatureSchema


def whole_shard(feed: Feed, settings: Settings) -> ShardProcessor:
    """Return a shard that holds every symbol of the feed."""
    return build_shard(feed.info, np.arange(len(feed.info.universe), dtype=np.int32), settings)


def feature_schema(shard: ShardProcessor, n_symbols: int) -> FeatureSchema:
    """Return the columns of the features after the ranks across symbols are added."""
    ranks = CrossSection(shard.feature_names, n_symbols)
    return FeatureSchema(shard.feature_names + ranks.names, shard.left_out)


def read_bars(feed: Feed, settings: Settings) -> BarBatch:
    """Return all bars of a feed, built from its ticks where it carries ticks, the unfinished last ones included.

    Raises
    ------
    DataError
        If the feed is live: it has no end.
    """
    if feed.info.span_ns is None:
        raise DataError(f"feed {feed.info.name!r} is live; bars of recorded ticks can be read")
    if feed.info.kind == "bars":
        return BarBatch.concat([batch.data for batch in feed.batches() if isinstance(batch.data, BarBatch)])
    late_ns = int(settings.feed.max_late_ms * 1e6)
    builder = BarBuilder(len(feed.info.universe), settings.bars.kind, settings.bars.size, max_late_ns=late_ns)
    parts = []
    for batch in feed.batches():
        if not isinstance(batch.data, BarBatch):
            parts.append(builder.update(batch.data))
            parts.append(builder.advance(batch.watermark_ns))
    return BarBatch.concat([*parts, builder.finish()])


def feed_quality(feed: Feed, settings: Settings) -> QualityReport:
    """Return what the feed found in its bars, repairs included; bars built from ticks are inspected here."""
    found: QualityReport | None = getattr(feed, "quality", None)
    return found if found is not None else inspect(read_bars(feed, settings), feed.info.universe)


def read_history(
    feed: Feed, settings: Settings, end_ns: int, on_progress: Callable[[float], None] | None = None
) -> History:
    """Read a feed from its beginning to the last bar that closes by `end_ns`.

    Raises
    ------
    DataError
        If no bar closes by then.
    """
    blocks = list(history_blocks(feed, settings, end_ns, on_progress))
    if not blocks:
        raise DataError(f"feed {feed.info.name!r} holds no bar up to the end of training")
    panels, features = zip(*blocks, strict=True)
    schema = feature_schema(whole_shard(feed, settings), len(feed.info.universe))
    return History(BarPanel.concat(panels), np.concatenate(features), schema)


def history_blocks(
    feed: Feed, settings: Settings, end_ns: int, on_progress: Callable[[float], None] | None = None
) -> Iterator[tuple[BarPanel, NDArray[np.float64]]]:
    """Yield bars and features, as the feed's batches complete them, to the last bar that closes by `end_ns`."""
    n_symbols = len(feed.info.universe)
    ids = [np.arange(n_symbols, dtype=np.int32)]
    shard = whole_shard(feed, settings)
    ranks = CrossSection(shard.feature_names, n_symbols)
    first_ns = feed.info.span_ns[0] if feed.info.span_ns else 0
    for batch in feed.batches():
        joined = join_shards([shard.process(batch)], ids)
        stop = int(np.searchsorted(joined.panel.ts_ns, end_ns, side="right"))
        if stop:
            yield joined.panel.rows(0, stop), all_features(joined.features[:stop], ranks)
        if batch.watermark_ns > end_ns:
            break
        if on_progress is not None:
            on_progress((batch.watermark_ns - first_ns) / max(end_ns - first_ns, 1))
