"""Models of few features."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.explaining import NAMES
from trader.models.background import Background
from trader.models.base import create
from trader.models.ensemble import Ensemble


@pytest.fixture(scope="session")
def rows() -> np.ndarray:
    """Rows with holes, at most two of five features."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1200, 5))
    holes = rng.random(values.shape) < 0.08
    holes[holes.sum(axis=1) > 2] = False
    values[holes] = np.nan
    values[:, 3] = np.round(values[:, 3])
    return values


@pytest.fixture(scope="session")
def ensemble(rows: np.ndarray) -> Ensemble:
    """Momentum, linear and trees, with an interaction to learn, unequal weights and scales."""
    rng = np.random.default_rng(1)
    known = np.nan_to_num(rows)
    target = known[:, 0] * (known[:, 1] > 0) + 0.5 * known[:, 2] + np.isnan(rows[:, 4]) + 0.3 * rng.normal(size=1200)
    members = {
        "momentum@1": create("momentum"),
        "linear@1": create("linear", alpha=0.1, clip=1.0),
        "boosting@1": create("boosting", n_trees=25, min_leaf_rows=10, learning_rate=0.2),
    }
    for member in members.values():
        member.fit_panel(rows[:, None], target[:, None], feature_names=NAMES, seed=2)
    scales = {"momentum@1": 0.01, "linear@1": 0.4, "boosting@1": 0.9}
    return Ensemble(members, (1.0, 2.0, 3.0), scales=scales, background=Background(rows[:17], "of a test"))


@pytest.fixture(scope="session")
def background(ensemble: Ensemble) -> Background:
    """Seventeen rows of training."""
    assert ensemble.background is not None
    return ensemble.background
