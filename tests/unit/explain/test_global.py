"""Importances, effects and surrogate trees against closed forms, scikit-learn and planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.explaining import NAMES
from trader.core.errors import DataError, NotFoundError
from trader.explain.effects import accumulated_local_effects, partial_dependence
from trader.explain.explainer import Explainer
from trader.explain.importance import explain_sample, mean_attribution, permutation_importance
from trader.explain.instant import Instant
from trader.explain.subject import Subject, subject_of
from trader.explain.surrogate import fit_surrogate
from trader.models.background import Background
from trader.models.base import create
from trader.models.boosting import Boosting
from trader.models.ensemble import Ensemble


@pytest.fixture(scope="module")
def linear() -> tuple[Subject, np.ndarray]:
    """A linear score 2a - b + 0c on correlated features, and the rows it was fitted on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 3))
    x[:, 1] += 0.8 * x[:, 0]
    model = create("linear", alpha=1e-9, clip=1e9).fit(x, x @ [2.0, -1.0, 0.0], feature_names=("a", "b", "c"))
    return subject_of(model), x


def test_mean_attribution_is_over_scored_rows(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """It is the mean size of the values, rows that are abstained on left out, with the error of that mean."""
    features = np.vstack([rows[:40], np.full((1, 5), np.nan)])
    attribution = Explainer(ensemble, background).explain(Instant.of(features))
    found = mean_attribution(attribution)
    sizes = np.abs(attribution.values[:40])
    assert found.values == pytest.approx(sizes.mean(axis=0))
    assert found.standard_error == pytest.approx(sizes.std(axis=0, ddof=1) / np.sqrt(40))
    assert found.n == 40
    assert found.to_dict()["feature_names"] == NAMES


def test_sample_is_drawn_among_scored_rows(ensemble: Ensemble, background: Background, rows: np.ndarray) -> None:
    """So many different rows that are scored, the same for the same seed; a panel without any is refused."""
    panel = rows[:600].reshape(100, 6, 5).copy()
    panel[:50] = np.nan
    explainer = Explainer(ensemble, background)
    first = explain_sample(explainer, panel, n_rows=30, seed=1)
    again = explain_sample(explainer, panel, n_rows=30, seed=1)
    other = explain_sample(explainer, panel, n_rows=30, seed=2)
    assert first.values.shape == (30, 5)
    assert np.isfinite(first.score).all()
    assert np.array_equal(first.score, again.score)
    assert not np.array_equal(first.score, other.score)
    with pytest.raises(DataError, match="scores none of the 50 instants"):
        explain_sample(explainer, panel[:50])


def test_permuting_what_is_used_costs_the_ic(linear: tuple[Subject, np.ndarray]) -> None:
    """The IC falls most for the strongest feature, not at all for one that is ignored, and by what it should.

    With a alone swapped among many symbols, score and target correlate as 2a' - b and 2a - b do.
    """
    subject, _ = linear
    rng = np.random.default_rng(1)
    features = rng.normal(size=(60, 200, 3))
    target = features @ [2.0, -1.0, 0.0]
    found = permutation_importance(subject, features, target, horizon=1, repeats=2, seed=0)
    assert found.values[2] == pytest.approx(0.0, abs=1e-12)
    pearson_left = np.array([1.0 / 5.0, 4.0 / 5.0])  # share of the variance that is not swapped
    rank_left = 6.0 / np.pi * np.arcsin(pearson_left / 2.0)  # Spearman's of a normal pair
    assert found.values[:2] == pytest.approx(1.0 - rank_left, abs=4.0 * found.standard_error[:2].max() + 0.01)
    assert (found.standard_error[:2] > 0).all()
    assert found.n == 60


def test_what_all_symbols_share_cannot_matter_to_an_ic() -> None:
    """A market-wide feature is the same after the swap."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 20, 2))
    features[:, :, 1] = features[:, :1, 1]
    target = features[:, :, 0] * features[:, :, 1]
    model = Boosting(n_trees=20, min_leaf_rows=5)
    model.fit_panel(features, target, feature_names=("own", "market"))
    found = permutation_importance(subject_of(model), features, target, horizon=1)
    assert found.values[1] == pytest.approx(0.0, abs=1e-12)
    assert found.values[0] > 0.1
    with pytest.raises(DataError, match="repeats=0"):
        permutation_importance(subject_of(model), features, target, horizon=1, repeats=0)


def test_effects_of_a_linear_score_are_its_slope(linear: tuple[Subject, np.ndarray]) -> None:
    """Both curves rise by the coefficient, correlated features or not; ALE averages to 0 over the rows."""
    subject, x = linear
    ale = accumulated_local_effects(subject, x, "a")
    assert np.diff(ale.values) / np.diff(ale.grid) == pytest.approx(np.full(19, 2.0))
    assert np.interp(x[:, 0], ale.grid, ale.values).mean() == pytest.approx(0.0, abs=1e-12)
    pdp = partial_dependence(subject, x, "b")
    assert np.diff(pdp.values) / np.diff(pdp.grid) == pytest.approx(np.full(19, -1.0))
    assert pdp.values.mean() == pytest.approx((pdp.grid * -1.0 + 2.0 * x[:, 0].mean()).mean())
    assert not accumulated_local_effects(subject, x, "c").values.round(9).any()


def test_ale_looks_where_the_rows_are() -> None:
    """Where b follows a, a score of 3 for |a - b| > 1 is 0 for all rows: ALE sees that, partial dependence does not."""
    rng = np.random.default_rng(0)
    a = rng.uniform(-2, 2, size=4000)
    x = np.column_stack([a, a + 0.01 * rng.normal(size=4000)])
    wild = rng.uniform(-2, 2, size=(4000, 2))
    both = np.vstack([x, wild])
    target = np.where(np.abs(both[:, 0] - both[:, 1]) > 1.0, 3.0, 0.0)
    model = Boosting(n_trees=60, max_leaves=32, min_leaf_rows=5, learning_rate=0.2, l2=0.0)
    subject = subject_of(model.fit(both, target, feature_names=("a", "b")))
    ale = accumulated_local_effects(subject, x, "a")
    pdp = partial_dependence(subject, x, "a")
    assert np.ptp(ale.values) < 0.5 < 1.0 < pdp.values.mean()


def test_partial_dependence_is_scikit_learn_s() -> None:
    """On the same model, rows and grid, by brute force."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.inspection import partial_dependence as sklearn_dependence

    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    y = x[:, 0] * x[:, 1] + x[:, 0]
    model = Boosting(n_trees=30, min_leaf_rows=10, learning_rate=0.1, l2=0.0).fit(x, y, feature_names=("a", "b"))
    oracle = HistGradientBoostingRegressor(
        max_iter=30, max_leaf_nodes=8, min_samples_leaf=10, learning_rate=0.1, early_stopping=False, random_state=0
    ).fit(x, y)
    ours = partial_dependence(subject_of(model), x, "a", n_points=12)
    theirs = sklearn_dependence(oracle, x, [0], custom_values={0: ours.grid}, method="brute", kind="average")
    assert ours.values == pytest.approx(theirs["average"][0], abs=1e-12)


def test_effects_know_their_features(linear: tuple[Subject, np.ndarray]) -> None:
    """An unknown feature is named with those that exist; one that is never known has no effect to show."""
    subject, x = linear
    with pytest.raises(NotFoundError, match="'z' is unknown; the model has a, b, c"):
        partial_dependence(subject, x, "z")
    with pytest.raises(DataError, match="known in none of the 2000 rows"):
        accumulated_local_effects(subject, np.full_like(x, np.nan), "a")
    with pytest.raises(DataError, match="n_points=1"):
        partial_dependence(subject, x, "a", n_points=1)
    same = x.copy()
    same[:, 0] = 1.5
    assert accumulated_local_effects(subject, same, "a").values.tolist() == [0.0]


def test_a_surrogate_finds_the_tree_that_is_there() -> None:
    """Scores that are a small tree are imitated perfectly out of sample, with its questions in words."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 10, 3))
    target = np.where(features[..., 0] > 0.5, 2.0, np.where(features[..., 2] > -1.0, -1.0, 0.0))
    model = Boosting(n_trees=60, max_leaves=3, min_leaf_rows=5, learning_rate=0.5, l2=0.0)
    model.fit_panel(features, target, feature_names=("a", "b", "c"))
    tree = fit_surrogate(subject_of(model), features, max_depth=2)
    assert tree.r2 > 0.99
    assert tree.rank_agreement > 0.85  # the model's scores differ a little within a leaf, the tree's do not
    assert (tree.n_train, tree.n_test) == (2100, 900)
    assert tree.depth == 2
    assert 3 <= tree.n_leaves <= 4
    assert tree.warnings == ()
    assert (tree.root.feature, round(tree.root.threshold, 1)) == ("a", 0.5)
    first, *_, last = tree.text().splitlines()
    assert first == f"a <= {tree.root.threshold:.4g}:"
    assert float(last.split()[0]) == pytest.approx(2.0, abs=0.1)


def test_a_surrogate_of_what_no_tree_can_be_says_so() -> None:
    """A stump of a score with many parts explains little of it, and warns."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 10, 8))
    model = create("linear").fit_panel(features, features.sum(axis=2), feature_names=tuple("abcdefgh"))
    tree = fit_surrogate(subject_of(model), features, max_depth=1)
    assert tree.r2 < 0.3
    assert tree.rank_agreement < 0.5
    assert any("do not rely on it" in warning for warning in tree.warnings)


def test_a_surrogate_takes_missing_features_and_refuses_too_few_rows(ensemble: Ensemble, rows: np.ndarray) -> None:
    """Holes go one way at each question; an empty panel cannot be imitated."""
    panel = rows.reshape(200, 6, 5)
    tree = fit_surrogate(subject_of(ensemble), panel, max_depth=4)
    assert tree.r2 > 0.4
    assert "or missing" in tree.text()
    with pytest.raises(DataError, match="scores 0 rows"):
        fit_surrogate(subject_of(ensemble), np.full((50, 2, 5), np.nan))
    with pytest.raises(DataError, match="max_depth=0"):
        fit_surrogate(subject_of(ensemble), panel, max_depth=0)
