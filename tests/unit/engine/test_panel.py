"""From a feed to panel files: the same numbers as in memory, and no look beyond the end of training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from trader.core.errors import SettingsError
from trader.data.planted import plant
from trader.engine.panel import label_blocks, load_panel
from trader.engine.training_set import load_past
from trader.models.labelling import label_panel
from trader.settings import PlantedSettings, Settings, load_settings
from trader.settings.sections import LabelSettings

MARKET = plant(PlantedSettings(n_symbols=5, n_days=300), seed=3).panel


def _settings(**models: Any) -> Settings:
    feed = {"kind": "planted", "planted": {"n_symbols": 5, "n_days": 700}}
    return load_settings(None, None, {"feed": feed, "models": {"horizon": 3} | models})


@pytest.mark.parametrize("kind", ["forward", "barriers"])
def test_panel_files_equal_the_training_set(tmp_path: Path, kind: str) -> None:
    """Features, labels, stamps and fingerprint are those of the set in memory, to float32."""
    settings = _settings(labels={"kind": kind}, train_end="2021-06-30")
    data = load_past(settings).data
    panel = load_panel(settings, tmp_path / "panel", context=8, file_bytes=50_000)
    assert len(panel.files) > 3
    assert panel.header.feature_names == data.feature_names
    assert panel.header.symbols == data.symbols
    assert (panel.header.horizon, panel.header.overlap, panel.header.fingerprint) == (3, 7, data.fingerprint)
    blocks = list(panel.blocks())
    for name in ("ts_ns", "features", "target"):
        own = np.concatenate([getattr(block, name)[block.n_context :] for block in blocks])
        np.testing.assert_array_equal(own, getattr(data, name).astype(own.dtype))


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=3, max_size=12), st.integers(1, 9), st.integers(1, 80), st.booleans())
def test_labels_of_a_stream_are_those_of_the_whole(
    sizes: list[int], horizon: int, n_slices: int, barriers: bool
) -> None:
    """However the instants come, every label is the one that the whole market gives, to the last bit or so."""
    market = MARKET.rows(0, min(sum(sizes), len(MARKET)))
    cuts = [(start, start + size) for start, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True)]
    parts = [market.rows(a, min(b, len(market))) for a, b in cuts if a < len(market)]
    labels = LabelSettings(kind="barriers" if barriers else "forward")
    expected, _ = label_panel(market.close, horizon, labels, highs=market.high, lows=market.low)
    stream = label_blocks([(part, part.close[..., None]) for part in parts], horizon, labels, n_slices)
    ts_ns, features, target = (np.concatenate(column) for column in zip(*stream, strict=True))
    np.testing.assert_array_equal(ts_ns, market.ts_ns)
    np.testing.assert_array_equal(features[..., 0], market.close)
    np.testing.assert_allclose(target, expected, rtol=1e-9, atol=1e-12)


def test_no_label_looks_beyond_what_has_come() -> None:
    """An instant is not labelled before its prices are there: later prices change no label that was given."""
    later = dataclasses.replace(MARKET.rows(200, 300), close=MARKET.close[200:300] * 2.0)
    first = next(
        label_blocks(((p, p.close[..., None]) for p in (MARKET.rows(0, 200), later)), 5, LabelSettings(), n_slices=50)
    )
    expected, _ = label_panel(MARKET.close[:200], 5, LabelSettings())
    assert first[0].size == 200 - 6
    np.testing.assert_array_equal(first[2], expected[: 200 - 6])


def test_weights_that_need_all_labels_are_refused(tmp_path: Path) -> None:
    """The setting is named, and nothing is written."""
    with pytest.raises(SettingsError, match=r"labels\.weights='uniqueness'"):
        load_panel(_settings(labels={"weights": "uniqueness"}), tmp_path / "panel", context=8)
    assert list(tmp_path.iterdir()) == []
