"""The transformer's graph against the transformer, run by onnxruntime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import ModelError
from trader.models.transformer_model import Transformer

runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

from trader.models.onnx import save_onnx  # noqa: E402 - needs the two above
from trader.models.onnx.sequence import check_sequence, sequence_graph  # noqa: E402 - needs the two above

NAMES = ("signal", "volatility_21d", "day_of_week", "days_to_month_end", "time_of_day")
N_SYMBOLS = 4


@pytest.fixture(scope="module")
def market() -> np.ndarray:
    """Features of 200 instants of four symbols, with gaps, and symbols that have no bar now and then."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, N_SYMBOLS, len(NAMES)))
    features[..., 2] = (np.arange(200) % 5)[:, None]
    features[..., 3] = (np.arange(200) % 22)[:, None]
    features[..., 4] = rng.random((200, 1))
    features[rng.random(features.shape) < 0.05] = np.nan
    features[rng.random(200) < 0.1, 1] = np.nan
    for at in range(1, 200, 7):
        features[at, 2] = features[at - 1, 2]
    features[50, 0, 0] = np.inf
    return features


@pytest.fixture(scope="module")
def model(market: np.ndarray) -> Transformer:
    target = 0.5 * np.roll(np.nan_to_num(market[..., 0], posinf=0.0), 1, axis=1)
    target += np.random.default_rng(1).normal(size=target.shape)
    fitted = Transformer(context=6, patch=2, d_model=16, n_heads=2, n_layers=2, epochs=2, purge=2)
    return fitted.fit_panel(market, target, feature_names=NAMES, seed=1)


@pytest.fixture(scope="module")
def content(model: Transformer) -> bytes:
    return sequence_graph(model, "1.2.0")


def test_graph_says_what_the_model_says(content: bytes, model: Transformer, market: np.ndarray) -> None:
    """Windows of the market and absurd ones: all outputs agree to single precision, and so do the abstentions."""
    windows = np.stack([market[at : at + model.context] for at in range(20, 70)])
    assert check_sequence(content, model, windows) < 1e-5
    assert check_sequence(content, model, 1e6 * windows) < 1e-5
    assert check_sequence(content, model) < 1e-5


def test_graph_of_another_model_is_refused(content: bytes, model: Transformer, market: np.ndarray) -> None:
    """The check finds a graph that is not the model's, and names the output."""
    other = Transformer(**model.params).fit_panel(
        market, np.nan_to_num(market[..., 0], posinf=0.0), feature_names=NAMES, seed=2
    )
    with pytest.raises(ModelError, match=r"differs from it by .* in score; at most 0\.0001"):
        check_sequence(content, other)


def test_metadata_say_what_it_is(content: bytes, model: Transformer) -> None:
    """Kind, version, schema, context and levels are in the file; shapes are fixed."""
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    found = session.get_modelmeta().custom_metadata_map
    assert (found["kind"], found["version"], found["context"]) == ("transformer", "1.2.0", "6")
    assert tuple(json.loads(found["feature_names"])) == NAMES
    assert len(json.loads(found["levels"])) == session.get_outputs()[2].shape[1]
    assert session.get_inputs()[0].shape == [model.context, N_SYMBOLS, len(NAMES)]


def test_symbols_without_embeddings_fix_no_number(market: np.ndarray) -> None:
    """Such a model scores any number of symbols; a graph cannot, and says so. Nothing is written."""
    loose = Transformer(context=2, d_model=16, n_heads=2, n_layers=1, epochs=1, n_symbol_embeddings=0)
    loose.fit_panel(market, np.nan_to_num(market[..., 0], posinf=0.0), feature_names=NAMES)
    with pytest.raises(ModelError, match="no ONNX form with n_symbol_embeddings=0"):
        save_onnx(loose, Path("never.onnx"))
    assert not Path("never.onnx").exists()
