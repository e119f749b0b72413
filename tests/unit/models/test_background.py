"""The sample of training rows that travels with an ensemble."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError, ModelError
from trader.models.artifacts import load_ensemble, save_ensemble
from trader.models.background import Background, draw_background
from trader.models.base import create
from trader.models.dataset import TrainingSet
from trader.models.ensemble import Ensemble
from trader.models.training import train_ensemble
from trader.settings.sections import ModelSettings

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(500, 3))
    values[::7, 1] = np.nan
    return values


@pytest.fixture(scope="module")
def saved(rows: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = create("linear").fit(rows, rows[:, 0], feature_names=NAMES)
    folder = tmp_path_factory.mktemp("artefact") / "models"
    save_ensemble(Ensemble({"linear@1": model}, background=draw_background(rows, 3, source="of a test")), folder)
    return folder


def test_drawn_rows_are_the_sample_s_own_and_the_seed_says_which(rows: np.ndarray) -> None:
    """A hundred different rows in their order; equal seeds draw alike; a small sample is taken whole."""
    drawn = draw_background(rows, 1, source="x").rows
    places = [int(np.flatnonzero(rows[:, 0] == row[0])[0]) for row in drawn]
    assert len(places) == 100
    assert places == sorted(set(places))
    assert np.array_equal(drawn, rows[places], equal_nan=True)
    assert np.array_equal(drawn, draw_background(rows, 1, source="y").rows, equal_nan=True)
    assert not np.array_equal(drawn, draw_background(rows, 2, source="x").rows, equal_nan=True)
    assert np.array_equal(draw_background(rows[:5], 1, source="x").rows, rows[:5], equal_nan=True)


def test_digest_tells_contents_apart(rows: np.ndarray) -> None:
    """One changed bit or another shape changes the digest; infinite is missing."""
    background = Background(rows[:10], "x")
    changed = rows[:10].copy()
    changed[3, 0] = np.nextafter(changed[3, 0], 9.0)
    infinite = np.where(np.isnan(rows[:10]), np.inf, rows[:10])
    assert Background(changed, "x").sha256 != background.sha256
    assert Background(rows[:10].reshape(6, 5), "x").sha256 != background.sha256
    assert Background(infinite, "x").sha256 == background.sha256


@pytest.mark.parametrize("shape", [(0, 3), (3,), (1, 2, 3)])
def test_no_rows_are_no_background(shape: tuple[int, ...]) -> None:
    """A background needs at least one row of features."""
    with pytest.raises(DataError, match="at least one row"):
        Background(np.zeros(shape), "x")


def test_it_travels_with_the_artefact(saved: Path, rows: np.ndarray) -> None:
    """Loading gives back every bit and what was said of it, and the manifest guards it."""
    loaded = load_ensemble(saved).background
    assert loaded is not None
    assert np.array_equal(loaded.rows, draw_background(rows, 3, source="").rows, equal_nan=True)
    assert loaded.statement == "100 rows of a test"
    assert "background.safetensors" in json.loads((saved / "manifest.json").read_text())["files"]


def test_a_changed_background_is_refused(saved: Path, tmp_path: Path) -> None:
    """Its hash is checked with all others; a file that is none is a ModelError of its own."""
    mangled = tmp_path / "background.safetensors"
    mangled.write_bytes(b"{")
    with pytest.raises(ModelError, match="background"):
        Background.load(mangled)
    original = (saved / mangled.name).read_bytes()
    try:
        (saved / mangled.name).write_bytes(original[:-1] + b"\0")
        with pytest.raises(ModelError, match=r"background\.safetensors was changed"):
            load_ensemble(saved)
    finally:
        (saved / mangled.name).write_bytes(original)


def test_artefacts_without_one_still_load(rows: np.ndarray, tmp_path: Path) -> None:
    """An ensemble that was saved without a background has none."""
    model = create("linear").fit(rows, rows[:, 0], feature_names=NAMES)
    save_ensemble(Ensemble({"linear@1": model}), tmp_path / "models")
    assert load_ensemble(tmp_path / "models").background is None


def test_a_background_of_other_columns_is_refused(rows: np.ndarray) -> None:
    """Its columns are the schema's."""
    model = create("linear").fit(rows, rows[:, 0], feature_names=NAMES)
    with pytest.raises(DataError, match="background has 2 columns; the schema 3"):
        Ensemble({"linear@1": model}, background=Background(rows[:, :2], "x"))


def test_training_keeps_rows_it_learnt_from() -> None:
    """The background of a trained ensemble is a draw of usable training rows, and says so."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 5, 3))
    closes = np.exp(np.cumsum(0.01 * rng.normal(size=(400, 5)), axis=0))
    stamps = np.arange(400) * 86_400_000_000_000
    data = TrainingSet.build(features, NAMES, closes, stamps, horizon=1)
    ensemble = train_ensemble(data, settings=ModelSettings(members=("linear",), n_splits=2), seed=7).ensemble
    assert ensemble.background is not None
    usable = {row.tobytes() for row in data.features[data.usable]}
    assert all(row.tobytes() in usable for row in ensemble.background.rows)
    assert "drawn by seed 7" in ensemble.background.statement
    assert "1970-01-" in ensemble.background.statement
