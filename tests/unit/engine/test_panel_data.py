"""Panel files written from a feed: what a training set in memory would be, with the figures that go with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.engine.panel_data import write_panel
from trader.engine.panel_training import PanelSplit
from trader.engine.training_set import load_past, training_feed
from trader.models.panel_files import PanelFiles
from trader.models.transformer_params import TransformerParams
from trader.settings import Settings

SETTINGS = Settings.model_validate(
    {
        "feed": {"kind": "simulated", "simulation": {"n_symbols": 5, "n_days": 500}},
        "models": {"horizon": 3, "train_end": "2016-06-30", "labels": {"kind": "barriers", "weights": "return"}},
    }
)


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> PanelFiles:
    feed, end_ns = training_feed(SETTINGS)
    folder = tmp_path_factory.mktemp("panels") / "panel"
    return write_panel(feed, SETTINGS, end_ns, folder, context=5, file_bytes=100_000)


def test_files_hold_the_training_set(panel: PanelFiles) -> None:
    """Features, labels and weights are those that `load_past` makes of the same settings, as float32."""
    data = load_past(SETTINGS).data
    assert data.weight is not None
    assert len(panel.files) > 2
    assert panel.header.overlap == 4
    assert (panel.header.feature_names, panel.header.symbols) == (data.feature_names, data.symbols)
    assert (panel.header.fingerprint, panel.header.horizon) == (data.fingerprint, 3)
    assert panel.header.settings["models"]["train_end"] == "2016-06-30"
    blocks = list(panel.blocks())
    for name in ("ts_ns", "features", "target"):
        own = np.concatenate([getattr(block, name)[block.n_context :] for block in blocks])
        np.testing.assert_array_equal(own, getattr(data, name).astype(own.dtype))
    weight = np.concatenate([block.weight[block.n_context :] for block in blocks])
    np.testing.assert_array_equal(weight, np.where(data.usable, data.weight, 0.0).astype(np.float32))


def test_a_test_span_is_purged(panel: PanelFiles) -> None:
    """Between what is learnt from and what a model is judged by lie the bars that labels look ahead, or more."""
    n = len(panel)
    short, long = (PanelSplit.of(panel, TransformerParams(purge=purge), 0.25) for purge in (0, 30))
    assert short.end == long.end == n - round(0.25 * n)
    assert (short.test - short.end, long.test - long.end) == (4, 30)
    with pytest.raises(DataError, match="leaves nothing"):
        PanelSplit.of(panel, TransformerParams(), 0.001)
    for fraction in (0.0, 1.0):
        with pytest.raises(DataError, match=r"between 0 and 1"):
            PanelSplit.of(panel, TransformerParams(), fraction)


def test_sizes_are_checked_first(tmp_path: Path) -> None:
    """A context of nothing, and a folder that is there, are refused before anything is read."""
    feed, end_ns = training_feed(SETTINGS)
    with pytest.raises(DataError, match="context=0"):
        write_panel(feed, SETTINGS, end_ns, tmp_path / "panel", context=0)
    with pytest.raises(DataError, match="there already"):
        write_panel(feed, SETTINGS, end_ns, tmp_path, context=3)
