"""The registry and the shared checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trader.core.errors import DataError, ModelError, NotFoundError
from trader.models.base import MODELS, check_names, check_schema, create, load_model, min_known, model_class, preset


def test_registry_names_are_those_of_the_classes() -> None:
    """Every registered class can be imported and carries its registered name."""
    assert {name: model_class(name).name for name in MODELS} == {name: name for name in MODELS}


def test_unknown_name_suggests_the_closest() -> None:
    """A misspelt model is answered with the known ones and the closest of them."""
    with pytest.raises(NotFoundError, match=r"'bosting' is unknown.*did you mean 'boosting'"):
        create("bosting")


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("linear", {"alpha": 0.0}, "alpha=0.0"),
        ("linear", {"clip": -1.0}, "clip=-1.0"),
        ("momentum", {"information_coefficient": 0.0}, "information_coefficient=0.0"),
        ("boosting", {"n_trees": 0}, "n_trees=0"),
        ("boosting", {"max_leaves": 65}, "max_leaves=65"),
        ("boosting", {"learning_rate": 1.5}, "learning_rate=1.5"),
        ("boosting", {"l2": -0.1}, "l2=-0.1"),
        ("catboost", {"feature_share": 0.0}, "feature_share=0.0"),
        ("lightgbm", {"max_rows": 99}, "max_rows=99"),
    ],
)
def test_hyperparameters_out_of_range_are_named(name: str, params: dict[str, float], message: str) -> None:
    """A refused hyperparameter is named with its value."""
    with pytest.raises(DataError, match=message):
        create(name, **params)


def test_check_schema_gives_contiguous_rows() -> None:
    """Any layout and number type becomes C-contiguous float64; contiguous rows are not copied."""
    rows = check_schema(np.asfortranarray(np.ones((3, 2), dtype=np.float32)), ("a", "b"))
    assert rows.flags.c_contiguous
    assert rows.dtype == np.float64
    assert check_schema(rows, ("a", "b")) is rows


@pytest.mark.parametrize(("n_columns", "needed"), [(1, 1), (2, 1), (3, 2), (44, 22), (45, 23)])
def test_half_of_the_features_must_be_known(n_columns: int, needed: int) -> None:
    """Half, rounded up, and never none."""
    assert min_known(n_columns) == needed


def test_loading_another_kind_is_refused(tmp_path: Path) -> None:
    """A folder of one model cannot be loaded as another."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 2))
    create("linear").fit(rows, rows[:, 0], feature_names=("a", "b")).save(tmp_path)
    with pytest.raises(ModelError, match="holds a 'linear' model; 'boosting' was expected"):
        model_class("boosting").load(tmp_path)


def test_presets_are_copies_and_misspelt_ones_are_named() -> None:
    """Changing what `preset` returned changes no preset; an unknown one is answered with the closest."""
    preset("boosting", "ci")["n_trees"] = 7
    assert preset("boosting", "ci")["n_trees"] != 7
    with pytest.raises(NotFoundError, match=r"no preset 'demoo'.*did you mean 'demo'"):
        preset("boosting", "demoo")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("a", "c", "b"), r"column 1 is 'c'; the model was fitted on 'b'"),
        (("a", "b"), r"column 2 'c' is missing \(2 columns given, 3 fitted\)"),
        (("a", "b", "c", "d"), r"column 3 'd' is unknown"),
    ],
)
def test_the_first_foreign_column_is_named(given: tuple[str, ...], message: str) -> None:
    """Order, lack and excess of columns are told apart."""
    check_names(("a", "b", "c"), ("a", "b", "c"))
    with pytest.raises(DataError, match=message):
        check_names(("a", "b", "c"), given)


def test_a_folder_says_what_model_it_holds(tmp_path: Path) -> None:
    """A model of any kind is loaded from its folder alone; other folders are refused."""
    rows = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(NotFoundError, match="holds no saved model"):
        load_model(tmp_path)
    for name in ("linear", "boosting"):
        create(name).fit(rows, rows[:, 0], feature_names=("a", "b")).save(tmp_path)
        assert load_model(tmp_path).name == name
    (tmp_path / "model.json").write_text("[]")
    with pytest.raises(ModelError, match="does not say what model it is"):
        load_model(tmp_path)
