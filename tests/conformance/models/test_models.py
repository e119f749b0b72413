"""The contract of `trader.core.protocols.Model`, held by every registered model."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.models import NAMES, Market, fit_preset
from trader.core.errors import DataError, ModelError
from trader.core.protocols import Forecast, Model
from trader.models.base import check_names, create, model_class, preset


def _panels(forecast: Forecast) -> dict[str, np.ndarray]:
    return {
        field.name: getattr(forecast, field.name) for field in dataclasses.fields(forecast) if field.name != "levels"
    }


def _same(a: Model, b: Model, features: np.ndarray) -> bool:
    """Whether two models forecast the same to the bit."""
    left, right = _panels(a.forecast(features)), _panels(b.forecast(features))
    return all(np.array_equal(left[key], right[key], equal_nan=True) for key in left)


def test_implements_the_protocol(fitted: Model, name: str) -> None:
    """It has the protocol's parts, its registered name, and the schema it was fitted on."""
    assert isinstance(fitted, Model)
    assert fitted.name == name
    assert fitted.feature_names == NAMES
    assert fitted.context >= 1


@pytest.mark.parametrize("size", ["ci", "demo", "full"])
def test_presets_can_be_built(name: str, size: str) -> None:
    """Every model has the three presets, and each builds an unfitted model."""
    assert create(name, **preset(name, size)).feature_names == ()


def test_scores_one_number_a_symbol_and_instant(fitted: Model, unseen: Market) -> None:
    """Scores have the shape of the instants asked for, and are finite where features are."""
    past = fitted.context - 1
    scores = fitted.predict_panel(unseen.features, past)
    assert scores.shape == unseen.target[past:].shape
    assert scores.dtype == np.float64
    assert np.isfinite(scores[np.isfinite(unseen.features[past:]).all(axis=2)]).all()


def test_learns_the_relation(fitted: Model, unseen: Market) -> None:
    """On instants it has not seen its scores correlate with what the target was made of."""
    scores = fitted.predict_panel(unseen.features)
    known = np.isfinite(scores) & np.isfinite(unseen.truth) & np.isfinite(unseen.features).all(axis=2)
    assert np.corrcoef(scores[known], unseen.truth[known])[0, 1] > 0.5


def test_instants_asked_for_together_or_alone_score_the_same(fitted: Model, unseen: Market) -> None:
    """A block of instants gives the bits of its instants one by one, each with the past it reads."""
    past = fitted.context - 1
    block = fitted.predict_panel(unseen.features, past)
    for row, instant in enumerate(range(past, unseen.features.shape[0])):
        alone = fitted.predict_panel(unseen.features[instant - past : instant + 1], past)
        assert np.array_equal(alone[0], block[row], equal_nan=True)


def test_a_longer_past_changes_nothing(fitted: Model, unseen: Market) -> None:
    """Instants more than `context` - 1 back are not read."""
    past, last = fitted.context - 1, unseen.features[-1:].copy()
    whole = fitted.predict_panel(unseen.features, unseen.features.shape[0] - 1)
    short = fitted.predict_panel(unseen.features[-past - 1 :], past)
    assert np.array_equal(whole, short, equal_nan=True)
    assert np.array_equal(unseen.features[-1:], last, equal_nan=True)


def test_no_score_reads_the_future(fitted: Model, unseen: Market) -> None:
    """Cutting off the end of a panel, or making it absurd, changes no score before it."""
    whole = fitted.predict_panel(unseen.features)
    assert np.array_equal(fitted.predict_panel(unseen.features[:60]), whole[:60], equal_nan=True)
    absurd = unseen.features.copy()
    absurd[60:] = 1e6
    assert np.array_equal(fitted.predict_panel(absurd)[:60], whole[:60], equal_nan=True)


