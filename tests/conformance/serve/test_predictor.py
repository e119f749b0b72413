"""What every `Predictor` promises, whether it is the ensemble itself or a way to reach it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ray import serve as ray_serve

from serve.deployments import Replicas, ensemble_application
from serve.predictor import ServePredictor
from serve.service import EnsembleService
from trader.core.errors import DataError
from trader.core.protocols import Predictor
from trader.models.artifacts import load_ensemble, save_ensemble
from trader.models.base import create
from trader.models.ensemble import Ensemble

N_FEATURES = 6


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear and a boosted model, saved."""
    rng = np.random.default_rng(23)
    features = rng.normal(size=(300, N_FEATURES))
    target = features[:, 0] - features[:, 1] + rng.normal(size=300)
    names = tuple(f"factor_{i}" for i in range(N_FEATURES))
    members = {f"{name}@1": create(name).fit(features, target, feature_names=names) for name in ("linear", "boosting")}
    folder = tmp_path_factory.mktemp("ensemble") / "models"
    save_ensemble(Ensemble(members), folder)
    return folder


@pytest.fixture(scope="module", params=["ensemble", "service", "handle"])
def predictor(request: pytest.FixtureRequest, model_dir: Path) -> Predictor:
    """Each predictor there is, over the same files; the handle in Serve's local testing mode."""
    if request.param == "ensemble":
        return load_ensemble(model_dir)
    if request.param == "service":
        return EnsembleService(model_dir).predict
    app = ensemble_application(model_dir, weights={}, replicas=Replicas(), cpus=0.1, member_timeout_s=0.0)
    return ServePredictor(ray_serve.run(app, name="conformance", route_prefix=None, _local_testing_mode=True))


@pytest.fixture
def features() -> np.ndarray:
    """Four instants of five symbols, one number in ten missing."""
    rng = np.random.default_rng(29)
    values = rng.normal(size=(4, 5, N_FEATURES))
    values[rng.random(values.shape) < 0.1] = np.nan
    return values


def test_shapes_and_names(predictor: Predictor, features: np.ndarray) -> None:
    """Scores have one row an instant and one column a symbol, for the whole and for each member."""
    prediction = predictor(features)
    assert prediction.score.shape == (4, 5)
    assert prediction.score.dtype == np.float64
    assert list(prediction.members) == ["linear@1", "boosting@1"]
    assert all(scores.shape == (4, 5) for scores in prediction.members.values())


def test_equals_the_saved_ensemble_bit_for_bit(predictor: Predictor, model_dir: Path, features: np.ndarray) -> None:
    """Whatever lies between, nothing is rounded."""
    want, got = load_ensemble(model_dir)(features), predictor(features)
    assert got.score.tobytes() == want.score.tobytes()
    for key, scores in want.members.items():
        assert got.members[key].tobytes() == scores.tobytes()


def test_a_block_equals_its_instants(predictor: Predictor, features: np.ndarray) -> None:
    """Instants and symbols are scored independently of each other."""
    block = predictor(features).score
    for t in range(4):
        assert predictor(features[t : t + 1]).score[0].tobytes() == block[t].tobytes()
        for i in range(5):
            assert predictor(features[t : t + 1, i : i + 1]).score[0, 0] == block[t, i]


def test_nothing_known_is_no_score(predictor: Predictor, features: np.ndarray) -> None:
    """A row of NaN abstains, and only that row."""
    features[1, 2] = np.nan
    score = predictor(features).score
    assert np.isnan(score[1, 2])
    assert np.isfinite(np.delete(score.ravel(), 7)).all()


def test_input_is_left_alone(predictor: Predictor, features: np.ndarray) -> None:
    """Read-only arrays are accepted, in any memory order, and not written to."""
    want = predictor(features).score
    for layout in (features, np.asfortranarray(features)):
        layout.flags.writeable = False
        assert predictor(layout).score.tobytes() == want.tobytes()


def test_no_instant_is_no_score(predictor: Predictor) -> None:
    """An empty block gives empty scores."""
    assert predictor(np.empty((0, 5, N_FEATURES))).score.shape == (0, 5)


@pytest.mark.parametrize("shape", [(5, N_FEATURES), (1, 5, N_FEATURES + 1), (N_FEATURES,)])
def test_other_shapes_are_refused(predictor: Predictor, shape: tuple[int, ...]) -> None:
    """A wrong shape is the caller's mistake, and the message says what is needed."""
    with pytest.raises(DataError, match=rf"{N_FEATURES}\)"):
        predictor(np.zeros(shape))
