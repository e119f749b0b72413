"""What all detectors have in common: running scales, a limit with a stated rate of false alarms, verdicts, state."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from risk.anomaly.kernels import rescale
from risk.tail.gpd import fit_tail
from trader.core.errors import DataError
from trader.core.protocols import Verdict
from trader.core.snapshot import pack, unpack

__all__ = ["ScaledDetector", "alarm_limit"]

FloatArray = NDArray[np.float64]

_FEWEST = 500
_CUT = 4.0
_WARM = 100
_RARE = 4.0
_CAP = 12.0
_TAIL = 0.05
_LEAST = 25
_FARTHEST = 1.5


class ScaledDetector(abc.ABC):
    """Brings features to running scales and its own measure of strangeness to units of an alarm limit.

    Each feature is taken less its running level, over its running mean absolute deviation, both with the half-life
    `halflife`: what counts is how far a row is from the usual of its time. Above and below, deviations are then divided
    by how large a rare one is, so that features with heavy tails do not drown the others. The limit is the level that
    rows like those of the fit exceed `false_alarms` times in 10,000, by a generalised Pareto tail of their scores.

    Parameters
    ----------
    names : sequence of str
        The features, for reasons.
    halflife : float, default=60
        In rows.
    false_alarms : float, default=1
        Per 10,000 rows; above 0, at most 1000.
    """

    kind: ClassVar[str]
    bounded: ClassVar[bool] = False
    """Whether scores cannot exceed some level, so that their tail may be believed to end."""

    def __init__(self, names: Sequence[str], *, halflife: float = 60.0, false_alarms: float = 1.0) -> None:
        if not names:
            raise DataError("names is empty; name at least one feature")
        if not halflife > 0.0 or not 0.0 < false_alarms <= 1000.0:
            raise DataError(
                f"halflife={halflife}, false_alarms={false_alarms} are not allowed; above 0, and 0 to 1000, are"
            )
        self.names = tuple(names)
        self._decay, self._false_alarms = float(0.5 ** (1.0 / halflife)), false_alarms
        self._level: FloatArray = np.zeros(len(self.names))
        self._deviation: FloatArray = np.zeros(len(self.names))
        self._units: FloatArray = np.ones((2, len(self.names)))
        self._limit = float("nan")

    @property
    def name(self) -> str:
        """Which kind it is."""
        return self.kind

    @property
    def limit(self) -> float:
        """The alarm limit in the detector's own unit; NaN before a fit."""
        return self._limit

    def fit(self, values: FloatArray) -> None:
        """Learn from rows (n_rows, n_features), finite and in order of time, 500 or more; the first 100 set scales.

        Raises
        ------
        DataError
            If there are too few rows, values are not finite, or no feature varies.
        """
        rows = self._checked(values)
        if len(rows) < _FEWEST:
            raise DataError(f"values has {len(rows)} rows; {_FEWEST} or more are needed to fit {self.kind}")
        self._limit = float("nan")
        begin = rows[:_WARM]
        self._level = np.median(begin, axis=0)
        self._deviation = np.mean(np.abs(begin - self._level), axis=0)
        if not (np.ptp(rows, axis=0) > 0.0).any():
            raise DataError("values do not vary; a detector needs some feature that does")
        scaled = rescale(rows, self._level, self._deviation, self._decay, _CUT)
        self._units = _units_of(scaled[_WARM:], self._false_alarms)
        common = self._common(scaled[_WARM:])
        self._begin()
        self._learn(common)
        measures = self._measure(common)
        self._limit = alarm_limit(measures.max(axis=1), self._false_alarms, bounded=self.bounded)

    def score(self, values: FloatArray) -> FloatArray:
        """Return scores (n_rows,) of rows as if they came next; takes nothing in."""
        rows = self._checked(values)
        self._needs_fit()
        memory = self._memory()
        level, deviation = self._level.copy(), self._deviation.copy()
        measures = self._measure(self._common(rescale(rows, level, deviation, self._decay, _CUT)))
        self._remember(memory)
        return np.asarray(measures.max(axis=1, initial=-np.inf) / self._limit, np.float64)

    def update(self, row: FloatArray) -> Verdict:
        """Judge the next row (n_features,) and take it in.

        Raises
        ------
        DataError
            If a value is missing or there was no fit; nothing is taken in then.
        """
        values = self._checked(np.asarray(row, np.float64)[None])
        self._needs_fit()
        scaled = rescale(values, self._level, self._deviation, self._decay, _CUT)
        common = self._common(scaled)
        measures = self._measure(common)[0]
        score = float(measures.max() / self._limit)
        alarm = score > 1.0
        return Verdict(score, alarm, self._reason(scaled[0], measures, common[0]) if alarm else "")

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on, as JSON-ready values; raises `DataError` before a fit."""
        self._needs_fit()
        return {
            "kind": self.kind,
            "names": list(self.names),
            "level": pack(self._level),
            "deviation": pack(self._deviation),
            "units": pack(self._units),
            "limit": self._limit,
            "memory": [pack(array) for array in self._memory()],
            "learnt": {name: pack(array) for name, array in self._learnt().items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned, without a fit.

        Raises
        ------
        DataError
            If it is of another kind or of other features.
        """
        if state["kind"] != self.kind or list(state["names"]) != list(self.names):
            raise DataError(
                f"state is of {state['kind']} over {', '.join(state['names'])}; "
                f"this is {self.kind} over {', '.join(self.names)}"
            )
        self._level, self._deviation = unpack(state["level"], np.float64), unpack(state["deviation"], np.float64)
        self._units, self._limit = unpack(state["units"], np.float64), float(state["limit"])
        self._relearn({name: unpack(array, np.float64) for name, array in state["learnt"].items()})
        self._remember([unpack(array, np.float64) for array in state["memory"]])

    def _checked(self, values: FloatArray) -> FloatArray:
        rows = np.array(values, np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise DataError(f"values has shape {rows.shape}; rows of {', '.join(self.names)} are needed")
        if not np.isfinite(rows).all():
            raise DataError("values holds NaN or infinities; leave those rows out")
        return rows

    def _common(self, scaled: FloatArray) -> FloatArray:
        """Return deviations in units in which a rare one is 4 for every feature, above and below."""
        common = np.where(scaled > 0.0, scaled / self._units[0], scaled / self._units[1])
        return np.asarray(np.clip(common, -_CAP, _CAP), np.float64)

    def _needs_fit(self) -> None:
        if np.isnan(self._limit):
            raise DataError(f"{self.kind} was not fitted; call fit first")

    def _reason(self, scaled: FloatArray, measures: FloatArray, common: FloatArray) -> str:
        """Return which feature it was and how far off."""
        worst = int(np.argmax(measures if measures.size == scaled.size else np.abs(common)))
        return f"{self.names[worst]} {scaled[worst]:+.1f} deviations from its level"

    def _begin(self) -> None:
        """Forget what was seen."""
        self._remember([])

    @abc.abstractmethod
    def _learn(self, scaled: FloatArray) -> None:
        """Learn from scaled rows."""

    @abc.abstractmethod
    def _measure(self, scaled: FloatArray) -> FloatArray:
        """Return how strange each row is, (n_rows, n_features) or (n_rows, 1), bringing the memory forward."""

    def _memory(self) -> list[FloatArray]:
        """Return copies of what was seen."""
        return []

    def _remember(self, memory: Sequence[FloatArray]) -> None:  # noqa: B027 - some remember nothing
        """Set what was seen, as `_memory` returned it; begin anew with an empty one."""

    def _learnt(self) -> Mapping[str, FloatArray]:
        """Return what was learnt."""
        return {}

    def _relearn(self, learnt: Mapping[str, FloatArray]) -> None:  # noqa: B027 - some learn nothing
        """Take over what `_learnt` returned."""


def _units_of(scaled: FloatArray, false_alarms: float) -> FloatArray:
    """Return what to divide deviations by, above and below, (2, n_features): a quarter of a rare one."""
    rare = false_alarms / scaled.shape[1]
    sides = np.stack([np.maximum(scaled, 0.0), np.maximum(-scaled, 0.0)])
    # A side with hardly a value has no tail; its unit is what a normal feature would have.
    normal = 1.25
    return np.array(
        [
            [
                max(alarm_limit(column, rare) / _RARE, 0.5 * normal) if np.mean(column > 0.0) > 0.06 else normal
                for column in side.T
            ]
            for side in sides
        ]
    )


def alarm_limit(scores: FloatArray, false_alarms: float, *, bounded: bool = False) -> float:
    """Return what scores like these exceed `false_alarms` times in 10,000.

    By a generalised Pareto tail of the largest twentieth. A short tail is believed where scores are `bounded`;
    elsewhere it is taken to fall exponentially: that none was larger in the past is no law. Nothing beyond one and a
    half times the largest score is believed, and that is the limit where fewer than 25 scores make the tail.

    Raises
    ------
    DataError
        If the scores do not vary.
    """
    if not np.ptp(scores) > 0.0:
        raise DataError("the scores of the fit are all the same; these features tell nothing")
    rarity = false_alarms / 1e4
    if rarity >= _TAIL:
        return float(np.quantile(scores, 1.0 - rarity))
    # A chart that rests at 0 most of the time has a tail only where it moves.
    share = min(_TAIL, 0.5 * float(np.mean(scores > scores.min())))
    most = _FARTHEST * float(scores.max())
    if share * scores.size < _LEAST:
        return most
    tail = fit_tail(scores, share)
    found = min(tail.quantile(1.0 - rarity), most)
    if bounded or tail.shape >= 0.0:
        return found
    mean_excess = float(np.mean(scores[scores > tail.threshold])) - tail.threshold
    return max(found, tail.threshold + mean_excess * float(np.log(tail.chance / rarity)))
