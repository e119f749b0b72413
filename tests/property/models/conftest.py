"""A trained ensemble of every registered model of rows."""

from __future__ import annotations

import numpy as np
import pytest

from trader.models.base import MODELS, ArrayModel, create, model_class
from trader.models.ensemble import Ensemble

NAMES = ("momentum_12_1", "return_5d", "c", "d", "e", "f", "g")


@pytest.fixture(scope="session")
def ensemble() -> Ensemble:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2000, len(NAMES)))
    target = rows[:, 0] - rows[:, 1] + rows[:, 2] * rows[:, 3] + rng.normal(size=2000)
    kinds = sorted(name for name in MODELS if issubclass(model_class(name), ArrayModel))
    members = {f"{name}@1.0.0": create(name).fit(rows, target, feature_names=NAMES) for name in kinds}
    return Ensemble(members, range(1, len(members) + 1), scales=dict.fromkeys(members, 0.3))
