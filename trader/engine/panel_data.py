"""From a feed to panel files, in memory that does not grow with the number of features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from trader.core.errors import DataError
from trader.core.protocols import Feed
from trader.engine.history import feature_schema, history_blocks, whole_shard
from trader.models.labelling import label_panel
from trader.models.panel_files import PanelFiles, PanelHeader, open_panel
from trader.models.panel_writer import FILE_BYTES, PanelWriter, slices_of
from trader.settings import Settings

__all__ = ["write_panel"]

Progress = Callable[[str, float], None]


def write_panel(
    feed: Feed,
    settings: Settings,
    end_ns: int,
    folder: Path,
    *,
    context: int,
    file_bytes: int = FILE_BYTES,
    on_progress: Progress | None = None,
) -> PanelFiles:
    """Write the features and labels of a feed up to `end_ns` as panel files; no label looks beyond that end.

    The feed is read twice: labels look ahead, and their weights depend on all of them, so prices are read first and
    kept; features are computed again, and written as they come.

    Parameters
    ----------
    feed : Feed
    settings : Settings
        For bars, features and labels.
    end_ns : int
    folder : Path
        Must not exist.
    context : int
        Longest context of a model that is to learn from the files.
    file_bytes : int
        Of the features of a file, about.
    on_progress : callable, optional
        Told what is being done and the share of it that is.

    Raises
    ------
    DataError
        If no bar closes by `end_ns`, the folder is there already, or a size is not allowed.
    OperationError
        If the files cannot be written; nothing of them is left.
    """
    if context < 1 or file_bytes < 1:
        raise DataError(f"context={context}, file_bytes={file_bytes}; at least 1 is needed")
    tell = on_progress or (lambda *_: None)
    header = PanelHeader(
        feature_names=feature_schema(whole_shard(feed, settings), len(feed.info.universe)).names,
        symbols=feed.info.universe.symbols,
        horizon=settings.models.horizon,
        overlap=context - 1,
        fingerprint=feed.info.fingerprint,
        settings=settings.model_dump(mode="json"),
    )
    with PanelWriter(folder, header, slices_of(header, file_bytes)) as writer:
        prices = [
            (panel.close, panel.high, panel.low)
            for panel, _ in history_blocks(feed, settings, end_ns, lambda share: tell("reading prices", share))
        ]
        if not prices:
            raise DataError(f"feed {feed.info.name!r} holds no bar up to the end of training")
        closes, highs, lows = (np.concatenate(column) for column in zip(*prices, strict=True))
        target, weight = label_panel(closes, header.horizon, settings.models.labels, highs=highs, lows=lows)
        start = 0
        for panel, features in history_blocks(feed, settings, end_ns, lambda share: tell("writing files", share)):
            rows = slice(start, start + len(panel))
            writer.append(panel.ts_ns, features, target[rows], None if weight is None else weight[rows])
            start = rows.stop
    return open_panel(folder)
