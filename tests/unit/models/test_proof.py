"""The proof of learning: models find what they can see of planted markets, and nothing of what they cannot."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.models.kinds import MODELS, preset
from trader.models.proof import ProofData, learning_proof, proof_data
from trader.settings import PlantedSettings


@pytest.fixture(scope="module")
def markets() -> dict[str, ProofData]:
    return {
        signal: proof_data(PlantedSettings(signal=signal), seed=7)  # type: ignore[arg-type]
        for signal in ("momentum", "lead_lag", "volume")
    }


class Told:
    """A model that is told the oracle's scores of the instants it will be asked for; `data` is set before."""

    name = "told"
    context = 4
    data: ProofData

    def fit_panel(self, features: np.ndarray, target: np.ndarray, **kwargs: Any) -> Self:
        self.seen = features.shape[0]
        self.instants = kwargs["instants"]
        Told.fitted = self  # type: ignore[attr-defined]
        return self

    def predict_panel(self, features: np.ndarray, n_context: int = 0) -> np.ndarray:
        assert n_context == 3
        assert features.shape[0] == self.data.target.shape[0] - self.seen + 3
        return self.data.oracle[self.seen :]


def test_the_oracle_itself_finds_everything(markets: dict[str, ProofData], monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with the oracle's scores has a share of exactly one, without doubt; no label reaches into the test."""
    monkeypatch.setitem(MODELS, "told", f"{__name__}:Told")
    Told.data = markets["lead_lag"]  # type: ignore[misc]
    result = learning_proof(markets["lead_lag"], "told", n_resamples=100)
    assert result.share == 1.0
    assert result.share_interval == (1.0, 1.0)
    assert result.ic_interval[0] < result.oracle_ic < result.ic_interval[1]
    assert Told.fitted.instants[-1] + 2 < Told.fitted.seen == 2800  # type: ignore[attr-defined]


class AcrossAssets:
    """Least squares of each symbol's target on the last returns of all symbols."""

    name = "across"
    context = 1

    def fit_panel(self, features: np.ndarray, target: np.ndarray, **kwargs: Any) -> Self:
        self.column = kwargs["feature_names"].index("return_1d")
        rows = kwargs["instants"][100:]  # volatility, and so the target, is known by then
        self.weights = np.linalg.lstsq(features[rows, :, self.column], target[rows], rcond=None)[0]
        return self

    def predict_panel(self, features: np.ndarray, n_context: int = 0) -> np.ndarray:
        assert n_context == 0
        return features[:, :, self.column] @ self.weights


def test_lead_lag_can_be_learnt_from_the_returns_of_all(
    markets: dict[str, ProofData], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that sees other symbols reaches nine tenths of the oracle: the data are enough to ask for it."""
    monkeypatch.setitem(MODELS, "across", f"{__name__}:AcrossAssets")
    assert learning_proof(markets["lead_lag"], "across", n_resamples=100).share > 0.9


def test_boosting_sees_momentum_and_volume(markets: dict[str, ProofData]) -> None:
    """Trees find a signal in a symbol's own return, and one in its product with volume, which is not linear."""
    params = preset("boosting", "demo")
    assert learning_proof(markets["momentum"], "boosting", params, n_resamples=100).share > 0.9
    assert learning_proof(markets["volume"], "boosting", params, n_resamples=100).share > 0.7
    assert learning_proof(markets["volume"], "linear", n_resamples=100).share < 0.15


@pytest.mark.parametrize("model", ["linear", "boosting"])
def test_models_of_own_features_see_nothing_of_lead_lag(markets: dict[str, ProofData], model: str) -> None:
    """The interval of their share holds 0 and stays below a fifth, where the oracle's IC is .3."""
    result = learning_proof(markets["lead_lag"], model, preset(model, "demo"))
    assert result.oracle_ic == pytest.approx(0.3, abs=0.03)
    assert result.share_interval[0] < 0.0 < result.share_interval[1] < 0.2


def test_result_is_ready_for_json(markets: dict[str, ProofData]) -> None:
    """Equal seeds give equal results, and a result is plain values."""
    first, again = (learning_proof(markets["momentum"], "linear", n_resamples=50) for _ in range(2))
    assert first.to_dict() == again.to_dict()
    assert (first.signal, first.model, first.n_train) == ("momentum", "linear", 2798)


def test_bad_share_is_named(markets: dict[str, ProofData]) -> None:
    """A refused argument is named with its value."""
    with pytest.raises(DataError, match=r"train_share=1\.0"):
        learning_proof(markets["momentum"], "linear", train_share=1.0)
