"""Ridge regression against scikit-learn and its stated rules."""

from __future__ import annotations

import numpy as np
import pytest

from trader.models.linear import Linear

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 3)) * [1.0, 10.0, 0.01] + [0.0, 5.0, 1.0]
    return features, features @ [1.0, -0.2, 30.0] + rng.normal(size=400)


@pytest.mark.parametrize("alpha", [1e-6, 0.1, 1.0, 10.0])
def test_agrees_with_scikit_learn(data: tuple[np.ndarray, np.ndarray], alpha: float) -> None:
    """On standardised features the scores are those of Ridge with alpha times the number of rows."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, target = data
    model = Linear(alpha=alpha, clip=100.0).fit(features, target, feature_names=NAMES)
    oracle = make_pipeline(StandardScaler(), Ridge(alpha=alpha * 400)).fit(features, target)
    assert model.predict(features) == pytest.approx(oracle.predict(features), rel=1e-9)


def test_missing_counts_as_the_mean(data: tuple[np.ndarray, np.ndarray]) -> None:
    """A NaN feature scores as the training mean of its column does."""
    features, target = data
    model = Linear().fit(features, target, feature_names=NAMES)
    holed, filled = features[:20].copy(), features[:20].copy()
    holed[:, 1], filled[:, 1] = np.nan, features[:, 1].mean()
    assert model.predict(holed) == pytest.approx(model.predict(filled))


def test_outliers_are_clipped(data: tuple[np.ndarray, np.ndarray]) -> None:
    """Beyond `clip` standard deviations a feature says no more."""
    features, target = data
    model = Linear(clip=3.0).fit(features, target, feature_names=NAMES)
    centre, spread = features.mean(axis=0), features.std(axis=0)
    rows = np.tile(centre, (3, 1))
    rows[:, 0] += spread[0] * np.array([2.0, 4.0, 1e9])
    scores = model.predict(rows)
    assert scores[0] != scores[1]
    assert scores[1] == scores[2]


def test_constant_columns_add_nothing(data: tuple[np.ndarray, np.ndarray]) -> None:
    """A column without variation in training has no say, whatever it becomes later."""
    features, target = data
    widened = np.column_stack([features, np.full(400, 0.1)])
    model = Linear().fit(widened, target, feature_names=(*NAMES, "still"))
    moved = widened.copy()
    moved[:, 3] = 1e6
    assert np.array_equal(model.predict(widened), model.predict(moved))


def test_fewer_than_half_known_abstains(data: tuple[np.ndarray, np.ndarray]) -> None:
    """Two of three features are enough, one is not."""
    features, target = data
    model = Linear().fit(features, target, feature_names=NAMES)
    rows = features[:2].copy()
    rows[0, 0] = np.nan
    rows[1, :2] = np.nan
    assert np.isfinite(model.predict(rows)).tolist() == [True, False]