def test_no_fit_reads_labels_or_features_beyond_its_instants(name: str, short_market: Market, unseen: Market) -> None:
    """Whatever labels hold outside `instants`, and features after the last of them, the model is the same."""
    instants = np.arange(150)
    expected = fit_preset(name, short_market, instants=instants)
    features, target = short_market.features.copy(), short_market.target.copy()
    features[150:], target[150:] = 7.0, np.random.default_rng(5).permutation(target[150:])
    target[150:][::2] = 1e6
    assert _same(
        fit_preset(name, short_market, features=features, target=target, instants=instants), expected, unseen.features
    )


def test_fit_is_deterministic(fitted: Model, refitted: Model, unseen: Market) -> None:
    """Equal data and seed give equal forecasts to the bit, on whatever number of threads."""
    assert _same(refitted, fitted, unseen.features)


def test_labels_without_weight_do_not_matter(name: str, short_market: Market, unseen: Market) -> None:
    """A label of weight 0 may be anything; leaving it out gives the same model."""
    weight = np.ones(short_market.target.shape)
    weight[np.random.default_rng(3).random(weight.shape) < 0.3] = 0.0
    wrong, missing = np.where(weight > 0, short_market.target, 1e6), np.where(weight > 0, short_market.target, np.nan)
    weighted = fit_preset(name, short_market, target=wrong, weight=weight)
    assert _same(weighted, fit_preset(name, short_market, target=missing, weight=weight), unseen.features)


def test_weight_decides_between_contradicting_labels(name: str, market: Market, unseen: Market) -> None:
    """Of symbols that teach the relation and symbols that teach its size is another, the heavier are believed."""
    target = market.target.copy()
    target[:, ::2] *= 3.0
    weight = np.full(target.shape, 0.01)
    spread = []
    for heavy in (0, 1):
        weights = weight.copy()
        weights[:, heavy::2] = 1.0
        spread.append(np.nanstd(fit_preset(name, market, target=target, weight=weights).predict_panel(unseen.features)))
    assert spread[0] > 1.5 * spread[1]


def test_monitor_is_told_of_every_step(fitted: Model, name: str, market: Market, unseen: Market) -> None:
    """Steps count up to their number, losses are finite, and being watched changes nothing."""
    steps: list[tuple[int, int, dict[str, float]]] = []
    watched = fit_preset(name, market, monitor=lambda *step: steps.append((step[0], step[1], dict(step[2]))) or True)
    total = steps[0][1]
    assert [number for number, _, _ in steps] == list(range(1, total + 1))
    assert {count for _, count, _ in steps} == {total}
    assert all(np.isfinite(metrics["train_loss"]) for _, _, metrics in steps)
    assert all(np.isfinite(metrics["validation_loss"]) for _, _, metrics in steps)
    assert _same(watched, fitted, unseen.features)


def test_monitor_can_end_the_fit(name: str, market: Market, unseen: Market) -> None:
    """After its first no it is not asked again, and what was learnt so far can score."""
    told: list[int] = []
    model = fit_preset(name, market, monitor=lambda number, *_: told.append(number) or False)
    assert told == [1]
    assert np.isfinite(model.predict_panel(unseen.features)).any()


def test_an_error_of_the_monitor_passes(name: str, market: Market) -> None:
    """A monitor may abandon a fit by raising; the error reaches the caller and the model stays unfitted."""

    class PrunedError(Exception):
        pass

    def prune(*_: Any) -> bool:
        raise PrunedError

    model = create(name, **preset(name, "ci"))
    with pytest.raises(PrunedError):
        model.fit_panel(market.features, market.target, feature_names=NAMES, monitor=prune)
    assert model.feature_names == ()


def test_forecast_is_consistent(fitted: Model, unseen: Market) -> None:
    """Its score is the score, chances are chances, quantiles do not cross, and it abstains as a whole."""
    past = min(fitted.context - 1, 30)
    forecast = fitted.forecast(unseen.features, past)
    assert np.array_equal(forecast.score, fitted.predict_panel(unseen.features, past), equal_nan=True)
    assert all(0 < low < high < 1 for low, high in zip(forecast.levels[:-1], forecast.levels[1:], strict=True))
    assert forecast.quantiles.shape == (*forecast.score.shape, len(forecast.levels))
    known = np.isfinite(forecast.score)
    assert known.any()
    assert np.all((forecast.probability_up[known] > 0) & (forecast.probability_up[known] < 1))
    assert np.all(forecast.volatility[known] > 0)
    assert np.all(np.diff(forecast.quantiles[known], axis=-1) >= 0)
    for panel in _panels(forecast).values():
        assert np.array_equal(np.isfinite(panel).reshape(*known.shape, -1).all(axis=-1), known)
        assert np.array_equal(np.isnan(panel).reshape(*known.shape, -1).all(axis=-1), ~known)


