"""SHAP values against the definition, against the shap package, and against each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.explaining import NAMES, shapley_by_definition
from trader.core.errors import DataError, ModelError
from trader.explain.additive import additive_shap, clipped_sum
from trader.explain.instant import Instant, LocalScore
from trader.explain.permutation import permutation_shap
from trader.explain.shap import shap_values
from trader.explain.subject import subject_of
from trader.explain.trees import boxes_of_trees, tree_shap
from trader.models.background import Background
from trader.models.base import create
from trader.models.boosting import Boosting
from trader.models.ensemble import Ensemble


@pytest.mark.parametrize("member", ["momentum@1", "linear@1", "boosting@1", None])
def test_values_are_those_of_the_definition(
    ensemble: Ensemble, background: Background, rows: np.ndarray, member: str | None
) -> None:
    """Summed over all 32 coalitions, missing features included: each member and the ensemble, to rounding."""
    subject = subject_of(ensemble, member)
    explained = rows[100:112]
    found = shap_values(subject, Instant.of(explained), background)
    for row, values, base in zip(explained, found.values, found.base, strict=True):
        want, mean = shapley_by_definition(lambda x: subject.scores(x[None])[0], row, background.rows)
        assert values == pytest.approx(want, abs=1e-12)
        assert base == pytest.approx(mean, abs=1e-12)
    assert found.standard_error is None
    assert np.isnan(explained).any()


def test_trees_agree_with_the_shap_package() -> None:
    """`shap.TreeExplainer` on the same scikit-learn model and background, interventional.

    Its C code rounds features and weights to float32, so the data are made of such numbers and the tolerance is theirs.
    """
    shap = pytest.importorskip("shap")
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(0)
    x = rng.normal(size=(1540, 8)).astype(np.float32).astype(np.float64)
    x, unseen = x[:1500], x[1500:]
    y = x[:, 0] * (x[:, 1] > 0) + np.abs(x[:, 2]) + x[:, 3] * x[:, 4] * x[:, 5] + 0.1 * rng.normal(size=1500)
    names = tuple("abcdefgh")
    model = Boosting(n_trees=60, max_leaves=16, min_leaf_rows=10, learning_rate=0.1, l2=0.0)
    model.fit(x, y, feature_names=names, seed=3)
    oracle = HistGradientBoostingRegressor(
        max_iter=60,
        max_leaf_nodes=16,
        min_samples_leaf=10,
        learning_rate=0.1,
        early_stopping=False,
        random_state=3,
    ).fit(x, y)
    assert np.array_equal(model.predict(unseen), oracle.predict(unseen))
    explainer = shap.TreeExplainer(oracle, data=x[:50], feature_perturbation="interventional")
    values, base = tree_shap(boxes_of_trees(model), unseen, x[:50])
    assert values == pytest.approx(explainer.shap_values(unseen, check_additivity=False), abs=1e-7)
    assert base == pytest.approx(float(np.ravel(explainer.expected_value)[0]), abs=1e-9)


@pytest.mark.parametrize("leaves", [2, 5, 64])
def test_boxes_score_as_the_trees_do(rows: np.ndarray, leaves: int) -> None:
    """The leaves' boxes, rebuilt from the flat arrays, hold each row exactly once a tree; missing and infinite too."""
    target = np.nan_to_num(rows[:, 0] * rows[:, 1]) + np.isnan(rows[:, 4])
    model = Boosting(n_trees=15, max_leaves=leaves, min_leaf_rows=3).fit(rows, target, feature_names=NAMES)
    unseen = rows[::3].copy()
    unseen[::5, 0] = np.inf
    scores = model.predict(unseen)
    scored = np.isfinite(scores)
    assert scored.sum() > 350
    assert boxes_of_trees(model).scores(unseen)[scored] == pytest.approx(scores[scored], abs=1e-12)


def test_a_tree_without_splits_attributes_nothing(background: Background) -> None:
    """A constant model has no conditions: base is the constant, values are 0."""
    x = background.rows.repeat(10, axis=0)
    model = Boosting(n_trees=3).fit(x, np.full(len(x), 0.25), feature_names=NAMES)
    values, base = tree_shap(boxes_of_trees(model), x[:4], background.rows)
    assert not values.any()
    assert base == pytest.approx(0.25)


def test_linear_without_clipping_is_coefficient_times_distance() -> None:
    """The textbook form: b (x - mean of the background), in the units of the features."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3)) * [1.0, 5.0, 0.1]
    model = create("linear", alpha=1e-9, clip=1e9).fit(x, x @ [2.0, -1.0, 30.0] + 4.0, feature_names=("a", "b", "c"))
    values, base = additive_shap(clipped_sum(model), x[:5], x[100:150])
    mean = x[100:150].mean(axis=0)
    assert values == pytest.approx((x[:5] - mean) * [2.0, -1.0, 30.0], rel=1e-6)
    assert base == pytest.approx(mean @ [2.0, -1.0, 30.0] + 4.0, rel=1e-6)


def test_ensemble_is_the_sum_of_its_members(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """Weight times the members' values; scores are those the ensemble gives, to the bit."""
    instant = Instant.of(rows[:50])
    whole = shap_values(subject_of(ensemble), instant, background)
    parts = {key: shap_values(subject_of(ensemble, key), instant, background) for key in ensemble.members}
    prediction = ensemble(rows[None, :50])
    total = sum(ensemble.weights[key] * part.values for key, part in parts.items())
    assert whole.values == pytest.approx(total, abs=1e-12)
    assert np.array_equal(whole.score, prediction.score[0])
    for key, part in parts.items():
        assert np.array_equal(part.score, prediction.members[key][0])


