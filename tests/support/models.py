"""A market for models to learn, and their fit at the preset that is quick."""

from __future__ import annotations

import dataclasses

import numpy as np

from trader.core.protocols import Model
from trader.models.base import create, preset

NAMES = ("momentum_12_1", "return_5d", "volatility_21d", "rank_amihud_21d", "weekday")
SCALES = (0.3, 0.01, 0.1, 1.0, 1.4)


@dataclasses.dataclass(frozen=True)
class Market:
    """A panel with holes, whose target is a linear relation (`truth`) and as much noise again.

    Parameters
    ----------
    features : ndarray of shape (n_slices, n_symbols, n_features)
    truth, target : ndarray of shape (n_slices, n_symbols)
    """

    features: np.ndarray
    truth: np.ndarray
    target: np.ndarray

    @classmethod
    def simulate(cls, seed: int, n_slices: int) -> Market:
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(n_slices, 8, len(NAMES))) * SCALES
        truth = 2.0 * features[..., 0] - 60.0 * features[..., 1]
        target = truth + rng.normal(size=truth.shape)
        features[rng.random(features.shape) < 0.05] = np.nan
        features[::40] = np.nan
        target[rng.random(target.shape) < 0.03] = np.nan
        return cls(features, truth, target)


def fit_preset(name: str, market: Market, **changes: object) -> Model:
    """Fit a fresh model at its `ci` preset."""
    arguments = {"features": market.features, "target": market.target, "feature_names": NAMES, "seed": 1}
    return create(name, **preset(name, "ci")).fit_panel(**(arguments | changes))