def test_forecast_is_calibrated(fitted: Model, unseen: Market) -> None:
    """On unseen instants the quantiles cover what they say, the volatility is the errors', and chances are not off."""
    forecast = fitted.forecast(unseen.features)
    known = np.isfinite(forecast.score) & np.isfinite(unseen.target)
    target = unseen.target[known]
    for position, level in enumerate(forecast.levels):
        assert np.mean(target <= forecast.quantiles[known][:, position]) == pytest.approx(level, abs=0.1)
    errors = target - forecast.score[known]
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(np.sqrt(np.mean(forecast.volatility[known] ** 2)), rel=0.25)
    up = forecast.probability_up[known]
    assert np.mean((up - (target > 0)) ** 2) < 0.25  # what an even chance for everything would get


def test_forecasts_of_instants_alone_are_those_of_the_block(fitted: Model, unseen: Market) -> None:
    """All parts of a forecast are independent of what else is asked."""
    past, last = fitted.context - 1, unseen.features.shape[0]
    block = _panels(fitted.forecast(unseen.features, past))
    for instant in range(max(past, last - 10), last):
        alone = _panels(fitted.forecast(unseen.features[instant - past : instant + 1], past))
        for key, panel in block.items():
            assert np.array_equal(alone[key][0], panel[instant - past], equal_nan=True)


def test_missing_features_are_survived(fitted: Model, unseen: Market) -> None:
    """Columns, symbols and instants that are missing or infinite give numbers or NaN, and infinite is missing."""
    holed = unseen.features.copy()
    holed[:, 2], holed[20:50, :, 1], holed[70] = np.nan, np.nan, np.nan
    infinite = np.where(np.isnan(holed), np.inf, holed)
    scores = fitted.predict_panel(holed)
    assert not np.isinf(scores).any()
    assert np.isnan(scores[70]).all()
    assert np.array_equal(fitted.predict_panel(infinite), scores, equal_nan=True)
    assert np.isnan(fitted.predict_panel(np.full((40, 8, 5), np.nan))).all()


def test_a_column_never_known_is_survived(name: str, short_market: Market, unseen: Market) -> None:
    """A feature that is missing throughout training breaks nothing."""
    features = short_market.features.copy()
    features[..., 3] = np.nan
    scores = fit_preset(name, short_market, features=features).predict_panel(unseen.features)
    assert np.isfinite(scores).any()


def test_no_instants_give_no_scores(fitted: Model) -> None:
    """An empty block is an empty answer."""
    assert fitted.predict_panel(np.empty((0, 8, len(NAMES)))).shape == (0, 8)
    assert fitted.predict_panel(np.zeros((3, 8, len(NAMES))), 3).shape == (0, 8)
    assert fitted.forecast(np.zeros((3, 8, len(NAMES))), 3).quantiles.shape[:2] == (0, 8)


def test_inputs_are_left_alone(name: str, short_market: Market) -> None:
    """Neither fit, score nor forecast writes to its arguments."""
    features, target, weight = (
        short_market.features.copy(),
        short_market.target.copy(),
        np.ones(short_market.target.shape),
    )
    for array in (features, target, weight):
        array.flags.writeable = False
    fit_preset(name, short_market, features=features, target=target, weight=weight).forecast(features)
    assert np.array_equal(features, short_market.features, equal_nan=True)


