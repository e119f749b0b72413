"""What training says of itself: results on data that a fold had not seen."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trader.validation.ic import ICSummary, hit_rate, ic_by_month, ic_summary, information_coefficient

__all__ = ["ScoreReport", "TrainingReport", "plain", "score_report"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True)
class ScoreReport:
    """One member's, or the ensemble's, out-of-sample result.

    Parameters
    ----------
    ic : ICSummary
        Rank IC per instant against the target, over all test folds.
    hit_rate : float
        Share of scores with the sign of the target.
    fold_ic : tuple of float
        Mean rank IC of each fold, in order of time; NaN where undefined.
    ic_by_month : mapping of str to float
    """

    ic: ICSummary
    hit_rate: float
    fold_ic: tuple[float, ...]
    ic_by_month: Mapping[str, float]


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingReport:
    """How an ensemble was trained and validated.

    Parameters
    ----------
    train_start_ns, train_end_ns : int
        First instant with a usable row, and last instant that was seen.
    horizon : int
        Bars.
    n_rows, n_features, n_symbols : int
        Of the final fit.
    folds : tuple of (int, int)
        First and last stamp of each test fold.
    scores : mapping of str to ScoreReport
        By member, and `ensemble`.
    weights, scales : mapping of str to float
        Of the final ensemble, by `name@version`.
    """

    train_start_ns: int
    train_end_ns: int
    horizon: int
    n_rows: int
    n_features: int
    n_symbols: int
    folds: tuple[tuple[int, int], ...]
    scores: Mapping[str, ScoreReport]
    weights: Mapping[str, float]
    scales: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; an undefined number is None."""
        whole: dict[str, Any] = plain(dataclasses.asdict(self))
        return whole


def score_report(
    scores: FloatArray, target: FloatArray, tests: Sequence[IntArray], ts_ns: IntArray, horizon: int
) -> ScoreReport:
    """Judge out-of-sample scores.

    Parameters
    ----------
    scores, target : ndarray of shape (n_slices, n_symbols)
        NaN where there is none.
    tests : sequence of ndarray
        Positions of the instants of each test fold.
    ts_ns : ndarray of shape (n_slices,)
    horizon : int
        Bars a label looks ahead; labels overlap that long, and the interval allows for it.
    """
    ic = information_coefficient(scores, target)
    return ScoreReport(
        ic=ic_summary(ic, lags=horizon),
        hit_rate=hit_rate(scores, target),
        fold_ic=tuple(ic_summary(ic[test]).mean for test in tests),
        ic_by_month=ic_by_month(ic, ts_ns),
    )


def plain(value: Any) -> Any:
    """Return mappings, sequences and numbers as JSON has them; a number that is not finite is None."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
