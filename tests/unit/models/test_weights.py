"""Weights count from their instant on, and never for what they were derived from."""

from __future__ import annotations

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.core.protocols import Prediction
from trader.models.weights import WeightChange, WeightSchedule, reweigh


@pytest.fixture
def prediction() -> Prediction:
    rng = np.random.default_rng(3)
    members = {"a@1.0.0": rng.normal(size=(6, 4)), "b@2.1.0": rng.normal(size=(6, 4))}
    members["a@1.0.0"][2, 1] = np.nan
    return Prediction(np.nanmean(list(members.values()), axis=0), members)


def test_each_instant_has_the_weights_of_its_time(prediction: Prediction) -> None:
    """Before the first change the served score stays; after it the weighted mean by hand."""
    schedule = WeightSchedule([WeightChange(40, {"b": 1.0}), WeightChange(20, {"a@1.0.0": 3.0, "b": 1.0})])
    got = schedule.apply(prediction, np.arange(6) * 10).score
    a, b = prediction.members.values()
    assert np.array_equal(got[:2], prediction.score[:2])
    expected = (3 * a + b)[2:4] / 4
    expected[0, 1] = b[2, 1]  # who abstains is left out
    assert np.allclose(got[2:4], expected, rtol=1e-12)
    assert np.array_equal(got[4:], b[4:])


def test_the_future_changes_nothing(prediction: Prediction) -> None:
    """A later change leaves the scores of earlier instants as they were."""
    early = WeightSchedule([WeightChange(20, {"a": 1.0})])
    late = WeightSchedule([WeightChange(20, {"a": 1.0}), WeightChange(41, {"b": 1.0})])
    ts_ns = np.arange(6) * 10
    first, second = early.apply(prediction, ts_ns).score, late.apply(prediction, ts_ns).score
    assert np.array_equal(first[:5], second[:5], equal_nan=True)
    assert not np.array_equal(first[5], second[5])


def test_of_equal_instants_the_last_word_counts(prediction: Prediction) -> None:
    """Two changes for one instant: the one made later."""
    schedule = WeightSchedule([WeightChange(0, {"a": 1.0}), WeightChange(0, {"b": 1.0})])
    assert np.array_equal(schedule.apply(prediction, np.arange(6)).score, prediction.members["b@2.1.0"])


def test_no_change_is_the_served_score(prediction: Prediction) -> None:
    """Without changes the prediction itself comes back."""
    assert WeightSchedule().apply(prediction, np.arange(6)) is prediction
    assert WeightSchedule([WeightChange(99, {"a": 1.0})]).at(98) is None


@pytest.mark.parametrize(
    ("weights", "seen", "message"),
    [
        ({}, None, "empty"),
        ({"a": 0.0}, None, "all 0"),
        ({"a": -1.0}, None, r"weights\['a'\]=-1.0"),
        ({"a": float("nan")}, None, "finite"),
        ({"a": 1.0}, 100, "look ahead"),
    ],
)
def test_impossible_weights_are_refused(weights: dict[str, float], seen: int | None, message: str) -> None:
    """What cannot be, or would look ahead, is named."""
    with pytest.raises(DataError, match=message):
        WeightChange(100, weights, seen)


def test_weights_of_strangers_are_refused() -> None:
    """Weights that name no member say whom they name."""
    with pytest.raises(DataError, match=r"name \['c'\]; the members are \['a@1.0.0'\]"):
        reweigh({"a@1.0.0": np.ones((1, 1))}, {"c": 1.0})
