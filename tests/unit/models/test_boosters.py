"""The wrapped libraries against the libraries themselves."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError, ModelError
from trader.models.base import create, model_class
from trader.models.tree_model import TreeModel

for _library in ("lightgbm", "xgboost", "catboost"):
    pytest.importorskip(_library)

NAMES = tuple("abcdef")
LIBRARIES = ("lightgbm", "xgboost", "catboost")
KINDS = ("boosting", *LIBRARIES)


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows with holes, whose absence tells something in column e; column f is never known; and weights."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, 6))
    features[:, 3] = np.round(features[:, 3])
    missing = rng.random(3000) < 0.3
    target = features[:, 0] * (features[:, 1] > 0) + 0.3 * features[:, 3] + 2.0 * missing + rng.normal(size=3000)
    features[:, 1:3][rng.random((3000, 2)) < 0.1] = np.nan
    features[:, 4], features[:, 5] = np.where(missing, np.nan, 1.0), np.nan
    return features, target, rng.random(3000) + 0.2


@pytest.fixture(scope="module")
def unseen(data: tuple[np.ndarray, ...]) -> np.ndarray:
    """Rows with holes in every column, limits of trees among their values, at least three features known."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(3000, 6))
    rows[:1000, :3] = data[0][:1000, :3]
    rows[rng.random(rows.shape) < 0.2] = np.nan
    return rows[np.isfinite(rows).sum(axis=1) >= 3]


def _library_scores(model: TreeModel, rows: np.ndarray, folder: Path) -> np.ndarray:
    """Score rows by the library, from the saved file."""
    model.save(folder)
    path = str(folder / model.FILE)
    if model.name == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_file=path).predict(rows)
    if model.name == "xgboost":
        import xgboost

        return xgboost.Booster(model_file=path).predict(xgboost.DMatrix(rows))
    import catboost

    return catboost.CatBoost().load_model(path, format="json").predict(rows)


@pytest.mark.parametrize("leaves", [2, 5, 16, 64])
@pytest.mark.parametrize("kind", LIBRARIES)
def test_scores_are_those_of_the_library(
    kind: str, leaves: int, data: tuple[np.ndarray, ...], unseen: np.ndarray, tmp_path: Path
) -> None:
    """The saved text in the library's own hands scores as we do: LightGBM to the bit, the others to their rounding."""
    features, target, weight = data
    least = {} if kind == "catboost" else {"min_leaf_rows": 5}
    model = create(kind, n_trees=30, max_leaves=leaves, learning_rate=0.2, **least)
    model.fit(features, target, feature_names=NAMES, weight=weight, seed=3)
    expected = _library_scores(model, unseen, tmp_path)
    found = model.predict(unseen)
    tolerance = {"lightgbm": 0.0, "xgboost": 3e-6, "catboost": 1e-13}[kind]
    assert np.abs(found - expected).max() <= tolerance
    assert found.std() > 0.1


@pytest.mark.parametrize("kind", LIBRARIES)
def test_values_on_the_limits_of_trees_go_where_the_library_sends_them(
    kind: str, data: tuple[np.ndarray, ...], tmp_path: Path
) -> None:
    """At every limit of a tree, and next to it in double and single precision, scores agree with the library's."""
    features, target, _ = data
    model = create(kind, n_trees=5).fit(features, target, feature_names=NAMES)
    limits = model.threshold[(model.column % 6 == 0) & np.isfinite(model.threshold)].astype(np.float64)
    single = limits.astype(np.float32)
    around = [limits, np.nextafter(limits, 9.0), np.nextafter(limits, -9.0), single]
    around += [np.nextafter(single, np.float32(9.0)), np.nextafter(single, np.float32(-9.0))]
    rows = np.zeros((6 * limits.size, 6))
    rows[:, 0] = np.concatenate(around)
    assert model.predict(rows) == pytest.approx(_library_scores(model, rows, tmp_path), abs=1e-6)


