"""ONNX graphs against the models they were made of, run by onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.models import NAMES, Market, fit_preset
from trader.core.errors import DataError, ModelError
from trader.models.base import MODELS, ArrayModel, create, model_class

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from trader.models.onnx import check_onnx, sample_rows, save_onnx, to_onnx  # noqa: E402 - needs the two above

ROW_MODELS = sorted(name for name in MODELS if issubclass(model_class(name), ArrayModel))


@pytest.fixture(scope="module")
def market() -> Market:
    return Market.simulate(0, 300)


def _run(content: bytes, rows: np.ndarray, *outputs: str) -> list[np.ndarray]:
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(list(outputs), {"features": rows})


@pytest.mark.parametrize("name", ROW_MODELS)
def test_graph_says_what_the_model_says(name: str, market: Market) -> None:
    """All outputs agree to 1e-12, on training rows, rows like them and absurd ones; so do the abstentions."""
    model = fit_preset(name, market)
    content = to_onnx(model, version="1.2.0")
    absurd = np.random.default_rng(0).normal(size=(200, 5)) * 1e6
    absurd[::7, 2], absurd[::5, 0] = np.inf, -np.inf
    for rows in (market.features.reshape(-1, 5), sample_rows(model), absurd):
        assert check_onnx(content, model, rows) < 1e-12
    forecast = model.forecast(market.features[:, :1])
    score, quantiles = _run(content, np.ascontiguousarray(market.features[:, 0]), "score", "quantiles")
    assert score == pytest.approx(forecast.score[:, 0], nan_ok=True)
    assert quantiles == pytest.approx(forecast.quantiles[:, 0], nan_ok=True)
    assert np.isnan(score).any()


@pytest.mark.parametrize("name", ROW_MODELS)
def test_values_on_the_limits_of_trees_are_not_rounded(name: str, market: Market) -> None:
    """The graph compares in double precision: the neighbours of every training value score as in the model."""
    model = fit_preset(name, market)
    rows = market.features[:100, 0]
    for near in (np.nextafter(rows, np.inf), np.nextafter(rows, -np.inf)):
        assert check_onnx(to_onnx(model), model, near) < 1e-12


def test_metadata_say_what_it_is(market: Market) -> None:
    """Kind, version, the schema and the levels of the quantiles are in the file."""
    session = runtime.InferenceSession(
        to_onnx(fit_preset("boosting", market), version="1.2.0"), providers=["CPUExecutionProvider"]
    )
    found = session.get_modelmeta().custom_metadata_map
    assert (found["kind"], found["version"]) == ("boosting", "1.2.0")
    assert json.loads(found["feature_names"]) == list(NAMES)
    assert json.loads(found["levels"]) == [0.05, 0.25, 0.5, 0.75, 0.95]
    assert session.get_inputs()[0].shape == ["n_rows", 5]


def test_exports_repeat_to_the_byte(market: Market) -> None:
    """Equal models give equal files."""
    assert to_onnx(fit_preset("lightgbm", market)) == to_onnx(fit_preset("lightgbm", market))


def test_a_model_without_calibration_exports_its_score(market: Market) -> None:
    """Forecasts are left out where there are none."""
    model = create("linear").fit_panel(market.features[:20], market.target[:20], feature_names=NAMES)
    content = to_onnx(model)
    names = [output.name for output in onnx.load_from_string(content).graph.output]
    assert names == ["score"]
    assert check_onnx(content, model) < 1e-12


def test_trees_that_never_split_are_survived(market: Market) -> None:
    """A constant target leaves no tree to export, only a number."""
    model = create("boosting", n_trees=3)
    model.fit_panel(market.features, np.full(market.target.shape, 0.25), feature_names=NAMES)
    assert check_onnx(to_onnx(model), model) == 0.0


def test_a_graph_of_another_model_is_refused(market: Market) -> None:
    """A difference beyond the tolerance is named with its output."""
    one, other = fit_preset("linear", market), fit_preset("linear", market, target=market.target * 1.001)
    with pytest.raises(ModelError, match=r"differs from it by .* in score"):
        check_onnx(to_onnx(one), other)


def test_files_are_whole_and_never_overwritten(market: Market, tmp_path: Path) -> None:
    """A file is written once; a second time and a folder that is not there are refused, and nothing is left."""
    model = fit_preset("linear", market)
    assert save_onnx(model, tmp_path / "a.onnx", version="1.0.0") < 1e-12
    assert (tmp_path / "a.onnx").read_bytes() == to_onnx(model, version="1.0.0")
    with pytest.raises(DataError, match=r"a\.onnx exists"):
        save_onnx(model, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="could not be exported"):
        save_onnx(model, tmp_path / "none" / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_unfitted_models_are_refused() -> None:
    """There is nothing to export before a fit."""
    with pytest.raises(ModelError, match="not fitted"):
        to_onnx(create("linear"))
