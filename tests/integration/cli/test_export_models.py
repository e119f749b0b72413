"""`trader models export`: from the registry or a folder, to ONNX or the kept files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import Market, fit_preset
from trader.models.base import load_model

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def market() -> Market:
    return Market.simulate(0, 200)


@pytest.fixture
def saved(market: Market, tmp_path: Path) -> Path:
    """The folder of a saved model."""
    folder = tmp_path / "saved" / "boosting@1.0.0"
    folder.mkdir(parents=True)
    fit_preset("boosting", market).save(folder)
    return folder


@pytest.fixture
def store(saved: Path, tmp_path: Path) -> str:
    """URL of a store where the same model is registered, its artefacts in the default place."""
    from trader.registry import Lineage, Registry
    from trader.storage import Store

    url = f"sqlite:///{tmp_path / 'registry.db'}"
    with Store.open(url) as opened:
        registry = Registry(opened, str(tmp_path / "models"), cache=tmp_path / "cache")
        lineage = Lineage(data_fingerprint="f" * 64, settings={}, seed=1)
        version = registry.begin("boosting", lineage=lineage, who="ada", why="a test")
        registry.complete(version, saved, report={}, metrics={}, who="ada", why="a test")
    return url


def _scores(path: Path, market: Market) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["score"], {"features": market.features[:, 0]})[0]


def test_onnx_of_a_registered_version(
    trader: Callable[..., Any], store: str, saved: Path, market: Market, tmp_path: Path
) -> None:
    """The file carries the version and scores as the model does; the answer says how closely."""
    import onnxruntime

    answer = trader("models", "export", "boosting@1.0.0", "--out", "b.onnx", "--store", store, "--json")
    assert answer.code == 0, answer.err
    facts = json.loads(answer.out)
    assert (facts["model"], facts["format"], facts["path"]) == ("boosting@1.0.0", "onnx", "b.onnx")
    assert facts["difference"] < 1e-9
    session = onnxruntime.InferenceSession(str(tmp_path / "b.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["version"] == "1.0.0"
    expected = load_model(saved).predict_panel(market.features)[:, 0]
    assert _scores(tmp_path / "b.onnx", market) == pytest.approx(expected, nan_ok=True)


def test_onnx_of_a_folder(trader: Callable[..., Any], saved: Path, market: Market, tmp_path: Path) -> None:
    """The folder of a saved model will do, without a registry."""
    answer = trader("models", "export", str(saved), "--out", "b.onnx")
    assert answer.code == 0, answer.err
    assert "onnxruntime agrees" in answer.out
    assert np.isfinite(_scores(tmp_path / "b.onnx", market)).any()


def test_files_of_a_registered_version(trader: Callable[..., Any], store: str, saved: Path, tmp_path: Path) -> None:
    """What the registry keeps is copied as it is."""
    answer = trader("models", "export", "boosting", "--format", "files", "--out", "copy", "--store", store)
    assert answer.code == 0, answer.err
    for path in saved.iterdir():
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("boosting@9.0.0", "--out", "b.onnx"), "9.0.0"),
        (("nowhere/at/all", "--out", "b.onnx"), "holds no saved model"),
        (("saved/boosting@1.0.0", "--out", "taken.onnx"), "taken.onnx exists"),
        (("saved/boosting@1.0.0", "--format", "files", "--out", "c"), "a folder of files already"),
        (("saved/boosting@1.0.0", "--format", "pickle", "--out", "c"), "pickle"),
    ],
)
def test_bad_usage(trader: Callable[..., Any], store: str, tmp_path: Path, args: tuple[str, ...], message: str) -> None:
    """Unknown versions, folders and formats, and files that exist, are exit code 2; nothing is overwritten."""
    (tmp_path / "taken.onnx").write_text("mine")
    answer = trader("models", "export", *args, "--store", store)
    assert answer.code == 2
    assert message in answer.err
    assert (tmp_path / "taken.onnx").read_text() == "mine"
