"""From a feed to what models learn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.market import BarPanel
from trader.core.protocols import Feed
from trader.data.feeds import open_feed
from trader.engine.history import FeatureSchema, read_history
from trader.engine.plan import periods_per_year, train_end_ns
from trader.models.dataset import TrainingSet
from trader.settings import Settings

__all__ = ["Past", "load_past", "read_past", "training_feed", "with_annual_scale"]

Progress = Callable[[str, float], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """A feed's past up to the end of training: what models learn from, and the bars it was made of.

    Parameters
    ----------
    data : TrainingSet
        Of n_slices instants.
    panel : BarPanel
        Bars of the same instants.
    schema : FeatureSchema
    settings : Settings
        As given, with `sizing.bars_per_year` measured where it was not set.
    """

    data: TrainingSet
    panel: BarPanel
    schema: FeatureSchema
    settings: Settings

    @property
    def span_ns(self) -> tuple[int, int]:
        """First and last stamp."""
        return int(self.data.ts_ns[0]), int(self.data.ts_ns[-1])


def load_past(settings: Settings, on_progress: Progress | None = None) -> Past:
    """Open the feed of the settings and read it up to `models.train_end` (null: its end).

    Raises
    ------
    UserError
        If data or dates named by the settings cannot be used.
    """
    feed, end_ns = training_feed(settings)
    return read_past(feed, settings, end_ns, on_progress)


def training_feed(settings: Settings) -> tuple[Feed, int]:
    """Return the feed of the settings, and the end of what training may see of it."""
    feed = open_feed(settings.feed, seed=settings.run.seed)
    if feed.info.span_ns is None:
        raise DataError(f"feed {feed.info.name!r} has no history to train on")
    end_ns = feed.info.span_ns[1] if settings.models.train_end is None else train_end_ns(settings, feed.info.span_ns)
    return feed, end_ns


def read_past(
    feed: Feed,
    settings: Settings,
    end_ns: int,
    on_progress: Progress | None = None,
    transform_target: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None,
) -> Past:
    """Read a feed up to `end_ns`, compute its features and label it; no label looks beyond that end.

    `transform_target` is applied to the labels before anything is learnt from them.
    """
    tell = on_progress or (lambda *_: None)
    history = read_history(feed, settings, end_ns, lambda share: tell("computing features", share))
    data = TrainingSet.build(
        history.features,
        history.schema.names,
        history.panel.close,
        history.panel.ts_ns,
        horizon=settings.models.horizon,
        labels=settings.models.labels,
        highs=history.panel.high,
        lows=history.panel.low,
        symbols=feed.info.universe.symbols,
        fingerprint=feed.info.fingerprint,
        transform_target=transform_target,
    )
    return Past(data, history.panel, history.schema, with_annual_scale(settings, data.ts_ns))


def with_annual_scale(settings: Settings, ts_ns: NDArray[np.int64]) -> Settings:
    """Return settings whose `sizing.bars_per_year` is measured from the stamps where it was not set."""
    if "bars_per_year" in settings.sizing.model_fields_set:
        return settings
    sizing = settings.sizing.model_copy(update={"bars_per_year": periods_per_year(ts_ns)})
    return settings.model_copy(update={"sizing": sizing})
