"""What `trader.models.base.ArrayModel` adds to the contract of models: rows in, one score a row out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.support.models import NAMES
from trader.core.errors import DataError, ModelError
from trader.models.base import MODELS, ArrayModel, create, model_class

ROW_MODELS = sorted(name for name in MODELS if issubclass(model_class(name), ArrayModel))


@dataclasses.dataclass(frozen=True)
class Sample:
    """Training rows with holes, a target that depends on them, and rows to score."""

    features: np.ndarray
    target: np.ndarray
    unseen: np.ndarray


@pytest.fixture(scope="module")
def sample() -> Sample:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1500, len(NAMES))) * [0.3, 0.01, 0.1, 1.0, 1.4]
    target = features[:, 0] - 20.0 * features[:, 1] + rng.normal(size=1500)
    features[rng.random(features.shape) < 0.05] = np.nan
    features[::50] = np.nan
    target[::33] = np.nan
    unseen = rng.normal(size=(300, len(NAMES))) * [0.3, 0.01, 0.1, 1.0, 1.4]
    unseen[rng.random(unseen.shape) < 0.05] = np.nan
    return Sample(features, target, unseen)


@pytest.fixture(params=ROW_MODELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted_models(sample: Sample) -> dict[str, ArrayModel]:
    return {name: create(name).fit(sample.features, sample.target, feature_names=NAMES, seed=1) for name in ROW_MODELS}


@pytest.fixture
def fitted(fitted_models: dict[str, ArrayModel], name: str) -> ArrayModel:
    return fitted_models[name]


def test_scores_one_number_a_row(fitted: ArrayModel, sample: Sample) -> None:
    """Scores have one entry a row, finite where features are, and differ between rows."""
    scores = fitted.predict(sample.unseen)
    assert scores.shape == (300,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores[np.isfinite(sample.unseen).all(axis=1)]).all()
    assert np.unique(scores).size > 5


def test_learns_something(fitted: ArrayModel, sample: Sample) -> None:
    """Its scores correlate with the relation that the target was made of."""
    whole = sample.unseen[np.isfinite(sample.unseen).all(axis=1)]
    truth = whole[:, 0] - 20.0 * whole[:, 1]
    assert np.corrcoef(fitted.predict(whole), truth)[0, 1] > 0.5


def test_batch_equals_single_rows_to_the_bit(fitted: ArrayModel, sample: Sample) -> None:
    """Any split of the rows gives the same bits."""
    whole = fitted.predict(sample.unseen)
    single = np.concatenate([fitted.predict(row[None]) for row in sample.unseen])
    uneven = np.concatenate([fitted.predict(part) for part in np.split(sample.unseen, [7, 8, 21, 150])])
    assert np.array_equal(whole, single, equal_nan=True)
    assert np.array_equal(whole, uneven, equal_nan=True)


def test_layout_in_memory_does_not_matter(fitted: ArrayModel, sample: Sample) -> None:
    """Fortran order and strided views give the same bits as contiguous rows."""
    expected = fitted.predict(sample.unseen)
    wide = np.repeat(sample.unseen, 2, axis=1)[:, ::2]
    assert np.array_equal(fitted.predict(np.asfortranarray(sample.unseen)), expected, equal_nan=True)
    assert np.array_equal(fitted.predict(wide), expected, equal_nan=True)


def test_no_rows_give_no_scores(fitted: ArrayModel) -> None:
    """An empty batch is an empty answer."""
    assert fitted.predict(np.empty((0, len(NAMES)))).shape == (0,)


def test_fit_is_deterministic(fitted: ArrayModel, name: str, sample: Sample) -> None:
    """Equal data and seed give equal scores, on whatever number of threads."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2):
        again = create(name).fit(sample.features, sample.target, feature_names=NAMES, seed=1)
    assert np.array_equal(again.predict(sample.unseen), fitted.predict(sample.unseen), equal_nan=True)


def test_abstains_where_nothing_is_known(fitted: ArrayModel) -> None:
    """A row without any feature gets NaN and leaves its neighbours alone."""
    rows = np.vstack([np.ones(len(NAMES)), np.full(len(NAMES), np.nan), np.ones(len(NAMES))])
    scores = fitted.predict(rows)
    assert np.isnan(scores[1])
    assert scores[0] == scores[2] == fitted.predict(rows[:1])[0]


def test_infinite_is_missing(fitted: ArrayModel, sample: Sample) -> None:
    """Infinite features are scored as NaN ones are."""
    holed, infinite = sample.unseen.copy(), sample.unseen.copy()
    holed[:, 2], infinite[::2, 2], infinite[1::2, 2] = np.nan, np.inf, -np.inf
    assert np.array_equal(fitted.predict(infinite), fitted.predict(holed), equal_nan=True)