def test_saved_model_is_the_same(fitted: Model, name: str, unseen: Market, tmp_path: Path) -> None:
    """Loading gives the schema and the very bits that were saved, from text and arrays alone."""
    fitted.save(tmp_path)
    loaded = model_class(name).load(tmp_path)
    assert loaded.feature_names == fitted.feature_names
    assert loaded.context == fitted.context
    assert _same(loaded, fitted, unseen.features)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ".txt"}


def test_saving_twice_writes_the_same_bytes(fitted: Model, refitted: Model, name: str, tmp_path: Path) -> None:
    """Files depend on nothing but data and seed, so that their hashes identify a model; loading keeps them."""
    fitted.save(tmp_path)
    for number, other in enumerate((refitted, model_class(name).load(tmp_path))):
        copy = tmp_path / f"copy{number}"
        copy.mkdir()
        other.save(copy)
        for path in copy.iterdir():
            assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_damaged_files_are_model_errors(fitted: Model, name: str, tmp_path: Path) -> None:
    """Each file cut short, empty or gone raises ModelError naming the folder."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    fitted.save(whole)
    for path in whole.iterdir():
        for damage in ("cut", "empty", "gone"):
            shutil.copytree(whole, broken)
            content = path.read_bytes()
            (broken / path.name).write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
            if damage == "gone":
                (broken / path.name).unlink()
            with pytest.raises(ModelError, match=str(broken)):
                model_class(name).load(broken)
            shutil.rmtree(broken)


def test_foreign_schema_is_refused(fitted: Model) -> None:
    """Another number of columns, or names other than the fitted ones, are named."""
    for ask in (fitted.predict_panel, fitted.forecast):
        with pytest.raises(DataError, match=r"\(4, 8, 3\).*5 columns"):
            ask(np.zeros((4, 8, 3)))
        with pytest.raises(DataError, match=r"\(4, 5\)"):
            ask(np.zeros((4, 5)))
        with pytest.raises(DataError, match="n_context=5"):
            ask(np.zeros((4, 8, 5)), 5)
    with pytest.raises(DataError, match=r"column 1 is 'return_21d'.*'return_5d'"):
        check_names(fitted.feature_names, (NAMES[0], "return_21d", *NAMES[2:]))


def test_unfitted_model_is_refused(name: str, tmp_path: Path) -> None:
    """Scoring, forecasting or saving before fitting raises ModelError."""
    model = create(name)
    assert model.feature_names == ()
    for act in (lambda: model.predict_panel(np.zeros((1, 1, 5))), lambda: model.forecast(np.zeros((1, 1, 5)))):
        with pytest.raises(ModelError, match="not fitted"):
            act()
    with pytest.raises(ModelError, match="not fitted"):
        model.save(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature_names": NAMES[:3]}, r"\(400, 8, 5\)"),
        ({"target": np.zeros((10, 8))}, r"\(10, 8\)"),
        ({"feature_names": (*NAMES[:4], NAMES[0])}, "more than once"),
        ({"weight": np.ones((400, 7))}, r"\(400, 7\)"),
        ({"weight": np.full((400, 8), -1.0)}, "not negative"),
        ({"weight": np.full((400, 8), np.nan)}, "not negative"),
        ({"instants": np.array([3, 2])}, "rising"),
        ({"instants": np.array([0, 400])}, "rising"),
    ],
)
def test_mismatched_training_data_are_refused(name: str, market: Market, changes: dict[str, Any], message: str) -> None:
    """Names, columns, target, weights and instants must agree, whatever the model."""
    with pytest.raises(DataError, match=message):
        fit_preset(name, market, **changes)


def test_nothing_to_learn_is_refused(name: str, market: Market) -> None:
    """Without labels there is no model, and the object still says that it is not fitted."""
    model = create(name, **preset(name, "ci"))
    with pytest.raises(ModelError, match="rows"):
        model.fit_panel(market.features, np.full(market.target.shape, np.nan), feature_names=NAMES)
    assert model.feature_names == ()


def test_unknown_hyperparameter_is_refused(name: str) -> None:
    """A misspelt hyperparameter is named beside the allowed ones."""
    with pytest.raises(DataError, match="'alhpa'; allowed are"):
        create(name, alhpa=1.0)
