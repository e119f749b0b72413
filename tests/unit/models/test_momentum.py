"""The baseline's stated rule, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trader.core.errors import ModelError
from trader.models.momentum import Momentum

NAMES = ("momentum_12_1", "momentum_6_1", "return_5d", "other")


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 4)) * [0.3, 0.2, 0.01, 1.0], rng.normal(size=300) * 2.0


def test_score_is_grinolds_rule(data: tuple[np.ndarray, np.ndarray]) -> None:
    """IC times target volatility times half the mean momentum z-score less half the reversal z-score."""
    features, target = data
    model = Momentum(information_coefficient=0.05, clip=100.0).fit(features, target, feature_names=NAMES)
    z = (features - features.mean(axis=0)) / features.std(axis=0)
    expected = 0.05 * target.std() * ((z[:, 0] + z[:, 1]) / 2 - z[:, 2]) / 2
    assert model.predict(features) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_signs_do_not_depend_on_the_target(data: tuple[np.ndarray, np.ndarray]) -> None:
    """Turning the target round changes nothing: signs are not estimated."""
    features, target = data
    scores = [Momentum().fit(features, y, feature_names=NAMES).predict(features) for y in (target, -target)]
    assert np.array_equal(scores[0], scores[1])


def test_one_group_is_enough(data: tuple[np.ndarray, np.ndarray]) -> None:
    """With momentum columns alone, they carry the whole score."""
    features, target = data
    model = Momentum().fit(features[:, [0, 3]], target, feature_names=("momentum_12_1", "other"))
    assert np.corrcoef(model.predict(features[:, [0, 3]]), features[:, 0])[0, 1] > 0.99


def test_ranks_are_preferred_where_they_vary(data: tuple[np.ndarray, np.ndarray]) -> None:
    """Ranks replace the columns they are made of; those of a single symbol, all alike, do not."""
    features, target = data
    names = ("momentum_12_1", "rank_momentum_12_1", "return_5d", "rank_return_5d")
    model = Momentum().fit(features, target, feature_names=names)
    assert model.columns.tolist() == [1, 3]
    still = features.copy()
    still[:, [1, 3]] = 0.0
    assert Momentum().fit(still, target, feature_names=names).columns.tolist() == [0, 2]


def test_other_columns_are_not_read(data: tuple[np.ndarray, np.ndarray]) -> None:
    """A column of neither group may be anything; with all of its own columns missing the model abstains."""
    features, target = data
    model = Momentum().fit(features, target, feature_names=NAMES)
    rows = features[:2].copy()
    rows[0, 3] = np.nan
    rows[1, :3] = np.nan
    scores = model.predict(rows)
    assert scores[0] == model.predict(features[:1])[0]
    assert np.isnan(scores[1])


def test_schema_without_its_columns_is_refused(data: tuple[np.ndarray, np.ndarray]) -> None:
    """The error names what it looks for and what there is."""
    features, target = data
    with pytest.raises(ModelError, match=r"no feature that varies matches .*the features are a, b, c, d"):
        Momentum().fit(features, target, feature_names=tuple("abcd"))
