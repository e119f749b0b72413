"""The flat trees against scikit-learn's own."""

from __future__ import annotations

import numpy as np
import pytest

from trader.models.boosting import Boosting

NAMES = tuple("abcdef")


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Rows with holes; in column e whether it is missing says much, column f is never known."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, 6))
    features[:, 3] = np.round(features[:, 3])
    missing = rng.random(3000) < 0.3
    target = features[:, 0] * (features[:, 1] > 0) + 0.3 * features[:, 3] + 2.0 * missing + rng.normal(size=3000)
    features[rng.random(features.shape) < 0.1] = np.nan
    features[:, 4] = np.where(missing, np.nan, 1.0)
    features[:, 5] = np.nan
    return features, target


@pytest.mark.parametrize("leaves", [2, 3, 8, 31, 64])
def test_scores_are_those_of_scikit_learn_to_the_bit(data: tuple[np.ndarray, np.ndarray], leaves: int) -> None:
    """Trees of any size, missing values going either way: not a bit differs."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    features, target = data
    model = Boosting(n_trees=25, max_leaves=leaves, min_leaf_rows=5, learning_rate=0.1, l2=0.5)
    model.fit(features, target, feature_names=NAMES, seed=3)
    enough = np.isfinite(features).sum(axis=1) >= 3
    oracle = HistGradientBoostingRegressor(
        max_iter=25,
        max_leaf_nodes=leaves,
        min_samples_leaf=5,
        learning_rate=0.1,
        l2_regularization=0.5,
        early_stopping=False,
        random_state=3,
    ).fit(np.where(np.isnan(features).all(axis=0), 0.0, features)[enough], target[enough])
    rows = np.random.default_rng(1).normal(size=(2000, 6))
    rows[np.random.default_rng(2).random(rows.shape) < 0.2] = np.nan
    scored = np.isfinite(model.predict(rows))
    assert scored.mean() > 0.9
    assert np.array_equal(model.predict(rows)[scored], oracle.predict(rows)[scored])


def test_missing_values_go_both_ways(data: tuple[np.ndarray, np.ndarray]) -> None:
    """The comparison with scikit-learn covers nodes that send missing values left and right, and infinite limits."""
    features, target = data
    model = Boosting(n_trees=25, min_leaf_rows=5).fit(features, target, feature_names=NAMES)
    assert {bool(column >= len(NAMES)) for column in model.column} == {True, False}
    assert np.isinf(model.threshold).any()


def test_a_target_without_relation_gives_the_mean() -> None:
    """A constant target grows single leaves; every score is that constant."""
    rows = np.random.default_rng(0).normal(size=(500, 2))
    model = Boosting().fit(rows, np.full(500, 0.25), feature_names=("a", "b"))
    assert model.predict(rows) == pytest.approx(np.full(500, 0.25), abs=1e-12)


def test_long_training_sets_are_thinned_by_the_seed() -> None:
    """Beyond `max_rows` rows are drawn; the seed says which."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, 2))
    target = rows[:, 0] + rng.normal(size=2000)
    scores = [
        Boosting(n_trees=5, max_rows=500).fit(rows, target, feature_names=("a", "b"), seed=seed).predict(rows)
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])