def test_weighted_boosting_is_that_of_scikit_learn_to_the_bit() -> None:
    """With weights, whose bins are made beforehand, trees are scikit-learn's own."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 4)).round(1)
    target, weight = features[:, 0] + rng.normal(size=2000), rng.random(2000)
    features[:, 1:][rng.random((2000, 3)) < 0.1] = np.nan
    model = create("boosting", n_trees=30, min_leaf_rows=20)
    model.fit(features, target, feature_names=NAMES[:4], weight=weight)
    usable = np.isfinite(features).sum(axis=1) >= 2
    weight = weight[usable] / weight[usable].mean()
    oracle = HistGradientBoostingRegressor(
        max_iter=30, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=20, l2_regularization=1.0
    ).fit(features[usable], target[usable], sample_weight=weight)
    assert np.array_equal(model.predict(features[usable]), oracle.predict(features[usable]))


@pytest.mark.parametrize("kind", KINDS)
def test_further_training_goes_on_where_it_stopped(kind: str, data: tuple[np.ndarray, ...]) -> None:
    """Trees added on the same rows: those there were stay, and the fit is as good as so many from the start."""
    features, target, _ = data
    model = create(kind, n_trees=20).fit(features, target, feature_names=NAMES, seed=1)
    before = model.flat_trees()
    panel, labels = features[:, None], target[:, None]
    model.fit_more(panel, labels, feature_names=NAMES, n_trees=15, seed=1)
    whole = create(kind, n_trees=35).fit(features, target, feature_names=NAMES, seed=1)
    assert model.n_trees == len(model.flat_trees()) == 35
    for old, kept in zip(before, model.flat_trees(), strict=False):
        assert all(np.array_equal(a, b) for a, b in zip(old[:3], kept[:3], strict=True))
        assert kept.value == pytest.approx(old.value, abs=1e-15)  # CatBoost rounds the last bit when it reads JSON
    losses = [np.nanmean((target - m.predict(features)) ** 2) for m in (model, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)
    if kind in {"lightgbm", "xgboost"}:  # these repeat themselves to the bit
        assert np.array_equal(model.predict(features), whole.predict(features), equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_further_training_learns_from_new_rows(kind: str, data: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    """After a change of the market a loaded model learns it, and its forecasts are of the new market."""
    features, target, _ = data
    create(kind, n_trees=20).fit(features, target, feature_names=NAMES).save(tmp_path)
    model = model_class(kind).load(tmp_path)
    panel, moved = features[:, None], 3.0 - target[:, None]
    stale = model.forecast(panel)
    model.fit_more(panel, moved, feature_names=NAMES, n_trees=60)
    fresh = model.forecast(panel)
    assert np.nanmean((moved - fresh.score) ** 2) < 0.5 * np.nanmean((moved - stale.score) ** 2)
    coverage = np.nanmean((moved > fresh.quantiles[..., 0]) & (moved <= fresh.quantiles[..., -1]))
    assert coverage == pytest.approx(0.9, abs=0.08)


@pytest.mark.parametrize("kind", KINDS)
def test_further_training_is_refused_where_it_cannot_be(kind: str, data: tuple[np.ndarray, ...]) -> None:
    """An unfitted model, a foreign schema or no trees are named; a refused call changes nothing."""
    features, target = data[0][:300, None], data[1][:300, None]
    with pytest.raises(ModelError, match="not fitted"):
        create(kind).fit_more(features, target, feature_names=NAMES, n_trees=5)
    model = create(kind, n_trees=5).fit_panel(features, target, feature_names=NAMES)
    scores = model.predict_panel(features)
    with pytest.raises(DataError, match="column 0 is 'f'"):
        model.fit_more(features, target, feature_names=NAMES[::-1], n_trees=5)
    with pytest.raises(DataError, match="n_trees=0"):
        model.fit_more(features, target, feature_names=NAMES, n_trees=0)
    with pytest.raises(ModelError, match="0 rows"):
        model.fit_more(features, target * np.nan, feature_names=NAMES, n_trees=5)
    assert np.array_equal(model.predict_panel(features), scores, equal_nan=True)


def test_a_few_new_rows_leave_the_calibration_alone(data: tuple[np.ndarray, ...]) -> None:
    """Too few rows to hold some out still add trees, and forecasts go on with the calibration there is."""
    model = create("lightgbm", n_trees=5).fit(data[0], data[1], feature_names=NAMES)
    calibration = model.calibration
    model.fit_more(data[0][:60, None], data[1][:60, None], feature_names=NAMES, n_trees=5)
    assert model.calibration is calibration
    assert len(model.flat_trees()) == 10


@pytest.mark.parametrize("kind", ["linear", "momentum"])
def test_models_without_further_training_have_none(kind: str) -> None:
    """A model that is fitted in closed form says so when asked."""
    with pytest.raises(ModelError, match=f"{kind} cannot be trained further"):
        create(kind).fit_more(np.zeros((1, 1, 1)), np.zeros((1, 1)), feature_names=("a",), n_trees=5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_monitor_that_ends_the_fit_leaves_a_shorter_one(kind: str, data: tuple[np.ndarray, ...]) -> None:
    """Ended after its second look, a fit is that of twenty trees, and says so."""
    features, target, _ = data
    model = create(kind, n_trees=50)
    model.fit(features, target, feature_names=NAMES, monitor=lambda number, *_: number < 2)
    short = create(kind, n_trees=20).fit(features, target, feature_names=NAMES)
    assert model.n_trees == 20
    assert np.array_equal(model.predict(features), short.predict(features), equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_that_a_monitor_is_told_are_the_models(kind: str, data: tuple[np.ndarray, ...]) -> None:
    """The last training loss, in whoever's arithmetic, is the mean squared error of the model on its rows."""
    features, target, weight = data[0][:200], data[1][:200], data[2][:200]
    told: list[float] = []
    model = create(kind, n_trees=15)
    model.fit(
        features, target, feature_names=NAMES, weight=weight, monitor=lambda *s: told.append(s[2]["train_loss"]) or True
    )
    scores = model.predict(features)
    known = np.isfinite(scores)
    assert len(told) == 2
    expected = np.average((target - scores)[known] ** 2, weights=weight[known])
    assert told[-1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_feature_share_draws_by_the_seed(kind: str, data: tuple[np.ndarray, ...]) -> None:
    """With half of the features on offer the seed decides which, and repeats itself."""
    scores = [
        create(kind, n_trees=10, feature_share=0.5).fit(*data[:2], feature_names=NAMES, seed=seed).predict(data[0])
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(scores[0], scores[1], equal_nan=True)
    assert not np.array_equal(scores[0], scores[2], equal_nan=True)


def test_what_a_library_refuses_is_a_model_error(data: tuple[np.ndarray, ...]) -> None:
    """CatBoost does not fit a constant; its reason is passed on without its source lines."""
    with pytest.raises(ModelError, match=r"^catboost cannot be fitted: All train targets are equal$"):
        create("catboost").fit(data[0], np.ones(3000), feature_names=NAMES)


@pytest.mark.parametrize("kind", LIBRARIES)
def test_a_missing_library_is_named_with_its_remedy(
    kind: str, data: tuple[np.ndarray, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library training says what to install; a saved model still loads and scores."""
    create(kind, n_trees=5).fit(*data[:2], feature_names=NAMES).save(tmp_path)
    monkeypatch.setitem(sys.modules, kind, None)
    assert np.isfinite(model_class(kind).load(tmp_path).predict(data[0])).any()
    with pytest.raises(ModelError, match=rf"{kind} is not installed; pip install 'gpt-trader\[boosting\]'"):
        create(kind).fit(*data[:2], feature_names=NAMES)


@pytest.mark.parametrize("kind", LIBRARIES)
def test_fitted_again_writes_the_same_text(kind: str, data: tuple[np.ndarray, ...]) -> None:
    """The text holds no time stamps or identities: equal fits have equal hashes."""
    texts = [create(kind, n_trees=5).fit(*data[:2], feature_names=NAMES).text for _ in range(2)]
    assert texts[0] == texts[1]


def test_texts_that_ask_for_columns_there_are_not_are_refused(data: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    """A file that was tampered with cannot make the compiled loop read beyond a row."""
    for kind, edit in (("xgboost", _far_column), ("catboost", _far_feature)):
        folder = tmp_path / kind
        folder.mkdir()
        model = create(kind, n_trees=3).fit(*data[:2], feature_names=NAMES)
        model.save(folder)
        state = json.loads((folder / model.FILE).read_text())
        edit(state)
        (folder / model.FILE).write_text(json.dumps(state))
        with pytest.raises(ModelError, match="columns"):
            model_class(kind).load(folder)


def _far_column(state: dict) -> None:
    state["learner"]["gradient_booster"]["model"]["trees"][0]["split_indices"][0] = 99


def _far_feature(state: dict) -> None:
    for feature in state["features_info"]["float_features"]:
        feature["flat_feature_index"] = 99


def test_arrays_that_ask_for_columns_there_are_not_are_refused(data: tuple[np.ndarray, ...], tmp_path: Path) -> None:
    """The same for the arrays of the default model."""
    model = create("boosting", n_trees=3).fit(*data[:2], feature_names=NAMES)
    model.column = model.column + 50
    model.save(tmp_path)
    with pytest.raises(ModelError, match="not those of trees over the features"):
        model_class("boosting").load(tmp_path)