def test_a_column_never_known_is_survived(name: str, sample: Sample) -> None:
    """A feature that is missing throughout training neither breaks the fit nor counts later."""
    features = sample.features.copy()
    features[:, 3] = np.nan
    model = create(name).fit(features, sample.target, feature_names=NAMES, seed=1)
    known, unknown = sample.unseen.copy(), sample.unseen.copy()
    known[:, 3], unknown[:, 3] = 5.0, np.nan
    enough = np.isfinite(unknown).sum(axis=1) >= 3
    assert np.array_equal(model.predict(known)[enough], model.predict(unknown)[enough], equal_nan=True)


def test_rows_without_target_teach_nothing(fitted: ArrayModel, name: str, sample: Sample) -> None:
    """Leaving out the rows with an unknown target gives the same model."""
    known = np.isfinite(sample.target)
    model = create(name).fit(sample.features[known], sample.target[known], feature_names=NAMES, seed=1)
    assert np.array_equal(model.predict(sample.unseen), fitted.predict(sample.unseen), equal_nan=True)


def test_rows_are_a_panel_of_one_symbol(fitted: ArrayModel, name: str, sample: Sample) -> None:
    """Fitting and scoring by rows or by a panel of one symbol gives the same bits, calibration included."""
    model = create(name).fit_panel(sample.features[:, None], sample.target[:, None], feature_names=NAMES, seed=1)
    panel = sample.unseen[:, None]
    assert np.array_equal(model.predict_panel(panel)[:, 0], fitted.predict(sample.unseen), equal_nan=True)
    assert np.array_equal(model.forecast(panel).quantiles, fitted.forecast(panel).quantiles, equal_nan=True)


def test_too_few_rows_to_hold_some_out_give_scores_but_no_forecast(name: str, sample: Sample, tmp_path: Path) -> None:
    """A short history is learnt from; a forecast is refused, before and after saving, and the monitor still told."""
    told: list[str] = []
    model = create(name).fit(
        sample.features[:150],
        sample.target[:150],
        feature_names=NAMES,
        monitor=lambda *step: told.append(" ".join(step[2])) or True,
    )
    assert set(told) == {"train_loss"}
    model.save(tmp_path)
    for copy in (model, model_class(name).load(tmp_path)):
        assert np.isfinite(copy.predict(sample.unseen)).any()
        with pytest.raises(ModelError, match="no calibration"):
            copy.forecast(sample.unseen[None])


def test_inputs_are_left_alone(name: str, sample: Sample) -> None:
    """Neither fit nor predict writes to its arguments."""
    features, target, unseen = sample.features.copy(), sample.target.copy(), sample.unseen.copy()
    for array in (features, target, unseen):
        array.flags.writeable = False
    create(name).fit(features, target, feature_names=NAMES).predict(unseen)
    assert np.array_equal(features, sample.features, equal_nan=True)
    assert np.array_equal(target, sample.target, equal_nan=True)


def test_foreign_schema_is_refused(fitted: ArrayModel) -> None:
    """Another number of columns, or no rows-by-columns at all, names both shapes."""
    with pytest.raises(DataError, match=r"\(4, 3\).*5 columns"):
        fitted.predict(np.zeros((4, 3)))
    with pytest.raises(DataError, match=r"\(5,\)"):
        fitted.predict(np.zeros(5))


def test_unfitted_model_is_refused(name: str, tmp_path: Path) -> None:
    """Predicting or saving before fitting raises ModelError."""
    model = create(name)
    assert model.feature_names == ()
    with pytest.raises(ModelError, match="not fitted"):
        model.predict(np.zeros((1, 5)))
    with pytest.raises(ModelError, match="not fitted"):
        model.save(tmp_path)


def test_mismatched_training_data_is_refused(name: str, sample: Sample) -> None:
    """Names, columns and target must agree, and a few rows must be usable."""
    with pytest.raises(DataError, match=r"\(1500, 5\)"):
        create(name).fit(sample.features, sample.target, feature_names=NAMES[:3])
    with pytest.raises(DataError, match=r"\(10,\)"):
        create(name).fit(sample.features, sample.target[:10], feature_names=NAMES)
    with pytest.raises(DataError, match="more than once"):
        create(name).fit(sample.features, sample.target, feature_names=(*NAMES[:4], NAMES[0]))
    with pytest.raises(ModelError, match="0 rows"):
        create(name).fit(sample.features, np.full(1500, np.nan), feature_names=NAMES)


def test_failed_fit_leaves_a_model_unfitted(name: str, sample: Sample) -> None:
    """After a refused fit the model still says that it is not fitted."""
    model = create(name)
    with pytest.raises(ModelError):
        model.fit(sample.features, np.full(1500, np.nan), feature_names=NAMES)
    assert model.feature_names == ()
