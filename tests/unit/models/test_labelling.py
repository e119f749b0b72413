"""Settings choose the labels and their weights."""

from __future__ import annotations

import numpy as np
import pytest

from trader.models.candidate import train_candidate
from trader.models.dataset import TrainingSet
from trader.models.labelling import label_panel
from trader.models.labels import average_uniqueness, triple_barrier, vertical_touch
from trader.models.targets import scaled_target, trailing_volatility
from trader.settings.sections import LabelSettings, ModelSettings

HORIZON = 5


@pytest.fixture(scope="module")
def closes() -> np.ndarray:
    rng = np.random.default_rng(2)
    return 100.0 * np.exp(np.cumsum(0.01 * rng.standard_t(4, size=(400, 6)), axis=0))


def test_forward_labels_are_the_default(closes: np.ndarray) -> None:
    """Without settings a label is the scaled forward return, and all count the same."""
    target, weight = label_panel(closes, HORIZON, LabelSettings())
    assert np.array_equal(target, scaled_target(closes, HORIZON), equal_nan=True)
    assert weight is None


def test_far_barriers_are_the_forward_return(closes: np.ndarray) -> None:
    """Barriers that nothing reaches leave the return at the horizon; near ones end bets earlier."""
    far, _ = label_panel(closes, HORIZON, LabelSettings(kind="barriers", profit=1e3, stop=1e3))
    forward = scaled_target(closes, HORIZON)
    both = np.isfinite(far) & np.isfinite(forward)
    assert both.sum() == np.isfinite(far).sum()
    assert np.allclose(far[both], forward[both], rtol=1e-9, atol=1e-12)
    near, _ = label_panel(closes, HORIZON, LabelSettings(kind="barriers", profit=0.5, stop=0.5))
    assert not np.allclose(near[both], forward[both])


def test_uniqueness_weighs_labels_that_share_returns(closes: np.ndarray) -> None:
    """The weights are the average uniqueness over its mean, and 0 where there is no label."""
    target, weight = label_panel(closes, HORIZON, LabelSettings(weights="uniqueness"))
    assert weight is not None
    labelled = np.isfinite(target)
    uniqueness = average_uniqueness(vertical_touch(labelled, HORIZON))
    assert np.allclose(weight[labelled], uniqueness[labelled] / uniqueness[labelled].mean())
    assert not weight[~labelled].any()


def test_barrier_weights_follow_the_touch(closes: np.ndarray) -> None:
    """A bet that ends early shares fewer returns than one that runs to the horizon."""
    settings = LabelSettings(kind="barriers", profit=0.5, stop=0.5, weights="uniqueness")
    target, weight = label_panel(closes, HORIZON, settings)
    assert weight is not None
    touch = triple_barrier(closes, trailing_volatility(closes), profit=0.5, stop=0.5, horizon=HORIZON).touch
    length = touch - np.arange(400)[:, None]
    labelled = np.isfinite(target)
    assert weight[labelled & (length <= 2)].mean() > weight[labelled & (length == HORIZON + 1)].mean()


def test_weights_reach_the_model(closes: np.ndarray) -> None:
    """A candidate trained on weighted labels is another model than one on equal ones."""
    rng = np.random.default_rng(4)
    features = rng.normal(size=(*closes.shape, 3))
    names, ts_ns = ("a", "b", "c"), np.arange(400, dtype=np.int64) * 86_400_000_000_000
    settings = ModelSettings(n_splits=2, horizon=HORIZON, embargo=1)
    found = []
    for labels in (LabelSettings(), LabelSettings(weights="return", oldest=0.1)):
        data = TrainingSet.build(features, names, closes, ts_ns, horizon=HORIZON, labels=labels)
        found.append(train_candidate(data, "linear", settings=settings, seed=0).forecast.score)
    known = np.isfinite(found[0])
    assert not np.allclose(found[0][known], found[1][known])
