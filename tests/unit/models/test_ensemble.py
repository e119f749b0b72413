"""Weights, scales, abstention and failures of an ensemble."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trader.core.errors import DataError
from trader.models.ensemble import Ensemble
from trader.models.linear import Linear

NAMES = ("a", "b")


@dataclasses.dataclass
class Affine:
    """A model whose scores are known in advance: `slope` times a feature, `lag` instants ago."""

    slope: float
    feature_names: tuple[str, ...] = NAMES
    fails: bool = False
    column: int = 0
    lag: int = 0
    name: str = "affine"

    @property
    def context(self) -> int:
        return self.lag + 1

    def predict_panel(self, features: np.ndarray, n_context: int = 0) -> np.ndarray:
        if self.fails:
            raise RuntimeError("out of order")
        scores = np.full(features.shape[:2], np.nan)
        scores[self.lag :] = self.slope * features[: features.shape[0] - self.lag, :, self.column]
        return scores[n_context:]


FEATURES = np.arange(24.0).reshape(3, 4, 2) + 1.0


def test_score_is_the_weighted_mean_of_the_members() -> None:
    """With unit scales the score is the plain weighted mean, and members hold their own scores."""
    prediction = Ensemble({"x@1": Affine(1.0), "y@1": Affine(10.0)}, (3.0, 1.0))(FEATURES)
    first = FEATURES[..., 0]
    assert prediction.score == pytest.approx((3 * first + 10 * first) / 4)
    assert prediction.members["x@1"] == pytest.approx(first)
    assert prediction.score.shape == (3, 4)


def test_scales_make_weights_count() -> None:
    """A member with a hundredfold scale has no more say; the unit is the weighted mean scale."""
    ensemble = Ensemble({"x@1": Affine(1.0), "y@1": Affine(-100.0)}, scales={"x@1": 1.0, "y@1": 100.0})
    prediction = ensemble(FEATURES)
    assert prediction.score == pytest.approx(np.zeros((3, 4)))
    assert prediction.members["x@1"] == pytest.approx(50.5 * FEATURES[..., 0])
    assert prediction.members["y@1"] == pytest.approx(-50.5 * FEATURES[..., 0])


def test_equal_scales_change_nothing() -> None:
    """Members on one scale keep their numbers, whatever that scale is."""
    members = {"x@1": Affine(1.0), "y@1": Affine(3.0)}
    scaled = Ensemble(members, (1.0, 2.0), scales=dict.fromkeys(members, 0.37))(FEATURES)
    assert scaled.score == pytest.approx(Ensemble(members, (1.0, 2.0))(FEATURES).score)


def test_abstaining_members_are_left_out_cell_by_cell() -> None:
    """Where one member is NaN the other has all the weight; where both are, the ensemble abstains."""
    features = np.ones((1, 4, 2))
    features[0, 1, 0], features[0, 2, 1], features[0, 3] = np.nan, np.nan, np.nan
    score = Ensemble({"x@1": Affine(1.0), "y@1": Affine(3.0, column=1)}, (1.0, 3.0))(features).score
    assert score[0] == pytest.approx([2.5, 3.0, 1.0, np.nan], nan_ok=True)


def test_a_failing_member_is_left_out_and_counted() -> None:
    """The others carry on with renormalised weights; the failure is counted and its error kept."""
    ensemble = Ensemble({"x@1": Affine(1.0), "y@1": Affine(5.0, fails=True)}, (1.0, 9.0))
    for _ in range(3):
        prediction = ensemble(FEATURES)
    assert prediction.score == pytest.approx(FEATURES[..., 0])
    assert np.isnan(prediction.members["y@1"]).all()
    assert ensemble.failures == {"x@1": 0, "y@1": 3}
    assert ensemble.last_errors == {"y@1": "RuntimeError('out of order')"}


def test_no_member_left_abstains() -> None:
    """If all members fail, or those left weigh nothing, every score is NaN."""
    assert np.isnan(Ensemble({"x@1": Affine(1.0, fails=True)})(FEATURES).score).all()
    assert np.isnan(Ensemble({"x@1": Affine(1.0), "y@1": Affine(1.0, fails=True)}, (0.0, 1.0))(FEATURES).score).all()


def test_context_is_that_of_the_member_that_looks_back_furthest() -> None:
    """Every member is given as much past as it reads, and only the instants asked for are answered."""
    ensemble = Ensemble({"x@1": Affine(1.0), "y@1": Affine(1.0, lag=2)})
    assert ensemble.context == 3
    prediction = ensemble(FEATURES, n_context=2)
    assert prediction.members["x@1"] == pytest.approx(FEATURES[2:, :, 0])
    assert prediction.members["y@1"] == pytest.approx(FEATURES[:1, :, 0])


@pytest.mark.parametrize("n_context", [-1, 4])
def test_context_outside_the_block_is_refused(n_context: int) -> None:
    """A context is part of the block."""
    with pytest.raises(DataError, match=f"n_context={n_context}"):
        Ensemble({"x@1": Affine(1.0)})(FEATURES, n_context)


@pytest.mark.parametrize("weights", [None, (), (2.0, 2.0), {"y@1": 7.0, "x@1": 7.0}])
def test_weights_are_normalised_and_equal_by_default(weights: object) -> None:
    """Nothing, an empty tuple, a sequence and a mapping all end in weights that sum to 1."""
    assert Ensemble({"x@1": Affine(1.0), "y@1": Affine(1.0)}, weights).weights == {"x@1": 0.5, "y@1": 0.5}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"members": {}}, "members is empty"),
        ({"weights": (1.0,)}, "are 1; there are 2 members"),
        ({"weights": {"x@1": 1.0}}, r"given for \['x@1'\]"),
        ({"weights": (1.0, -0.5)}, r"weights\['y@1'\]=-0.5"),
        ({"weights": (1.0, float("nan"))}, r"weights\['y@1'\]=nan"),
        ({"weights": (0.0, 0.0)}, "all 0"),
        ({"scales": {"x@1": 0.0}}, r"scales\['x@1'\]=0.0"),
        ({"scales": {"z@1": 1.0}}, "scales name 'z@1'"),
        ({"members": {"x@1": Affine(1.0), "y@1": Affine(1.0, ("b", "a"))}}, "'y@1' was fitted on 2 features"),
        ({"members": {"x@1": Linear()}}, "'x@1' is not fitted"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    """Members, weights and scales are checked when the ensemble is made."""
    with pytest.raises(DataError, match=message):
        Ensemble(**{"members": {"x@1": Affine(1.0), "y@1": Affine(1.0)}} | arguments)


@pytest.mark.parametrize("shape", [(4, 2), (3, 4, 3), (2,)])
def test_foreign_shapes_are_refused_before_any_member(shape: tuple[int, ...]) -> None:
    """The wrong number of features is the caller's error, not a member's failure."""
    ensemble = Ensemble({"x@1": Affine(1.0)})
    with pytest.raises(DataError, match="n_slices, n_symbols, 2"):
        ensemble(np.zeros(shape))
    assert ensemble.failures == {"x@1": 0}


def test_no_instants_give_no_scores() -> None:
    """An empty block is an empty answer."""
    assert Ensemble({"x@1": Affine(1.0)})(np.empty((0, 4, 2))).score.shape == (0, 4)
