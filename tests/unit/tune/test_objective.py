"""The objective: out of sample, inside the training span, in the order of time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.support.searching import folds_of, planted_set
from trader.core.errors import ModelError
from trader.models.dataset import TrainingSet
from trader.models.kinds import create
from trader.validation.ic import information_coefficient
from tune.objective import Epoch, FoldScore, evaluate, paper_returns, score_of

PARAMS = {"alpha": 0.1}


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    return planted_set()


def _known(fold: FoldScore) -> tuple[object, ...]:
    """Everything but the time it took."""
    return fold.fold, fold.ic, fold.loss, fold.returns


def test_scores_are_those_of_a_plain_fit(data: TrainingSet) -> None:
    """Fold by fold: fit on the training instants, rank the test instants, square the errors."""
    folds = folds_of(data)
    found = list(evaluate(data, "linear", PARAMS, folds, seed=1))
    assert [score.fold for score in found] == [0, 1, 2]
    for score, fold in zip(found, folds, strict=True):
        model = create("linear", **PARAMS).fit_panel(
            data.features, data.target, feature_names=data.feature_names, seed=1, instants=fold.train
        )
        scores, target = model.predict_panel(data.features[fold.test]), data.target[fold.test]
        known = np.isfinite(target)
        assert score.ic == pytest.approx(np.nanmean(information_coefficient(scores, target)))
        assert score.loss == pytest.approx(np.mean((scores - target)[known] ** 2) / np.mean(target[known] ** 2))
        assert len(score.returns) == fold.test.size
    assert found[-1].ic > 0.15
    assert found[-1].loss < 1.0


def test_nothing_later_changes_an_earlier_fold(data: TrainingSet) -> None:
    """Ruining all that lies after a fold, but the prices its last labels need, changes no bit of it."""
    folds = folds_of(data)
    clean = next(evaluate(data, "linear", PARAMS, folds, seed=1))
    after = int(folds[0].test[-1]) + 1
    ruined = {name: getattr(data, name).copy() for name in ("features", "target", "closes")}
    ruined["features"][after:] = 1e9
    ruined["target"][after:] = np.nan
    ruined["closes"][after + 2 :] = 1.0
    assert _known(next(evaluate(dataclasses.replace(data, **ruined), "linear", PARAMS, folds, seed=1))) == _known(clean)


def test_known_folds_are_left_out(data: TrainingSet) -> None:
    """Going on after the first fold gives the others as they were."""
    folds = folds_of(data)
    whole = list(evaluate(data, "linear", PARAMS, folds, seed=1))
    rest = list(evaluate(data, "linear", PARAMS, folds, seed=1, done=1))
    assert [_known(fold) for fold in rest] == [_known(fold) for fold in whole[1:]]


def test_steps_of_a_fit_are_told(data: TrainingSet) -> None:
    """At most ten of each fold, the last among them, with the losses the model gives."""
    told: list[Epoch] = []
    params = {"n_trees": 200, "max_leaves": 3}
    list(evaluate(data, "boosting", params, folds_of(data)[:1], seed=1, on_epoch=told.append))
    assert len(told) == 10
    assert told[-1].step == told[-1].n_steps == 20
    assert told[-1].metrics["train_loss"] < told[0].metrics["train_loss"]


def test_scores_without_an_order_are_an_error(data: TrainingSet) -> None:
    """A model that says the same of every symbol has failed, whatever its loss."""
    constant = dataclasses.replace(data, features=np.ones_like(data.features))
    with pytest.raises(ModelError, match="scores of fold 1 say nothing: no two symbols ever differ"):
        next(evaluate(constant, "linear", PARAMS, folds_of(constant), seed=1))


def test_one_symbol_has_a_loss_and_no_ic(data: TrainingSet) -> None:
    """There is nothing to rank."""
    single = TrainingSet.build(data.features[:, :1], data.feature_names, data.closes[:, :1], data.ts_ns, horizon=1)
    found = next(evaluate(single, "linear", PARAMS, folds_of(single), seed=1))
    assert np.isnan(found.ic)
    assert np.isfinite(found.loss)


def test_paper_returns_by_hand() -> None:
    """Half long, half short; costs on every unit of value traded; unknown returns earn nothing."""
    scores = np.array([[1.0, 3.0], [3.0, 1.0], [np.nan, np.nan], [2.0, 2.0]])
    returns = np.array([[0.01, 0.03], [0.01, np.nan], [0.5, 0.5], [0.5, 0.5]])
    expected = [0.01 - 1e-4, 0.005 - 2e-4, -1e-4, 0.0]
    np.testing.assert_allclose(paper_returns(scores, returns, cost_bps=1.0), expected, atol=1e-15)


def test_score_is_the_mean_over_folds() -> None:
    """Higher is better, for a loss too; without folds there is none."""
    folds = [FoldScore(0, 0.02, 0.9, 1.0, ()), FoldScore(1, 0.06, 0.8, 1.0, ())]
    assert score_of(folds, "ic") == pytest.approx(0.04)
    assert score_of(folds, "loss") == pytest.approx(-0.85)
    assert np.isnan(score_of([], "ic"))
