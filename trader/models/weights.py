"""Weights of an ensemble that change with time, and never because of what came later."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from trader.core.errors import DataError
from trader.core.protocols import Prediction
from trader.models.kernels import combine

__all__ = ["WeightChange", "WeightSchedule", "reweigh"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class WeightChange:
    """Weights from some instant on.

    Parameters
    ----------
    effective_ns : int
        First instant that they count for.
    weights : mapping of str to float
        By member (`boosting@1.2.0`) or kind of model (`boosting`); not negative, not all 0. A member that is not
        named weighs nothing.
    seen_until_ns : int, optional
        Last instant of the data that they were derived from; None if they were not derived from data.
    who, why : str

    Raises
    ------
    DataError
        If a weight is not allowed, or they would count for an instant that they were derived from.
    """

    effective_ns: int
    weights: Mapping[str, float]
    seen_until_ns: int | None = None
    who: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        if not self.weights:
            raise DataError("weights are empty; at least one member must be named")
        for name, weight in self.weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise DataError(f"weights[{name!r}]={weight} is not allowed; it must be finite and not negative")
        if not any(self.weights.values()):
            raise DataError("weights are all 0; at least one must be positive")
        if self.seen_until_ns is not None and self.seen_until_ns >= self.effective_ns:
            raise DataError(
                f"weights that were derived from data up to {_iso(self.seen_until_ns)} may not count from "
                f"{_iso(self.effective_ns)}: that would look ahead"
            )
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))


class WeightSchedule:
    """Which weights count at an instant: those of the last change that is effective by then.

    Parameters
    ----------
    changes : sequence of WeightChange
        In the order they were made; of two that are effective at the same instant the later one counts.
    """

    def __init__(self, changes: Sequence[WeightChange] = ()) -> None:
        self._changes = sorted(changes, key=lambda change: change.effective_ns)
        self._effective_ns = np.array([change.effective_ns for change in self._changes], dtype=np.int64)

    def __len__(self) -> int:
        return len(self._changes)

    def at(self, ts_ns: int) -> WeightChange | None:
        """Return the change that counts at an instant; None before the first."""
        found = int(np.searchsorted(self._effective_ns, ts_ns, side="right")) - 1
        return None if found < 0 else self._changes[found]

    def renamed(self, before: str, after: str) -> WeightSchedule:
        """Return the schedule of an ensemble in which member `after` has taken the place of `before`."""
        return WeightSchedule(
            [
                dataclasses.replace(
                    change, weights={after if name == before else name: w for name, w in change.weights.items()}
                )
                for change in self._changes
            ]
        )

    def apply(self, prediction: Prediction, ts_ns: IntArray) -> Prediction:
        """Return the prediction with the scores that the weights of each of its instants give.

        Parameters
        ----------
        prediction : Prediction
        ts_ns : ndarray of shape (n_slices,)
            The instants of its scores, rising.

        Raises
        ------
        DataError
            If the weights of an instant name none of the members.
        """
        if not self._changes:
            return prediction
        score = prediction.score.copy()
        for rows, change in self._spans(ts_ns):
            members = {key: member[rows] for key, member in prediction.members.items()}
            score[rows] = reweigh(members, change.weights)
        return dataclasses.replace(prediction, score=score)

    def _spans(self, ts_ns: IntArray) -> Iterator[tuple[slice, WeightChange]]:
        place = np.searchsorted(self._effective_ns, ts_ns, side="right") - 1
        edges = [0, *(np.flatnonzero(np.diff(place)) + 1).tolist(), len(place)]
        for start, stop in itertools.pairwise(edges):
            if stop > start and place[start] >= 0:
                yield slice(start, stop), self._changes[int(place[start])]


def reweigh(members: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """Return the weighted mean of the members' scores; NaN where no member with a weight has one.

    Parameters
    ----------
    members : mapping of str to ndarray of shape (n_slices, n_symbols)
        By `name@version`, all in one unit, as in `Prediction.members`.
    weights : mapping of str to float
        By `name@version`, or by name.

    Examples
    --------
    >>> reweigh({"a@1.0.0": np.array([[1.0]]), "b@1.0.0": np.array([[4.0]])}, {"a": 2.0, "b": 1.0}).tolist()
    [[2.0]]
    """
    values = np.array([weights.get(key, weights.get(key.partition("@")[0], 0.0)) for key in members])
    if not values.any():
        raise DataError(f"the weights name {sorted(weights)}; the members are {sorted(members)}")
    stacked = np.stack([np.ascontiguousarray(member).reshape(-1) for member in members.values()])
    mean: FloatArray = combine(stacked, values, np.ones(len(values)))[0]
    return mean.reshape(next(iter(members.values())).shape)


def _iso(ts_ns: int) -> str:
    return str(np.datetime64(ts_ns, "ns").astype("datetime64[s]"))
