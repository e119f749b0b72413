"""Alarms beside the anomalies that were there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.anomaly.simulation import Injected

__all__ = ["Judgement", "judge_alarms"]


@dataclasses.dataclass(frozen=True, slots=True)
class Judgement:
    """How good alarms were, counted in events, not rows; NaN where there was nothing to find or no alarm.

    Parameters
    ----------
    precision : float
        Share of alarms that an anomaly explains.
    recall : float
        Share of anomalies with an alarm.
    recall_by_kind : mapping of str to float
    n_alarms, n_false : int
        Runs of rows in alarm; those that no anomaly explains.
    """

    precision: float
    recall: float
    recall_by_kind: Mapping[str, float]
    n_alarms: int
    n_false: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return dataclasses.asdict(self)


def judge_alarms(
    alarms: NDArray[np.bool_], injected: Sequence[Injected], *, late: int = 2, recover: int = 15, merge: int = 5
) -> Judgement:
    """Compare alarms (n_rows,) with anomalies.

    Alarms no more than `merge` rows apart are one. An anomaly is found by an alarm from its beginning to `late` rows
    after its end; an alarm is explained if it begins before `recover` rows after an anomaly's end and does not end
    before its beginning.

    >>> judge_alarms(np.arange(100) == 50, [Injected("jump", 50, 51)]).precision
    1.0
    """
    rows = np.flatnonzero(alarms)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > merge) + 1) if rows.size else []
    n_false = sum(not any(run[0] < x.end + recover and run[-1] >= x.begin for x in injected) for run in runs)
    found: dict[str, list[bool]] = {}
    for x in injected:
        found.setdefault(x.kind, []).append(bool(alarms[x.begin : x.end + late].any()))
    every = [one for kind in found.values() for one in kind]
    return Judgement(
        precision=1.0 - n_false / len(runs) if runs else float("nan"),
        recall=float(np.mean(every)) if every else float("nan"),
        recall_by_kind={kind: float(np.mean(ones)) for kind, ones in found.items()},
        n_alarms=len(runs),
        n_false=n_false,
    )
