"""Artefacts: the same scores after loading, and nothing loads once a byte has changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import ModelError
from trader.models.artifacts import load_ensemble, read_manifest, save_ensemble
from trader.models.base import create
from trader.models.ensemble import Ensemble

NAMES = ("momentum_12_1", "return_5d", "c")
FILES = [f"{key}/{file}" for key in ("boosting@1.0.0", "linear@1.0.0") for file in ("arrays.safetensors", "model.json")]


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 3))
    members = {
        f"{name}@1.0.0": create(name).fit(rows, rows[:, 0] + rng.normal(size=500), feature_names=NAMES)
        for name in ("linear", "boosting")
    }
    return Ensemble(members, (1.0, 3.0), scales={"linear@1.0.0": 0.7, "boosting@1.0.0": 0.4})


@pytest.fixture(scope="module")
def pristine(ensemble: Ensemble, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefact") / "models"
    save_ensemble(ensemble, folder, {"data": "abc", "trained": {"rows": 500}})
    return folder


@pytest.fixture
def saved(pristine: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(pristine, tmp_path / "models")


def test_loaded_ensemble_scores_the_same(ensemble: Ensemble, pristine: Path) -> None:
    """Schema, weights, scales and every bit of the scores survive."""
    loaded = load_ensemble(pristine)
    features = np.random.default_rng(1).normal(size=(30, 4, 3))
    assert loaded.feature_names == NAMES
    assert loaded.weights == ensemble.weights
    assert loaded.scales == ensemble.scales
    expected, found = ensemble(features), loaded(features)
    assert np.array_equal(found.score, expected.score)
    assert all(np.array_equal(found.members[key], scores) for key, scores in expected.members.items())


def test_metadata_and_content_hashes_are_kept(pristine: Path) -> None:
    """What was said of the artefact comes back, with a hash for each member that tells them apart."""
    metadata = load_ensemble(pristine).metadata
    assert metadata["data"] == "abc"
    assert metadata["trained"] == {"rows": 500}
    assert len(set(metadata["content_hash"].values())) == 2


def test_equal_ensembles_have_equal_manifests(ensemble: Ensemble, pristine: Path, tmp_path: Path) -> None:
    """Saving again gives the same hashes, so that they identify the content."""
    save_ensemble(ensemble, tmp_path / "again", {"data": "abc", "trained": {"rows": 500}})
    assert read_manifest(tmp_path / "again") == read_manifest(pristine)


def test_saving_a_loaded_ensemble_changes_nothing(pristine: Path, tmp_path: Path) -> None:
    """An artefact that is loaded and saved elsewhere keeps its file hashes."""
    save_ensemble(load_ensemble(pristine), tmp_path / "copy")
    assert read_manifest(tmp_path / "copy")["files"] == read_manifest(pristine)["files"]


def test_manifest_lists_every_file(pristine: Path) -> None:
    """One folder a member, two files each, all with their SHA-256."""
    assert sorted(read_manifest(pristine)["files"]) == FILES


@pytest.mark.parametrize("file", FILES)
def test_a_changed_byte_is_found(saved: Path, file: str) -> None:
    """Flipping one bit anywhere stops the load with the name of the file."""
    content = bytearray((saved / file).read_bytes())
    content[len(content) // 2] ^= 1
    (saved / file).write_bytes(bytes(content))
    with pytest.raises(ModelError, match=f"{file} was changed"):
        load_ensemble(saved)


def test_a_missing_file_is_named(saved: Path) -> None:
    """A file that the manifest lists must be there."""
    (saved / FILES[0]).unlink()
    with pytest.raises(ModelError, match=f"{FILES[0]} is missing"):
        load_ensemble(saved)


def test_an_unlisted_file_is_refused(saved: Path) -> None:
    """Nothing may lie beside what was verified."""
    (saved / "linear@1.0.0" / "extra.json").write_text("{}")
    with pytest.raises(ModelError, match=r"extra\.json is not listed"):
        load_ensemble(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "not a manifest of format 1"),
        ({"feature_names": ["x", "y", "z"]}, "names 3 features that are not those of its members"),
        ({"members": [{"key": "../linear", "model": "linear", "weight": 1, "scale": 1}]}, "plain folder name"),
        ({"members": [{"key": "linear@1.0.0", "model": "os:system", "weight": 1, "scale": 1}]}, "is unknown"),
        ({"members": [{"key": "linear@1.0.0", "model": "boosting", "weight": 1, "scale": 1}]}, "was expected"),
        ({"members": [{"key": "linear@1.0.0", "model": "linear", "weight": -1, "scale": 1}]}, "not a valid manifest"),
        ({"members": 3}, "not a valid manifest"),
        ({"files": None}, "not a valid manifest"),
    ],
)
def test_a_manifest_that_lies_is_refused(saved: Path, change: dict[str, object], message: str) -> None:
    """Manifests that name other formats, schemas, classes or folders load nothing."""
    path = saved / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        load_ensemble(saved)


@pytest.mark.parametrize("content", ["", "[]", "{", "null"])
def test_an_unreadable_manifest_is_named(saved: Path, content: str) -> None:
    """A manifest that is no JSON object raises ModelError with its path."""
    (saved / "manifest.json").write_text(content)
    with pytest.raises(ModelError, match=r"manifest\.json"):
        load_ensemble(saved)


def test_no_artefact_is_said_so(tmp_path: Path) -> None:
    """An empty or absent folder holds no trained models."""
    with pytest.raises(ModelError, match="holds no trained models"):
        load_ensemble(tmp_path / "nowhere")


def test_artefacts_are_never_overwritten(ensemble: Ensemble, saved: Path) -> None:
    """Saving to an existing folder is refused and leaves it as it was."""
    before = read_manifest(saved)
    with pytest.raises(ModelError, match="never overwritten"):
        save_ensemble(ensemble, saved)
    assert read_manifest(saved) == before


def test_a_failed_save_leaves_nothing(ensemble: Ensemble, tmp_path: Path) -> None:
    """Metadata that is no JSON fails the save; neither the folder nor a temporary one remains."""
    with pytest.raises(ModelError, match="could not be written"):
        save_ensemble(ensemble, tmp_path / "models", {"bad": object()})
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_a_model_error(ensemble: Ensemble, tmp_path: Path) -> None:
    """A file where a folder is needed gives one clear error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="could not be written"):
        save_ensemble(ensemble, tmp_path / "file" / "models")
