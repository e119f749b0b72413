"""From a feed to panel files, block by block: training data larger than memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import SettingsError
from trader.core.market import BarPanel
from trader.core.protocols import Feed
from trader.engine.history import feature_schema, history_blocks, whole_shard
from trader.engine.training_set import training_feed
from trader.models.labelling import label_panel
from trader.models.panel_files import PanelFiles, PanelHeader, open_panel
from trader.models.panel_writer import FILE_BYTES, PanelWriter, slices_of
from trader.models.targets import ENTRY_DELAY, VOLATILITY_WINDOW
from trader.settings import Settings
from trader.settings.sections import LabelSettings

__all__ = ["label_blocks", "load_panel", "write_panel"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Labelled = tuple[IntArray, FloatArray, FloatArray]

_BATCH_SLICES = 256
"""Instants that a feed of bars delivers at once: the panel does not depend on it."""


def load_panel(
    settings: Settings,
    folder: Path,
    *,
    context: int,
    file_bytes: int = FILE_BYTES,
    on_progress: Callable[[str, float], None] | None = None,
) -> PanelFiles:
    """Open the feed of the settings and write its past up to `models.train_end` (null: its end) as panel files.

    Parameters
    ----------
    settings : Settings
    folder : Path
        Must not exist.
    context : int
        Longest context of the models that will learn from the panel.
    file_bytes : int
        Features in a file; a file holds at least four contexts.
    on_progress : callable, optional

    Raises
    ------
    UserError
        If data, dates or labels named by the settings cannot be used, or the folder is there.
    OperationError
        If it cannot be written; then nothing is left of it.
    """
    if "batch_slices" not in settings.feed.model_fields_set:
        feed_settings = settings.feed.model_copy(update={"batch_slices": _BATCH_SLICES})
        settings = settings.model_copy(update={"feed": feed_settings})
    feed, end_ns = training_feed(settings)
    tell = on_progress or (lambda *_: None)
    return write_panel(
        feed,
        settings,
        end_ns,
        folder,
        context=context,
        file_bytes=file_bytes,
        on_progress=lambda share: tell("writing panel files", share),
    )


def write_panel(
    feed: Feed,
    settings: Settings,
    end_ns: int,
    folder: Path,
    *,
    context: int,
    file_bytes: int = FILE_BYTES,
    on_progress: Callable[[float], None] | None = None,
) -> PanelFiles:
    """Write the features and labels of a feed up to `end_ns`; no label looks beyond that end.

    What is kept in memory is about two files, beside what the feed itself keeps.
    """
    models, symbols = settings.models, feed.info.universe.symbols
    if models.labels.weights != "equal":
        raise SettingsError(
            f"models.labels.weights={models.labels.weights!r} needs all labels at once; panel files take 'equal'"
        )
    names = feature_schema(whole_shard(feed, settings), len(symbols)).names
    header = PanelHeader(names, symbols, models.horizon, context - 1, feed.info.fingerprint)
    file_slices = slices_of(header, file_bytes)
    with PanelWriter(folder, header, file_slices) as writer:
        blocks = history_blocks(feed, settings, end_ns, on_progress)
        for ts_ns, features, target in label_blocks(blocks, models.horizon, models.labels, file_slices):
            writer.append(ts_ns, features, target)
    return open_panel(folder)


def label_blocks(
    blocks: Iterable[tuple[BarPanel, FloatArray]], horizon: int, labels: LabelSettings, n_slices: int = 1
) -> Iterator[Labelled]:
    """Label a stream of consecutive instants as `trader.models.labelling.label_panel` labels the whole.

    An instant waits until the prices that its label looks at have come; the last ones have no label.

    Parameters
    ----------
    blocks : iterable of (BarPanel, ndarray of shape (n, n_symbols, n_features))
    horizon : int
        Bars.
    labels : LabelSettings
        With equal weights.
    n_slices : int, default=1
        Instants to gather before some are labelled.

    Yields
    ------
    ts_ns, features, target
        Of the next instants; at least one.
    """
    ahead = ENTRY_DELAY + horizon
    bars: list[BarPanel] = []
    features: list[FloatArray] = []
    n_past = n_waiting = 0

    def ripe(n_ripe: int) -> Labelled:
        """Label the oldest instants that wait, and keep of the past what later labels look back at."""
        nonlocal bars, features, n_past, n_waiting
        whole, rows = BarPanel.concat(bars), np.concatenate(features)
        target, _ = label_panel(whole.close, horizon, labels, highs=whole.high, lows=whole.low)
        end = n_past + n_ripe
        done = whole.ts_ns[n_past:end], rows[:n_ripe], target[n_past:end]
        start = max(0, end - VOLATILITY_WINDOW)
        bars, features = [whole.rows(start, len(whole))], [rows[n_ripe:]]
        n_past, n_waiting = end - start, n_waiting - n_ripe
        return done

    for panel, block in blocks:
        bars.append(panel)
        features.append(block)
        n_waiting += len(panel)
        if n_waiting >= ahead + n_slices:
            yield ripe(n_waiting - ahead)
    if n_waiting:
        yield ripe(n_waiting)
