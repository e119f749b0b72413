"""Rules for quotes: spreads, depth, stuffing, silence and jumps, each with a limit of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.anomaly.base import ScaledDetector, alarm_limit
from risk.anomaly.features import QUOTE_FEATURES

__all__ = ["RULES", "QuoteRules"]

FloatArray = NDArray[np.float64]

RULES = ("jump", "spread", "depth", "stuffing", "stale")
"""In the order of `QUOTE_FEATURES`: what is wrong when that feature is beyond its limit."""

_LOWEST = 1.0
"""The noise of a feature that hardly varies is no measure of what matters."""

_SIDES = np.array([0.0, 1.0, -1.0, 1.0, 1.0])


class QuoteRules(ScaledDetector):
    """Five rules over `QUOTE_FEATURES`; a reason names the rule.

    The price jumps (either way, by deviations of moves at the time); the spread widens; depth goes; quotes come too
    fast; quotes stay out. All but the jump count the smaller of two intervals in a row: what is gone in a second is
    only noise. Each rule has a limit of its own, with a fifth of the false alarms.

    Parameters
    ----------
    halflife, false_alarms
        As `ScaledDetector`.
    """

    kind: ClassVar[str] = "quotes"

    def __init__(self, *, halflife: float = 60.0, false_alarms: float = 1.0) -> None:
        super().__init__(QUOTE_FEATURES, halflife=halflife, false_alarms=false_alarms)
        self._limits: FloatArray = np.ones(len(RULES))
        self._last: FloatArray = np.zeros(len(RULES))

    def _learn(self, scaled: FloatArray) -> None:
        self._limits = np.ones(len(RULES))
        measures = self._measure(scaled)
        self._begin()
        share = self._false_alarms / len(RULES)
        for j in range(len(RULES)):
            varies = np.ptp(measures[:, j]) > 0.0
            self._limits[j] = max(alarm_limit(measures[:, j], share), _LOWEST) if varies else _LOWEST

    def fit(self, values: FloatArray) -> None:
        """Learn from rows of `QUOTE_FEATURES`; as `ScaledDetector.fit`."""
        super().fit(values)
        self._limit = 1.0

    def _measure(self, scaled: FloatArray) -> FloatArray:
        sided = np.where(_SIDES == 0.0, np.abs(scaled), _SIDES * scaled)
        both = np.minimum(sided, np.concatenate([self._last[None], sided[:-1]]))
        if len(sided):
            self._last = sided[-1].copy()
        both[:, 0] = sided[:, 0]
        return np.asarray(np.maximum(both, 0.0) / self._limits, np.float64)

    def _reason(self, scaled: FloatArray, measures: FloatArray, _common: FloatArray) -> str:
        broken = [
            f"{RULES[j]}: {self.names[j]} {scaled[j]:+.1f} deviations from its level"
            for j in np.argsort(-measures, kind="stable").tolist()
            if measures[j] > 1.0
        ]
        return "; ".join(broken)

    def _remember(self, memory: Sequence[FloatArray]) -> None:
        self._last = memory[0] if memory else np.zeros(len(RULES))

    def _memory(self) -> list[FloatArray]:
        return [self._last.copy()]

    def _learnt(self) -> Mapping[str, FloatArray]:
        return {"limits": self._limits}

    def _relearn(self, learnt: Mapping[str, FloatArray]) -> None:
        self._limits = learnt["limits"]
