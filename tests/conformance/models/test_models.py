"""The contract of `trader.core.protocols.Model`, held by every registered model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError, ModelError
from trader.core.protocols import Model
from trader.models.base import MODELS, create, model_class

NAMES = ("momentum_12_1", "return_5d", "volatility_21d", "rank_amihud_21d", "weekday")


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


@pytest.fixture(params=sorted(MODELS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def fitted_models(sample: Sample) -> dict[str, Model]:
    return {
        name: create(name).fit(sample.features, sample.target, feature_names=NAMES, seed=1) for name in sorted(MODELS)
    }


@pytest.fixture
def fitted(fitted_models: dict[str, Model], name: str) -> Model:
    return fitted_models[name]


def test_implements_the_protocol(fitted: Model, name: str) -> None:
    """It has the protocol's parts, its registered name, and the schema it was fitted on."""
    assert isinstance(fitted, Model)
    assert fitted.name == name
    assert fitted.feature_names == NAMES


def test_scores_one_number_a_row(fitted: Model, sample: Sample) -> None:
    """Scores have one entry a row, finite where features are, and differ between rows."""
    scores = fitted.predict(sample.unseen)
    assert scores.shape == (300,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores[np.isfinite(sample.unseen).all(axis=1)]).all()
    assert np.unique(scores).size > 5


def test_learns_something(fitted: Model, sample: Sample) -> None:
    """Its scores correlate with the relation that the target was made of."""
    whole = sample.unseen[np.isfinite(sample.unseen).all(axis=1)]
    truth = whole[:, 0] - 20.0 * whole[:, 1]
    assert np.corrcoef(fitted.predict(whole), truth)[0, 1] > 0.5


def test_batch_equals_single_rows_to_the_bit(fitted: Model, sample: Sample) -> None:
    """Any split of the rows gives the same bits."""
    whole = fitted.predict(sample.unseen)
    single = np.concatenate([fitted.predict(row[None]) for row in sample.unseen])
    uneven = np.concatenate([fitted.predict(part) for part in np.split(sample.unseen, [7, 8, 21, 150])])
    assert np.array_equal(whole, single, equal_nan=True)
    assert np.array_equal(whole, uneven, equal_nan=True)


def test_layout_in_memory_does_not_matter(fitted: Model, sample: Sample) -> None:
    """Fortran order and strided views give the same bits as contiguous rows."""
    expected = fitted.predict(sample.unseen)
    wide = np.repeat(sample.unseen, 2, axis=1)[:, ::2]
    assert np.array_equal(fitted.predict(np.asfortranarray(sample.unseen)), expected, equal_nan=True)
    assert np.array_equal(fitted.predict(wide), expected, equal_nan=True)


def test_no_rows_give_no_scores(fitted: Model) -> None:
    """An empty batch is an empty answer."""
    assert fitted.predict(np.empty((0, len(NAMES)))).shape == (0,)


def test_fit_is_deterministic(fitted: Model, name: str, sample: Sample) -> None:
    """Equal data and seed give equal scores, on whatever number of threads."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(2):
        again = create(name).fit(sample.features, sample.target, feature_names=NAMES, seed=1)
    assert np.array_equal(again.predict(sample.unseen), fitted.predict(sample.unseen), equal_nan=True)


def test_abstains_where_nothing_is_known(fitted: Model) -> None:
    """A row without any feature gets NaN and leaves its neighbours alone."""
    rows = np.vstack([np.ones(len(NAMES)), np.full(len(NAMES), np.nan), np.ones(len(NAMES))])
    scores = fitted.predict(rows)
    assert np.isnan(scores[1])
    assert scores[0] == scores[2] == fitted.predict(rows[:1])[0]


def test_infinite_is_missing(fitted: Model, sample: Sample) -> None:
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


def test_rows_without_target_teach_nothing(fitted: Model, name: str, sample: Sample) -> None:
    """Leaving out the rows with an unknown target gives the same model."""
    known = np.isfinite(sample.target)
    model = create(name).fit(sample.features[known], sample.target[known], feature_names=NAMES, seed=1)
    assert np.array_equal(model.predict(sample.unseen), fitted.predict(sample.unseen), equal_nan=True)


def test_inputs_are_left_alone(name: str, sample: Sample) -> None:
    """Neither fit nor predict writes to its arguments."""
    features, target, unseen = sample.features.copy(), sample.target.copy(), sample.unseen.copy()
    for array in (features, target, unseen):
        array.flags.writeable = False
    create(name).fit(features, target, feature_names=NAMES).predict(unseen)
    assert np.array_equal(features, sample.features, equal_nan=True)
    assert np.array_equal(target, sample.target, equal_nan=True)


def test_saved_model_scores_the_same(fitted: Model, name: str, sample: Sample, tmp_path: Path) -> None:
    """Loading gives the schema and the very bits that were saved, from JSON and arrays alone."""
    fitted.save(tmp_path)
    loaded = model_class(name).load(tmp_path)
    assert loaded.feature_names == fitted.feature_names
    assert np.array_equal(loaded.predict(sample.unseen), fitted.predict(sample.unseen), equal_nan=True)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_saving_twice_writes_the_same_bytes(fitted: Model, tmp_path: Path) -> None:
    """Files depend on nothing but the model, so that their hashes identify it."""
    for copy in ("a", "b"):
        (tmp_path / copy).mkdir()
        fitted.save(tmp_path / copy)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("file", ["model.json", "arrays.safetensors"])
def test_unreadable_files_are_model_errors(fitted: Model, name: str, file: str, tmp_path: Path) -> None:
    """A missing or mangled file raises ModelError naming the folder."""
    fitted.save(tmp_path)
    (tmp_path / file).write_bytes(b"{")
    with pytest.raises(ModelError, match=str(tmp_path)):
        model_class(name).load(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ModelError, match=str(tmp_path)):
        model_class(name).load(tmp_path)


def test_foreign_schema_is_refused(fitted: Model) -> None:
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


def test_unknown_hyperparameter_is_refused(name: str) -> None:
    """A misspelt hyperparameter is named beside the allowed ones."""
    with pytest.raises(DataError, match="'alhpa'; allowed are"):
        create(name, alhpa=1.0)
