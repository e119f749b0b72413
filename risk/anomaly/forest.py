"""Isolation forest: rows that few random cuts set apart are strange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.anomaly.base import ScaledDetector

__all__ = ["IsolationForestDetector"]

FloatArray = NDArray[np.float64]

_KEPT = 4096
_BACKGROUND = 16
_FAR = 12.0


class IsolationForestDetector(ScaledDetector):
    """Isolation forest (Liu, Ting and Zhou 2008) over features and their short exponential means.

    The means let it tell what lasts from what is only rare. What it learnt is kept as its sample of rows, from which
    the same seed grows the same forest.

    Parameters
    ----------
    names, halflife, false_alarms
        As `ScaledDetector`.
    n_trees : int, default=100
    sample_size : int, default=2048
        Rows a tree is grown on.
    weight : float, default=0.3
        Of the newest row in the means.
    seed : int, default=0
    """

    kind: ClassVar[str] = "forest"
    bounded: ClassVar[bool] = True

    def __init__(
        self,
        names: Sequence[str],
        *,
        halflife: float = 60.0,
        false_alarms: float = 1.0,
        n_trees: int = 100,
        sample_size: int = 2048,
        weight: float = 0.3,
        seed: int = 0,
    ) -> None:
        super().__init__(names, halflife=halflife, false_alarms=false_alarms)
        self._n_trees, self._sample_size, self._weight, self._seed = n_trees, sample_size, weight, seed
        self._forest: Any = None
        self._sample: FloatArray = np.empty((0, 0))
        self._begin()

    def _learn(self, scaled: FloatArray) -> None:
        rows = self._widened(scaled)
        self._begin()
        rng = np.random.default_rng(self._seed)
        self._sample = rows[np.sort(rng.permutation(len(rows))[:_KEPT])]
        # A forest cuts within what it saw, and cannot tell far outside from just outside. A few rows with one feature
        # moved anywhere make it cut there too.
        n = len(self.names)
        moved = rng.choice(len(self._sample), len(self._sample) // _BACKGROUND, replace=False)
        at = rng.integers(0, n, moved.size)
        far = rng.uniform(-_FAR, _FAR, moved.size)
        self._sample[moved, at] = far
        self._sample[moved, n + at] = far * rng.uniform(self._weight, 1.0, moved.size)
        self._grow()

    def _grow(self) -> None:
        from sklearn.ensemble import IsolationForest

        forest = IsolationForest(
            n_estimators=self._n_trees,
            max_samples=min(self._sample_size, len(self._sample)),
            random_state=self._seed,
        )
        self._forest = forest.fit(self._sample)

    def _widened(self, scaled: FloatArray) -> FloatArray:
        return np.concatenate([scaled, _means(scaled, self._mean, self._weight)], axis=1)

    def _measure(self, scaled: FloatArray) -> FloatArray:
        rows = self._widened(scaled)
        if not len(rows):
            return np.empty((0, 1))
        return np.asarray(-self._forest.score_samples(rows)[:, None], np.float64)

    def _remember(self, memory: Sequence[FloatArray]) -> None:
        self._mean = memory[0] if memory else np.zeros(len(self.names))

    def _memory(self) -> list[FloatArray]:
        return [self._mean.copy()]

    def _learnt(self) -> Mapping[str, FloatArray]:
        return {"sample": self._sample}

    def _relearn(self, learnt: Mapping[str, FloatArray]) -> None:
        self._sample = learnt["sample"]
        if self._sample.size:
            self._grow()


def _means(values: FloatArray, mean: FloatArray, weight: float) -> FloatArray:
    """Return exponential means of rows, brought forward in `mean`."""
    out = np.empty_like(values)
    for t, row in enumerate(values):
        mean += weight * (row - mean)
        out[t] = mean
    return out