def test_where_a_member_abstains_the_others_are_explained(
    ensemble: Ensemble, background: Background, rows: np.ndarray
) -> None:
    """A row of which momentum knows nothing is explained by the others' renormalised weights; an empty one by none."""
    features = rows[20:22].copy()
    features[0, :2] = np.nan
    features[0, 2:] = 0.5
    features[1] = np.nan
    found = shap_values(subject_of(ensemble), Instant.of(features), background)
    assert np.isnan(ensemble(features[None]).members["momentum@1"][0, 0])
    assert found.additivity_error[0] < 1e-12
    assert np.isnan(found.score[1])
    assert np.isnan(found.values[1]).all()
    assert "ensemble abstains on 1 of 2 rows" in found.warnings


def test_sampled_values_are_within_their_errors(ensemble: Ensemble, rows: np.ndarray) -> None:
    """Against the exact ones, errors in units of the stated standard error look standard normal; none is biased."""
    subject = subject_of(ensemble)
    whole = rows[np.isfinite(rows).all(axis=1)]
    instant, background = Instant.of(whole[200:230]), Background(whole[:15], "of a test")
    exact = shap_values(subject, instant, background)
    deviations = []
    for row in range(30):
        local = LocalScore(subject, instant, row)
        estimate = permutation_shap(local, background.rows, np.random.default_rng(row), rounds=40)
        assert estimate.base == pytest.approx(exact.base[row], abs=1e-12)
        assert estimate.base + estimate.values.sum() == pytest.approx(exact.score[row], abs=1e-12)
        usable = estimate.standard_error > 1e-9
        deviations += list((estimate.values - exact.values[row])[usable] / estimate.standard_error[usable])
    assert len(deviations) > 80
    assert np.mean(deviations) == pytest.approx(0.0, abs=4.0 / np.sqrt(len(deviations)))
    assert 0.8 < np.std(deviations) < 1.25


def test_sampled_values_of_an_additive_model_are_exact(
    ensemble: Ensemble, background: Background, rows: np.ndarray
) -> None:
    """Where order does not matter every permutation says the same, and the standard error is 0."""
    subject = subject_of(ensemble, "linear")
    instant = Instant.of(rows[:1])
    estimate = permutation_shap(LocalScore(subject, instant, 0), background.rows, np.random.default_rng(0))
    assert estimate.values == pytest.approx(shap_values(subject, instant, background).values[0], abs=1e-12)
    assert estimate.standard_error == pytest.approx(np.zeros(5), abs=1e-12)


def test_hybrids_that_are_abstained_on_are_left_out(ensemble: Ensemble, rows: np.ndarray) -> None:
    """A background that knows too little makes the model abstain on hybrids: the rest is used, and its share told."""
    poor = np.vstack([rows[:10], np.full((10, 5), np.nan)])
    poor[10:, 0] = 1.0
    subject = subject_of(ensemble, "linear")
    estimate = permutation_shap(LocalScore(subject, Instant.of(np.ones((1, 5))), 0), poor, np.random.default_rng(0))
    assert estimate.dropped == pytest.approx(0.5)
    score = float(subject.scores(np.ones((1, 1, 5)))[0, 0])
    assert estimate.base + estimate.values.sum() == pytest.approx(score, abs=1e-12)
    hopeless = permutation_shap(
        LocalScore(subject, Instant.of(np.ones((1, 5))), 0), poor[10:], np.random.default_rng(0)
    )
    assert np.isnan(hopeless.values).all()


def test_one_round_is_refused(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """Without a second round there is no standard error."""
    local = LocalScore(subject_of(ensemble), Instant.of(rows[:1]), 0)
    with pytest.raises(DataError, match="rounds=1"):
        permutation_shap(local, background.rows, np.random.default_rng(0), rounds=1)


def test_values_that_do_not_add_up_are_an_error(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """A value off by more than the tolerance, or missing, is a ModelError that names row and size."""
    found = shap_values(subject_of(ensemble), Instant.of(rows[:3]), background)
    wrong = found.values.copy()
    wrong[1, 2] += 1e-6
    with pytest.raises(ModelError, match=r"not additive: base and values of row 1 .* by 1e-06"):
        dataclasses.replace(found, values=wrong).checked()
    wrong[1, 2] = np.nan
    with pytest.raises(ModelError, match="row 1 no finite attribution"):
        dataclasses.replace(found, values=wrong).checked()
