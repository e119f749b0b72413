"""A small market with a planted signal, and trials made by hand, for tests of searches."""

from __future__ import annotations

from typing import Any

import numpy as np

from trader.models.dataset import TrainingSet
from trader.models.walk_forward import walk_forward_folds
from trader.settings import ModelSettings
from trader.validation.splits import Fold
from tune.journal import Status, Trial
from tune.objective import FoldScore

DAY_NS = 86_400_000_000_000


def planted_set(n_slices: int = 400, n_symbols: int = 8, n_features: int = 5, strength: float = 0.4) -> TrainingSet:
    """A training set whose first feature, and the product of two others, decide part of the next return."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(n_slices, n_symbols, n_features))
    signal = features[..., 0] + features[..., 1] * np.sign(features[..., 2])
    signal /= signal.std()
    returns = 0.01 * np.sqrt(1 - strength**2) * rng.normal(size=signal.shape)
    # What is known at t is traded at t + 1 and earns the return to t + 2.
    returns[2:] += 0.01 * strength * signal[:-2]
    closes = 100.0 * np.exp(np.cumsum(returns, axis=0))
    names = tuple(f"f{place}" for place in range(n_features))
    ts_ns = np.arange(n_slices, dtype=np.int64) * DAY_NS
    return TrainingSet.build(features, names, closes, ts_ns, horizon=1, fingerprint="planted")


def folds_of(data: TrainingSet, n_splits: int = 3) -> list[Fold]:
    """Purged walk-forward folds."""
    return walk_forward_folds(data, ModelSettings(n_splits=n_splits, embargo=2, horizon=1, min_train_rows=50))


def trial_of(
    number: int,
    *scores: float,
    status: Status = "complete",
    returns: tuple[float, ...] = (0.01, -0.01, 0.02),
    seconds: float = 1.0,
    **params: Any,
) -> Trial:
    """A trial with one fold a score."""
    folds = tuple(FoldScore(fold, score, 1.0 - score, seconds, returns) for fold, score in enumerate(scores))
    return Trial(number, params, status, folds, scores, seconds=seconds * len(scores))
